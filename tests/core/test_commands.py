"""What people say in comments: which commands count, and the answer to the one that did nothing."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.catalogue import Image, Process, Repository, Service, Use
from greenroom.core.commands import Heard, Wish, heard, wish, wishes
from greenroom.core.model import Actor, Kind, Memory, Permission, Said
from greenroom.core.rows import Choice

ADA, EVE, BOT = Actor("ada"), Actor("eve"), Actor("renovate[bot]", Kind.BOT)
SHOP = Repository(
    "shop",
    "acme/shop",
    (
        Service(
            "shop",
            "shop",
            Image("r.example.com/shop"),
            (Process("web", port=80),),
            uses=(Use("payments", (("url", "A"),)), Use("stock-2", (("url", "B"),))),
        ),
    ),
)
MAY = {"ada": Permission.WRITE, "grace": Permission.ADMIN, "eve": Permission.READ, BOT.login: Permission.WRITE}
READS = {(s, p): Permission.READ for s in ("payments", "stock-2") for p in ("ada", "grace", "eve", BOT.login)}


def said(text: str, comment: int = 10, by: Actor = ADA, *, edited: bool = False) -> Said:
    return Said(comment, by, text, edited)


def listen(*comments: Said, known: Heard = Heard(), may: Mapping[str, Permission] = MAY) -> Heard:  # noqa: B008
    return heard(comments, Memory(choices=known.choices, heard=known.last), SHOP, may, READS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/preview use payments#17", [Wish("payments", "17")]),
        ("  /preview   use  payments # 17 ", [Wish("payments", "17")]),
        ("/preview use Payments staging", [Wish("payments", "staging")]),
        ("/preview use stock-2 default", [Wish("stock-2", "default")]),
        ("/preview use payments#17\nand\n/preview use stock-2#3", [Wish("payments", "17"), Wish("stock-2", "3")]),
        ("/preview use payments#0", ["/preview use payments#0"]),
        ("/preview use payments", ["/preview use payments"]),
        ("/preview", ["/preview"]),
        ("/preview dance", ["/preview dance"]),
        ("/Preview USE payments#17", [Wish("payments", "17")]),
        ("/preview use payments#17\r\n", [Wish("payments", "17")]),
        ("/preview use stoc\u212a-2#17", ["/preview use stoc\u212a-2#17"]),
        ("x\u2028/preview use payments#17", []),
        ("\u2028/preview use payments#17", []),
        ("\x1c/preview use payments#17", []),
        ("/preview use payments#17\x85", ["/preview use payments#17\x85"]),
        ("/previews use payments#17", []),
        ("please /preview use payments#17", []),
        ("", []),
    ],
)
def test_a_command_is_a_line_of_its_own(text: str, found: list[Wish | str]) -> None:
    assert wishes(text) == found


@pytest.mark.parametrize("text", ["payments#17", "payments staging", " Payments default "])
def test_the_command_line_takes_the_same_words(text: str) -> None:
    assert wish(text)


@pytest.mark.parametrize("text", ["payments", "payments#x", "#17", "payments#17 now", "use payments#17"])
def test_what_is_no_wish(text: str) -> None:
    assert wish(text) is None


def test_the_later_comment_counts_in_whatever_order_they_are_read() -> None:
    both = (said("/preview use payments#1", 10), said("/preview use payments staging", 11))
    assert listen(*both) == listen(*reversed(both)) == Heard((Choice("payments", "staging", "ada", 11),), None, 11)


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from(["1", "2", "staging"])), unique_by=lambda c: c[0]))
def test_hearing_twice_changes_nothing(comments: list[tuple[int, str]]) -> None:
    spoken = [said(f"/preview use payments{'#' if t.isdigit() else ' '}{t}", n) for n, t in comments]
    once = listen(*spoken)
    assert listen(*spoken, known=once) == once
    half = listen(*spoken[: len(spoken) // 2])
    assert listen(*spoken, known=half) == once, "whatever was read before"


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        (said("/preview use payments#1", edited=True), "command-edited"),
        (said("/preview dance"), "command-unknown"),
        (said("/preview use paymnts#1"), "command-no-service"),
        (said("/preview use payments#1", by=EVE), "command-not-allowed"),
        (said("/preview use payments#1", by=BOT), ""),
    ],
)
def test_what_commands_nothing_is_answered(comment: Said, code: str) -> None:
    found = listen(comment)
    assert found.choices == ()
    assert (found.answer.code if found.answer else "") == code


def test_an_unknown_service_is_told_the_nearest_one() -> None:
    answer = listen(said("/preview use paymnts#1")).answer
    assert answer
    assert answer.fix == "Did you mean `payments`?"
    answer = listen(said("/preview use x`y#1")).answer
    assert answer
    assert "x`y" not in answer.text, "nobody leaves the code span"


def test_an_old_mistake_is_forgotten_once_a_command_worked() -> None:
    wrong, right = said("/preview dance", 10), said("/preview use payments#1", 11)
    assert listen(wrong, right).answer is None
    assert listen(right, said("/preview dance", 12)).answer


def test_what_was_asked_for_after_a_comment_counts_when_the_comments_are_read_anew() -> None:
    asked = Choice("payments", "17", "the platform team", 10)
    assert listen(said("/preview use payments staging", 10), known=Heard((asked,))).choices == (asked,)


def test_who_may_write_later_said_nothing_before() -> None:
    command = said("/preview use payments#1", by=EVE)
    refused = listen(command)
    promoted = listen(command, known=refused, may={**MAY, "eve": Permission.WRITE})
    assert (promoted.choices, promoted.answer) == ((), refused.answer), "and is told the same"
    again = listen(command, said("/preview use payments#1", 11, EVE), known=promoted, may={"eve": Permission.WRITE})
    assert [c.to for c in again.choices] == ["1"]


def test_a_mistake_beside_a_command_is_answered() -> None:
    found = listen(said("/preview use payments#1\n/preview keep"))
    assert [c.to for c in found.choices] == ["1"]
    assert found.answer
    assert "`/preview keep`, which is no command" in found.answer.text


def test_who_may_not_read_the_target_chooses_it_in_vain() -> None:
    found = heard([said("/preview use payments#1")], Memory(), SHOP, MAY, {("payments", "ada"): Permission.NONE})
    assert found.choices == (Choice("payments", "1", "ada", 10, refused=True),), "told as if there were no such preview"


@pytest.mark.parametrize("unread", ["own", "target"])
def test_while_github_does_not_say_who_may_the_command_waits(unread: str) -> None:
    may = {} if unread == "own" else MAY
    reads = {} if unread == "target" else READS
    before = (Choice("payments", "staging", "grace", 3),)
    comments = [said("/preview use payments#1"), said("/preview use payments#2", 11, Actor("grace"))]
    found = heard(comments[:1], Memory(choices=before), SHOP, may, reads)
    assert found == Heard(before, None, 9)
    known = {"grace": Permission.ADMIN, **may}
    found = heard(comments, Memory(choices=before), SHOP, known, {("payments", "grace"): Permission.READ, **reads})
    assert [c.to for c in found.choices] == ["2"], "what was said after it does not"
    assert heard(comments, Memory(choices=found.choices, heard=found.last), SHOP, MAY, READS).choices == found.choices
