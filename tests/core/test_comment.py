"""The signed block: what is forged, copied or touched is worth nothing; and strangers' text does nothing in Markdown."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import timedelta

import cmarkgfm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    NOW,
    PLATFORM,
    REPOSITORY,
    REPOSITORY_ID,
    changed,
    decide,
    facts,
    identity,
    labeled,
    observed,
    preview,
    pull_request,
    spec,
    without_label,
)
from greenroom.core import messages
from greenroom.core.comment import sanitize
from greenroom.core.comment.body import comment_text
from greenroom.core.comment.signed_block import Key, Signer, visible
from greenroom.core.model.actions import UpdateComment
from greenroom.core.model.catalog import Lifetime
from greenroom.core.model.engine import EngineState, Health, ObservedPreview, PreviewSet
from greenroom.core.model.github import Actor, Comment, CommentState, Kind, SignedState
from greenroom.core.model.migration_report import (
    Cause,
    Failure,
    Finding,
    FindingKind,
    MigrationReport,
    RanStatement,
    ServiceMigration,
)
from greenroom.core.model.spec import Identity, LinkOverride, PreviewSpec
from greenroom.core.model.status import Stage, Status, Used, User
from greenroom.core.planning.desired import overtaken

SIGNER = Signer("github.com", "test", Key("new", b"new secret"), (Key("old", b"old secret"),))
OLD = replace(SIGNER, key=Key("old", b"old secret"), older=())
BLOCK = SignedState(3, CommentState(NOW, NOW + timedelta(days=1), "inactive"))


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
def test_block_that_is_incomplete_or_not_ours_is_not_read(comment: Comment | None, of: Identity) -> None:
    assert SIGNER.read(of, comment) is None


def test_a_block_of_another_installation_is_worth_nothing() -> None:
    """Even with the same key, and with our name written over its own."""
    theirs = body(replace(SIGNER, installation="other")).replace("greenroom:1 other ", "greenroom:1 test ")
    assert SIGNER.read(identity(1), Comment(5, theirs)) is None


def test_our_comment_is_known_by_its_signature_whatever_was_written_before_it() -> None:
    ours, copy = Comment(5, f"Look at this:\n{body()}", trusted=False), Comment(6, body())
    theirs = Comment(7, body(replace(SIGNER, installation="other"), comment_id=7))
    assert SIGNER.ours(identity(1), pull_request(1, mine=(theirs, copy, ours)), None) == ours
    assert SIGNER.ours(identity(1), pull_request(1, mine=(theirs, copy)), None) is None


@pytest.mark.parametrize(("sequence", "old"), [(2, {1}), (3, set()), (4, set())])
def test_a_comment_older_than_the_choices_that_its_preview_follows_is_read_again(sequence: int, old: set[int]) -> None:
    """GitHub may show an earlier comment with the pull request's present `updated_at`."""
    preview_set = PreviewSet(REPOSITORY_ID, "shop", 1, {1: spec(1, comment_version=3)})
    found = facts(
        pull_request(1),
        holds=EngineState({}, {REPOSITORY_ID: preview_set}),
        blocks={1: SignedState(sequence, CommentState())},
    )
    assert overtaken(found.listing.repository_id, found.blocks, found.observed) == old


def test_a_comment_that_an_older_key_signed_is_written_again() -> None:
    holds = observed(1)
    [tell] = [
        a
        for a in decide(facts(pull_request(1), holds=holds), PLATFORM, REPOSITORY, NOW).actions
        if isinstance(a, UpdateComment)
    ]
    for stale in (False, True):
        block = SignedState(1, tell.memory, stale_key=stale)
        written = Comment(5, f"{SIGNER.line(identity(1), 5, block)}\n{tell.text}")
        again = facts(pull_request(1, comment=written), holds=holds, blocks={1: block})
        assert [type(a) for a in decide(again, PLATFORM, REPOSITORY, NOW).actions] == [UpdateComment] * stale


@given(st.integers(0, 250), st.characters())
def test_any_changed_character_of_the_line_voids_it(position: int, character: str) -> None:
    line = body().splitlines()[0]
    at = position % len(line)
    changed = line[:at] + character + line[at + 1 :]
    read = SIGNER.read(identity(1), Comment(5, f"{changed}\ntext"))
    assert read is None or changed == line


@given(st.text(max_size=300))
def test_text_that_strangers_wrote_does_nothing_in_a_line(written: str) -> None:
    made = sanitize.inline(written)
    assert "\n" not in made
    assert "<!--" not in made
    assert not re.search(r"@[A-Za-z0-9]|(?<!\\)[<`\[]|#\d|://", made)
    assert not [
        c for c in made if unicodedata.category(c) in ("Cc", "Cs") or unicodedata.bidirectional(c) in ("RLO", "LRO")
    ]


@given(st.lists(st.text(max_size=80), max_size=10))
def test_no_log_line_closes_its_fence(lines: list[str]) -> None:
    made = sanitize.fence(tuple(lines)).splitlines()
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


@pytest.mark.parametrize(
    ("links", "service"),
    [
        ((), ""),
        ((("api", "this preview", "same preview"),), "api"),
        ((("api", "this preview", "same preview"), ("payments", "staging", "staging")), "payments"),
        ((("payments", "an address set by hand", ""), ("api", "this preview", "same preview")), "api"),
        ((("payments", "an address set by hand", ""),), ""),
    ],
)
def test_comment_names_the_command_for_a_link_that_it_can_move(
    links: tuple[tuple[str, str, str], ...], service: str
) -> None:
    one = decide(facts(pull_request(1), holds=observed(1)), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    used = tuple(Used("shop", target, name, why, "http://x", own=name == "this preview") for target, name, why in links)
    said = comment_text(replace(one, links=used), PLATFORM, private=False)
    assert ("/preview use" in said) is bool(service)
    assert (
        f"Comment `/preview use {service}#N` to use {service} from the preview of pull request N." in said
        or not service
    )


@pytest.mark.parametrize(
    ("name", "private", "said"),
    [
        ("titan#2", True, "Uses api from **[titan#\u200b2](https://github.example.com/p/2)**"),
        ("titan#2", False, "Uses api from **another preview**"),
        ("api#2", False, "Uses api from **api#\u200b2**"),
    ],
    ids=["private-comment", "public-comment", "named-like-the-service"],
)
def test_public_comment_names_no_private_repository(name: str, private: bool, said: str) -> None:
    one = decide(facts(pull_request(1), holds=observed(1)), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    link = Used("shop", "api", name, "ada chose it", "http://x", "https://github.example.com/p/2", private=True)
    assert said in comment_text(replace(one, links=(link,)), PLATFORM, private)


@pytest.mark.parametrize("private", [True, False])
def test_log_lines_are_reported_in_private_repositories_only(private: bool) -> None:
    failed = replace(preview(1, health=Health.FAILED), why="It broke.", log=("Traceback: boom",))
    holds = replace(observed(1), previews={identity(1): failed})
    status = decide(facts(pull_request(1), holds=holds), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    assert ("Traceback: boom" in comment_text(status, PLATFORM, private)) == private


def test_the_same_comment_is_not_written_twice() -> None:
    given_facts = facts(pull_request(1), holds=observed(1))
    [tell] = decide(given_facts, PLATFORM, REPOSITORY, NOW).actions
    written = Comment(5, f"{SIGNER.line(identity(1), 5, SignedState(1, CommentState()))}\n{tell.text}")  # type: ignore[union-attr]
    again = facts(pull_request(1, comment=written), holds=observed(1), blocks={1: SignedState(1, CommentState())})
    assert decide(again, PLATFORM, REPOSITORY, NOW).actions == ()
    assert visible(written.body).startswith("### Preview ready")
    assert decide(replace(again, blocks={}), PLATFORM, REPOSITORY, NOW).actions != ()


def test_without_a_request_there_is_no_comment() -> None:
    silent = facts(pull_request(1, labels=frozenset(), label_events=()), holds=EngineState())
    assert decide(silent, PLATFORM, REPOSITORY, NOW).actions == ()


def status_of(view: EngineState, **changes: object) -> Status:
    return decide(facts(pull_request(1, **changes), holds=view), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]


def seen(preview_: ObservedPreview, row_: PreviewSpec | None = None) -> EngineState:
    preview_set = PreviewSet(REPOSITORY_ID, "shop", 1, {1: row_ or preview_.spec})
    return EngineState({identity(1): preview_}, {REPOSITORY_ID: preview_set})


BY_HAND = (("links.payments.url", "http://payments.preview-payments-17:8080"), ("services.shop.env.KEY", "sk_live"))


@pytest.mark.parametrize("health", [Health.READY, Health.FAILED])
def test_what_was_set_by_hand_is_named_and_its_value_is_not(health: Health) -> None:
    status = status_of(seen(replace(preview(1, health=health), manual_overrides=BY_HAND, why="It broke.")))
    said = comment_text(status, PLATFORM, private=False)
    assert "These parameters were changed by hand in Argo CD: links.payments.url, services.shop.env.KEY." in said
    assert not [word for word in ("payments-17", "sk_live") if word in said]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:hunter2@pay.example.com/x?token=t0psecret", "https://pay.example.com"),
        ("https://ada:p/ss@pay.example.com:8443", "https://pay.example.com:8443"),
        ("ada:s3cret@pay.example.com:5432/db", "pay.example.com:5432"),
        ("https://pay.example.com#access_token=s3cret", "https://pay.example.com"),
        ("http://payments.preview-payments-1:8080", "http://payments.preview-payments-1:8080"),
        ("", ""),
    ],
)
def test_comment_shows_only_the_origin_of_an_address_set_by_hand(url: str, shown: str) -> None:
    assert sanitize.origin(url) == shown


@pytest.mark.parametrize("state", ["ready", "failed", "asleep", "draft"])
def test_comment_warns_before_a_preview_is_removed(state: str) -> None:
    """The text that is written with the warning carries it, whatever else it says."""
    quiet = NOW - timedelta(days=2, hours=12)
    made = spec(1, head_since=quiet, created=quiet, asleep=state == "asleep", sleep_requested=state == "asleep")
    there = preview(1, made, health=Health.FAILED if state == "failed" else Health.READY)
    labels = frozenset({"preview", "preview-sleep"}) if state == "asleep" else frozenset({"preview"})
    pull = pull_request(1, draft=state == "draft", labels=labels, label_events=(labeled(quiet),), created_at=quiet)
    platform = replace(PLATFORM, policy=replace(PLATFORM.policy, drafts=False))
    found = decide(facts(pull, holds=seen(there, made)), platform, REPOSITORY, NOW)
    [tell] = [a for a in found.actions if isinstance(a, UpdateComment)]
    assert tell.memory.warned_at == NOW
    assert "The preview will be removed at 2026-03-03 12:00 UTC, after 3 d without activity." in tell.text


def test_that_data_was_reset_is_news_for_a_day() -> None:
    for age, shown in ((timedelta(hours=1), True), (timedelta(days=2), False)):
        made = spec(1, generation=2, reset_at=NOW - age)
        assert ("its data was reset" in status_of(seen(preview(1, made), made)).reason.text) is shown


@pytest.mark.parametrize(("before", "told_so"), [("waiting", True), ("removed", False)])
def test_a_withdrawn_request_is_reported_and_a_removal_stays_reported(before: str, told_so: bool) -> None:
    body = f"{SIGNER.line(identity(1), 5, SignedState(1, CommentState()))}\n### Preview {before}\n\nA sentence."
    pull = without_label(1)
    found = decide(facts(replace(pull, comment=Comment(5, body))), PLATFORM, REPOSITORY, NOW)
    assert [a.text.startswith("### No preview") for a in found.actions if isinstance(a, UpdateComment)] == [
        True
    ] * told_so


def test_cause_line_is_shown_first_and_the_log_is_indented() -> None:
    failed = replace(
        preview(1, health=Health.FAILED),
        why="It broke.",
        log=("Traceback (most recent call last):", '  File "a.py"', "Boom: `x`"),
    )
    said = comment_text(status_of(seen(failed)), PLATFORM, private=True)
    assert "\n`Boom: 'x'`\n" in said
    assert '\n  File "a.py"\n' in said


@pytest.mark.parametrize("blocked", [{"draft": True}, {"head_repository_id": 99}])
def test_comment_without_a_preview_does_not_say_how_to_remove_it(blocked: dict[str, object]) -> None:
    platform = replace(PLATFORM, policy=replace(PLATFORM.policy, drafts=False))
    found = decide(facts(pull_request(1, **blocked)), platform, REPOSITORY, NOW).statuses[identity(1)]
    assert "to remove the preview" not in comment_text(found, platform, private=True)


def test_the_account_that_labeled_may_be_gone() -> None:
    ghost = labeled(by=Actor("ghost", Kind.NOBODY))
    reason = status_of(EngineState(), label_events=(ghost,)).reason
    assert reason.text == "The account that added the label `preview` no longer exists."


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
def test_strangers_text_in_a_reason_is_escaped(written: str, shown: str) -> None:
    assert sanitize.markdown(written) == shown


@given(st.text(alphabet="`<!->[]()@#1 agh:/", max_size=40))
def test_no_sentence_opens_a_second_block(written: str) -> None:
    assert "<!--" not in sanitize.markdown(f"It says {written}<!-- greenroom:1")


@pytest.mark.parametrize(("private", "linked"), [(False, False), (True, True)])
def test_last_comment_on_a_public_pull_request_links_to_no_other_repository(private: bool, linked: bool) -> None:
    """Nobody rewrites it when that repository becomes private later."""
    user = User("storefront#3", "https://github.example.com/acme/storefront/pull/3", private=False)
    gone = Status(
        identity(1), "shop#1", "shop", "acme/shop", "", "ada", "", Stage.REMOVED, messages.ready(), used_by=(user,)
    )
    text = comment_text(gone, PLATFORM, private)
    assert "storefront#3" in text.replace("\u200b", "").replace("\\", "")
    assert ("acme/storefront" in text) is linked


@pytest.mark.parametrize(
    ("lifetime", "kept", "said"),
    [
        (
            Lifetime(inactive_after=timedelta(days=3), max_age=None),
            False,
            "The preview is removed after 3 d without activity.",
        ),
        (
            Lifetime(inactive_after=timedelta(days=3), max_age=timedelta(days=90)),
            False,
            "The preview is removed after 3 d without activity, or 90 d after its creation.",
        ),
        (
            Lifetime(inactive_after=None, max_age=timedelta(days=90)),
            False,
            "The preview is removed 90 d after its creation.",
        ),
        (Lifetime(inactive_after=None, max_age=None), False, ""),
        (Lifetime(inactive_after=None, max_age=None), True, ""),
        (
            Lifetime(inactive_after=timedelta(days=3), max_age=None),
            True,
            "The preview does not expire while the pull request has the label `preview-keep`.",
        ),
        (
            Lifetime(inactive_after=timedelta(days=3), max_age=timedelta(days=90)),
            True,
            "The preview is removed 90 d after its creation, even with the label `preview-keep`.",
        ),
    ],
)
def test_comment_says_the_expiry_that_applies(lifetime: Lifetime, kept: bool, said: str) -> None:
    assert messages.lifespan(lifetime, kept=kept) == said


def test_comment_of_a_kept_preview_does_not_say_that_inactivity_removes_it() -> None:
    kept = pull_request(1, labels=frozenset({"preview", "Preview-Keep"}))
    status = decide(facts(kept, holds=observed(1)), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    assert "without activity" not in comment_text(status, PLATFORM, private=True)
    assert "the label `preview-keep`" in comment_text(status, PLATFORM, private=True)


MIGRATED = preview(1)
HOSTILE = "x` </summary></details><img src=a>@ada <!-- greenroom"
LOSS = MigrationReport(
    (),
    1.2,
    (RanStatement(f"DROP TABLE {HOSTILE}", 1.0, (HOSTILE,)),),
    (Finding(FindingKind.TABLE_DROPPED, HOSTILE, 150, True),),
    (f"-{HOSTILE}: table",),
)
CALM = MigrationReport((), 1.0, (RanStatement("CREATE TABLE a (id int)", None, ("a",)),), ())


def migrated(*reports: MigrationReport, of: ObservedPreview = MIGRATED) -> ObservedPreview:
    names = ("shop", "billing", "search")
    found = tuple(ServiceMigration(n, f"{n}-postgresql", r) for n, r in zip(names, reports, strict=False))
    return replace(of, migrations=found)


def test_comment_says_what_the_migration_did_in_one_line_above_folded_details() -> None:
    text = comment_text(status_of(seen(migrated(CALM))), PLATFORM, private=True)
    assert "<details><summary>Migrations: 1 DDL statement, 1.0 s</summary>" in text
    assert "CREATE TABLE a (id int)" in text


def test_comment_of_a_public_repository_does_not_show_the_tables_of_a_seed() -> None:
    text = comment_text(status_of(seen(migrated(CALM, LOSS))), PLATFORM, private=False)
    assert "Migrations" not in text
    assert "DROP TABLE" not in text


def test_names_of_tables_do_nothing_in_a_comment() -> None:
    text = comment_text(status_of(seen(migrated(LOSS))), PLATFORM, private=True)
    html = cmarkgfm.github_flavored_markdown_to_html(text, cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE)
    outside = re.sub(r"<(code|pre)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert "<img" not in html
    assert "@ada" not in outside
    assert "<!--" not in html
    assert (html.count("<summary>"), html.count("</summary>"), html.count("</details>")) == (1, 1, 1)


def test_several_services_are_named_and_a_long_report_leaves_one_line() -> None:
    statements = tuple(RanStatement(f"CREATE TABLE a{i} (id int)", None) for i in range(200))
    diff = tuple(f"+a{i}: {'x' * 200}" for i in range(100))
    findings = tuple(Finding(FindingKind.ROWS_UPDATED, f"{'t' * 80}{i}", i) for i in range(60))
    long = replace(CALM, statements=statements, diff=diff, findings=findings)
    text = comment_text(status_of(seen(migrated(long, long, long))), PLATFORM, private=True)
    assert "Migrations of <code>shop</code>: 200 DDL statements" in text
    assert "\nMigrations of `search`: 200 DDL statements, 1.0 s\n" in text
    assert 20_000 < len(text) < 60_000


def test_report_of_an_earlier_commit_is_not_shown() -> None:
    found = migrated(LOSS)
    assert status_of(seen(found)).migrations == found.migrations
    assert status_of(seen(found), head_sha="b" * 40).migrations == ()
    next_spec = changed(found.spec, versions=(replace(found.spec.build.versions[0], digest="sha256:new"),))
    assert status_of(seen(found, next_spec)).migrations == ()


def test_failed_migration_has_its_cause_beside_the_log() -> None:
    failure = Failure(Cause.NULLS, "23502", "ALTER TABLE orders …", "", ("note",))
    finding = Finding(FindingKind.FAILED, "orders", 60, True, "note", of=100)
    broken = replace(
        preview(1, health=Health.FAILED), why="The migration of shop-web ended with exit code 1.", log=("a",)
    )
    found = migrated(replace(CALM, failure=failure, findings=(finding,)), of=broken)
    text = comment_text(status_of(seen(found)), PLATFORM, private=True)
    assert "failed: NULL values in <code>orders</code> (60 rows)" in text
    assert text.index("Migrations:") < text.index("<summary>Log</summary>")


def test_duplicate_with_a_later_choice_anywhere_in_its_text_is_not_deleted() -> None:
    """A person pasted an older signed line above the newer one."""
    early = SIGNER.line(identity(1), 6, SignedState(1, CommentState()))
    chosen = CommentState(choices=(LinkOverride("payments", "17", "ada", 9),))
    late = SIGNER.line(identity(1), 6, SignedState(2, chosen))
    kept = Comment(5, f"{SIGNER.line(identity(1), 5, SignedState(3, CommentState()))}\ntext")
    pasted = Comment(6, f"{early}\n{late}\ntext", trusted=False)
    plain = Comment(6, f"{early}\ntext", trusted=False)
    read = pull_request(1, comment=kept)
    assert SIGNER.duplicates(identity(1), replace(read, mine=(kept, pasted))) == ()
    assert SIGNER.duplicates(identity(1), replace(read, mine=(kept, plain))) == (6,)
