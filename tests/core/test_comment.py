"""The signed block: what is forged, copied or touched is worth nothing; and strangers' text does nothing in Markdown."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, PLATFORM, REPOSITORY, facts, identity, observed, preview, pull_request
from greenroom.core import reasons, text
from greenroom.core.comment import Key, Signer, visible
from greenroom.core.decision import decide
from greenroom.core.model import Block, Comment, Health, Identity, Memory, Observed
from greenroom.core.told import comment_text

SIGNER = Signer("github.com", "test", Key("new", b"new secret"), (Key("old", b"old secret"),))
OLD = replace(SIGNER, key=Key("old", b"old secret"), older=())
BLOCK = Block(3, Memory(NOW, NOW + timedelta(days=1), "inactive"))


def body(signer: Signer = SIGNER, of: Identity = identity(1), comment_id: int = 5) -> str:  # noqa: B008
    return f"{signer.line(of, comment_id, BLOCK)}\n### Preview ready"


def test_what_was_signed_reads_back() -> None:
    assert SIGNER.read(identity(1), Comment(5, body())) == BLOCK


def test_an_older_key_is_accepted_and_asks_to_be_signed_again() -> None:
    assert SIGNER.read(identity(1), Comment(5, body(OLD))) == replace(BLOCK, stale_key=True)


@pytest.mark.parametrize(
    ("comment", "of"),
    [
        (None, identity(1)),
        (Comment(6, body()), identity(1)),
        (Comment(5, body()), identity(2)),
        (Comment(5, body(), trusted=False), identity(1)),
        (Comment(5, "hello\n" + body()), identity(1)),
        (Comment(5, body() + "\n" + body()), identity(1)),
        (Comment(5, body(replace(SIGNER, installation="other"))), identity(1)),
        (Comment(5, body(replace(SIGNER, host="ghe.example.com"))), identity(1)),
        (Comment(5, body(replace(SIGNER, key=Key("new", b"another secret")))), identity(1)),
        (Comment(5, body(replace(SIGNER, key=Key("unknown", b"new secret")))), identity(1)),
        (Comment(5, SIGNER.unsigned(identity(1)) + "\ntext"), identity(1)),
        (Comment(5, ""), identity(1)),
    ],
)
def test_what_is_not_whole_and_ours_is_nothing(comment: Comment | None, of: Identity) -> None:
    assert SIGNER.read(of, comment) is None


@given(st.integers(0, 250), st.characters())
def test_any_changed_character_of_the_line_voids_it(position: int, character: str) -> None:
    line = body().splitlines()[0]
    at = position % len(line)
    changed = line[:at] + character + line[at + 1 :]
    read = SIGNER.read(identity(1), Comment(5, f"{changed}\ntext"))
    assert read is None or changed == line


@given(st.text(max_size=300))
def test_text_that_strangers_wrote_does_nothing_in_a_line(written: str) -> None:
    made = text.inline(written)
    assert "\n" not in made
    assert "<!--" not in made
    assert not re.search(r"@[A-Za-z0-9]|(?<!\\)[<`\[]|#\d|://", made)
    assert not [
        c for c in made if unicodedata.category(c) in ("Cc", "Cs") or unicodedata.bidirectional(c) in ("RLO", "LRO")
    ]


@given(st.lists(st.text(max_size=80), max_size=10))
def test_no_log_line_closes_its_fence(lines: list[str]) -> None:
    made = text.fence(tuple(lines)).splitlines()
    ticks = made[0].removesuffix("text")
    assert set(ticks) == {"`"}
    assert made[-1] == ticks
    assert not [x for x in made[1:-1] if x.strip().startswith(ticks)]
    assert "<!--" not in "".join(made)


def test_a_healthy_comment_is_short_and_does_not_tick() -> None:
    given_facts = facts(pull_request(1), holds=observed(1))
    one = decide(given_facts, PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    later = decide(given_facts, PLATFORM, REPOSITORY, NOW + timedelta(minutes=7)).statuses[identity(1)]
    said = comment_text(one, PLATFORM, private=True)
    assert said == comment_text(later, PLATFORM, private=True)
    assert len(said.splitlines()) <= 10
    assert said.startswith("### Preview ready")


@pytest.mark.parametrize("private", [True, False])
def test_log_lines_are_told_in_private_repositories_only(private: bool) -> None:
    failed = replace(preview(1, health=Health.FAILED), why="It broke.", log=("Traceback: boom",))
    holds = replace(observed(1), previews={identity(1): failed})
    status = decide(facts(pull_request(1), holds=holds), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    assert ("Traceback: boom" in comment_text(status, PLATFORM, private)) == private


def test_the_same_comment_is_not_written_twice() -> None:
    given_facts = facts(pull_request(1), holds=observed(1))
    [tell] = decide(given_facts, PLATFORM, REPOSITORY, NOW).actions
    written = Comment(5, f"{SIGNER.line(identity(1), 5, Block(1, Memory()))}\n{tell.text}")  # type: ignore[union-attr]
    again = facts(pull_request(1, comment=written), holds=observed(1), blocks={1: Block(1, Memory())})
    assert decide(again, PLATFORM, REPOSITORY, NOW).actions == ()
    assert visible(written.body).startswith("### Preview ready")
    assert decide(replace(again, blocks={}), PLATFORM, REPOSITORY, NOW).actions != ()


def test_nobody_asked_and_nobody_is_told() -> None:
    silent = facts(pull_request(1, labels=frozenset(), label_events=()), holds=Observed())
    assert decide(silent, PLATFORM, REPOSITORY, NOW).actions == ()


def test_only_the_address_of_a_link_is_shown_of_what_was_set_by_hand() -> None:
    said = reasons.changed_by_hand(
        [
            ("links.payments.url", "https://ada:hunter2@pay.example.com/x?token=t0psecret"),
            ("services.shop.env.KEY", "sk_live"),
        ]
    ).text
    assert "links.payments.url = https://pay.example.com/x, services.shop.env.KEY." in said
    assert not [word for word in ("hunter2", "t0psecret", "sk_live") if word in said]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (
            "It says @acme/all and r.example.com/shop@sha256:1.",
            "It says @\u200bacme/all and r.example.com/shop@sha256:1.",
        ),
        ("eve wrote `/preview <!-- greenroom: x`.", "eve wrote `/preview <\u200b!-- greenroom: x`."),
        ("It ended: <!-- greenroom:1 -->", "It ended: \\<\u200b!-- greenroom:1 --\\>"),
        ("![x](https://evil.example.com/a_b) see", "!\\[x\\](https://evil.example.com/a_b) see"),
        ("<details><b>", "\\<details\\>\\<b\\>"),
        ("shop#17, #18 and GH-19", "shop#\u200b17, #\u200b18 and GH\u200b-19"),
        ("`preview` is off; run `make it_all`", "`preview` is off; run `make it_all`"),
        ("`` [x](y) `", "\\`` [x](y) `"),  # an escaped backtick, then code
        ("# no heading", "\u200b# no heading"),
    ],
)
def test_strangers_words_in_a_reason_are_words(written: str, shown: str) -> None:
    assert text.markdown(written) == shown


@given(st.text(alphabet="`<!->[]()@#1 agh:/", max_size=40))
def test_no_sentence_opens_a_second_block(written: str) -> None:
    assert "<!--" not in text.markdown(f"It says {written}<!-- greenroom:1")
