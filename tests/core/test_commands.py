"""What people say in comments: which commands count, and the answer to the one that did nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW
from greenroom.core.model.catalog import Image, Platform, Process, Repository, Service, Use
from greenroom.core.model.github import Actor, CommandComment, CommentState, Kind, Permission, Permissions
from greenroom.core.model.spec import LinkOverride
from greenroom.core.policy.commands import CommandResult, Targets, UseCommand, heard, wish, wishes

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
BILLING = Service("payments", "billing", Image("r.example.com/billing"), (Process("web", port=80),))
STORE = Repository(
    "store",
    "acme/store",
    (replace(BILLING, name="stock-2"), replace(BILLING, name="stock-1"), replace(BILLING, name="x")),
)
PLATFORM = Platform("test", "preview.example.com", (SHOP, Repository("billing", "Acme/Billing", (BILLING,)), STORE))
TARGETS = Targets.of(SHOP, PLATFORM)
LOGINS = {"ada": Permission.WRITE, "grace": Permission.ADMIN, "eve": Permission.READ, BOT.login: Permission.WRITE}
OWNERS = {"payments": "Acme/Billing", "stock-2": "acme/store"}


def permissions(logins: Mapping[str, Permission] = LOGINS, reads: Permission = Permission.READ) -> Permissions:
    here = {("acme/shop", login): permission for login, permission in logins.items()}
    return Permissions("acme/shop", here | {(o, login): reads for o in OWNERS.values() for login in LOGINS}, OWNERS)


MAY = permissions()


def commented(text: str, comment: int = 10, by: Actor = ADA, *, edited: bool = False) -> CommandComment:
    return CommandComment(comment, by, text, NOW, edited)


NOTHING_HEARD = CommandResult()


def listen(*comments: CommandComment, known: CommandResult = NOTHING_HEARD, may: Permissions = MAY) -> CommandResult:
    return heard(comments, CommentState(choices=known.choices, heard=known.last), TARGETS, may, NOW)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/preview use payments#17", [UseCommand("payments", "17")]),
        ("/preview use payments#\u200b17", [UseCommand("payments", "17")]),
        ("  /preview   use  payments # 17 ", [UseCommand("payments", "17")]),
        ("/preview use Payments staging", [UseCommand("payments", "staging")]),
        ("/preview use stock-2 default", [UseCommand("stock-2", "default")]),
        (
            "/preview use payments#17\nand\n/preview use stock-2#3",
            [UseCommand("payments", "17"), UseCommand("stock-2", "3")],
        ),
        ("/preview use payments#0", ["/preview use payments#0"]),
        ("/preview use payments", ["/preview use payments"]),
        ("/preview", ["/preview"]),
        ("/preview dance", ["/preview dance"]),
        ("/Preview USE payments#17", [UseCommand("payments", "17")]),
        ("/preview use payments#17\r\n", [UseCommand("payments", "17")]),
        ("/preview use stoc\u212a-2#17", ["/preview use stoc\u212a-2#17"]),
        ("/preview use acme/Payments#17", [UseCommand("acme/payments", "17")]),
        ("/preview use https://github.com/acme/payments/pull/17/files#r1", [UseCommand("acme/payments", "17")]),
        ("/preview\u00a0use\u2003payments\u202f#17\u3000", [UseCommand("payments", "17")]),
        ("/preview use stock\u20112#3", [UseCommand("stock-2", "3")]),
        (
            "/preview use stock\u20132#3\n/preview use stock\u22122#4",
            [UseCommand("stock-2", "3"), UseCommand("stock-2", "4")],
        ),
        ("/preview use pay\u200bments#17", ["/preview use pay\u200bments#17"]),
        ("x\u2028/preview use payments#17", []),
        ("\u2028/preview use payments#17", []),
        ("\x1c/preview use payments#17", []),
        ("/preview use payments#17\x85", ["/preview use payments#17\x85"]),
        ("/previews use payments#17", []),
        ("please /preview use payments#17", []),
        ("", []),
    ],
)
def test_a_command_is_a_line_of_its_own(text: str, found: list[UseCommand | str]) -> None:
    assert wishes(text) == found


@pytest.mark.parametrize("text", ["payments#17", "payments staging", " Payments default "])
def test_the_command_line_takes_the_same_words(text: str) -> None:
    assert wish(text)


@pytest.mark.parametrize("text", ["payments", "payments#x", "#17", "payments#17 now", "use payments#17"])
def test_text_that_is_not_a_command_is_ignored(text: str) -> None:
    assert wish(text) is None


def test_the_later_comment_counts_in_whatever_order_they_are_read() -> None:
    both = (commented("/preview use payments#1", 10), commented("/preview use payments staging", 11))
    assert (
        listen(*both)
        == listen(*reversed(both))
        == CommandResult((LinkOverride("payments", "staging", "ada", 11),), None, 11)
    )


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from(["1", "2", "staging"])), unique_by=lambda c: c[0]))
def test_hearing_twice_changes_nothing(comments: list[tuple[int, str]]) -> None:
    spoken = [commented(f"/preview use payments{'#' if t.isdigit() else ' '}{t}", n) for n, t in comments]
    once = listen(*spoken)
    assert listen(*spoken, known=once) == once
    half = listen(*spoken[: len(spoken) // 2])
    assert listen(*spoken, known=half) == once, "whatever was read before"


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        (commented("/preview use payments#1", edited=True), "command-edited"),
        (commented("/preview dance"), "command-unknown"),
        (commented("/preview use paymnts#1"), "command-no-service"),
        (commented("/preview use payments#1", by=EVE), "command-not-allowed"),
        (commented("/preview use payments#1", by=BOT), ""),
    ],
)
def test_what_commands_nothing_is_answered(comment: CommandComment, code: str) -> None:
    found = listen(comment)
    assert found.choices == ()
    assert (found.answer.code if found.answer else "") == code


@pytest.mark.parametrize(
    "written", ["payments", "acme/billing", "ACME/Billing", "billing", "https://git.test/acme/billing/pull/"]
)
def test_command_accepts_the_name_of_a_service_or_of_its_repository(written: str) -> None:
    target = f"{written}17" if written.endswith("/") else f"{written}#17"
    assert listen(commented(f"/preview use {target}")).choices == (LinkOverride("payments", "17", "ada", 10),)


def test_answer_lists_services_when_the_named_repository_has_several() -> None:
    shop = replace(SHOP, services=(replace(SHOP.services[0], uses=(Use("stock-1", ()), Use("stock-2", ()))),))
    targets = Targets.of(shop, replace(PLATFORM, repositories=(shop, STORE)))
    found = heard([commented("/preview use acme/store#3")], CommentState(), targets, MAY, NOW)
    assert found.choices == ()
    assert found.answer is not None
    assert found.answer.fix == "Comment `/preview use stock-2#3` or `/preview use stock-1#3`."


def test_answer_lists_used_services_when_the_named_repository_has_none() -> None:
    answer = listen(commented("/preview use acme/other#3")).answer
    assert (
        str(answer) == "ada named `acme/other`, which this preview does not use. This preview uses payments, stock-2."
    )


def test_answer_names_an_invisible_character() -> None:
    answer = listen(commented("/preview use pay\u200bments#17")).answer
    assert answer is not None
    assert answer.text.endswith("which is not a command: it contains ZERO WIDTH SPACE.")


@pytest.mark.parametrize(
    ("word", "name"),
    [("\u0440ayments", "CYRILLIC SMALL LETTER ER"), ("\u201cpayments\u201d", "LEFT DOUBLE QUOTATION MARK")],
)
def test_answer_names_a_character_that_looks_like_another(word: str, name: str) -> None:
    answer = listen(commented(f"/preview use {word}#17")).answer
    assert answer is not None
    assert answer.text.endswith(f"which is not a command: it contains {name}.")


def test_answer_does_not_blame_a_letter_that_everybody_sees() -> None:
    answer = listen(commented("/preview please add café")).answer
    assert answer is not None
    assert answer.text.endswith("which is not a command.")


def test_answer_to_an_unknown_service_names_the_nearest_one() -> None:
    answer = listen(commented("/preview use paymnts#1")).answer
    assert answer
    assert answer.fix == "Did you mean `payments`?"
    answer = listen(commented("/preview use x`y#1")).answer
    assert answer
    assert "x`y" not in answer.text, "nobody leaves the code span"


def test_an_old_mistake_is_forgotten_once_a_command_worked() -> None:
    wrong, right = commented("/preview dance", 10), commented("/preview use payments#1", 11)
    assert listen(wrong, right).answer is None
    assert listen(right, commented("/preview dance", 12)).answer


def test_what_was_asked_for_after_a_comment_counts_when_the_comments_are_read_again() -> None:
    asked = LinkOverride("payments", "17", "the platform team", 10)
    assert listen(commented("/preview use payments staging", 10), known=CommandResult((asked,))).choices == (asked,)


def test_commands_from_before_a_person_may_write_do_not_count() -> None:
    command = commented("/preview use payments#1", by=EVE)
    refused = listen(command)
    promoted = listen(command, known=refused, may=permissions({**LOGINS, "eve": Permission.WRITE}))
    assert (promoted.choices, promoted.answer) == ((), refused.answer), "and is told the same"
    again = listen(
        command,
        commented("/preview use payments#1", 11, EVE),
        known=promoted,
        may=permissions({"eve": Permission.WRITE}),
    )
    assert [c.to for c in again.choices] == ["1"]


def test_a_mistake_beside_a_command_is_answered() -> None:
    found = listen(commented("/preview use payments#1\n/preview keep"))
    assert [c.to for c in found.choices] == ["1"]
    assert found.answer
    assert "`/preview keep`, which is not a command" in found.answer.text


def test_choice_without_read_access_to_the_target_has_no_effect() -> None:
    found = listen(commented("/preview use payments#1"), may=permissions(reads=Permission.NONE))
    assert found.choices == (LinkOverride("payments", "1", "ada", 10, refused=True),), (
        "told as if there were no such preview"
    )


@pytest.mark.parametrize("unread", ["own", "target"])
def test_while_github_does_not_say_who_may_the_command_waits(unread: str) -> None:
    of_ada = {("acme/shop", "ada")} if unread == "own" else {("Acme/Billing", "ada")}
    may = replace(MAY, people={key: permission for key, permission in MAY.people.items() if key not in of_ada})
    before = CommandResult((LinkOverride("payments", "staging", "grace", 3),))
    comments = [commented("/preview use payments#1"), commented("/preview use payments#2", 11, Actor("grace"))]
    found = listen(comments[0], known=before, may=may)
    assert found == CommandResult(before.choices, None, 9)
    found = listen(*comments, known=before, may=may)
    assert [c.to for c in found.choices] == ["2"], "what was said after it does not"
    assert listen(*comments, known=found).choices == found.choices
