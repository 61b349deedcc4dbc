"""Which lines of what people write say something: those that everybody reads as plain text, and each of them whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.model.github import PullRequest
from greenroom.core.policy.commands import UseCommand, wishes
from greenroom.github import translate
from greenroom.github.markdown import plain_lines

COMMAND = "/preview use payments#17"
TIME = "2026-03-02T09:00:00Z"
EMPTY: dict[str, Any] = {"pageInfo": {"hasNextPage": False, "hasPreviousPage": False}, "nodes": []}


def read(*comments: str, body: str = "") -> PullRequest:
    """A pull request with this description and these comments of a person."""
    node = {
        "number": 1,
        "title": "A change",
        "body": body,
        "url": "https://github.example.com/acme/shop/pull/1",
        "author": {"__typename": "User", "login": "ada"},
        "state": "OPEN",
        "isDraft": False,
        "headRefOid": "a" * 40,
        "headRefName": "idea",
        "headRepository": {"databaseId": 7},
        "baseRefName": "main",
        "baseRefOid": "b" * 40,
        "baseRef": {"target": {"oid": "b" * 40}},
        "files": EMPTY,
        "changedFiles": 0,
        "mergeable": "UNKNOWN",
        "labels": EMPTY,
        "labelEvents": EMPTY,
        "activity": EMPTY,
        "potentialMergeCommit": None,
        "createdAt": TIME,
        "updatedAt": TIME,
        "closedAt": None,
    }
    said = [
        {
            "databaseId": n,
            "body": text,
            "createdAt": TIME,
            "author": {"__typename": "User", "login": "grace"},
            "editor": None,
        }
        for n, text in enumerate(comments, start=1)
    ]
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    return translate.pull_request(7, node, said, "greenroom[bot]", "<!-- greenroom:1 test ", now)


def commands_in(text: str) -> str:
    """What is kept of one comment."""
    return "|".join(one.text for one in read(text).said)


COUNTS = {
    "alone": COMMAND,
    "among others": f"Look:\n{COMMAND}\nThanks!",
    "as GitHub ends lines": f"Look:\r\n{COMMAND}\r\n",
    "indented by less than code": f"   {COMMAND}",
    "after a fence": f"```sh\nmake\n```\n{COMMAND}",
    "after a fence in a list": f"10. ~~~\n    make\n    ~~~\n\n{COMMAND}",
    "after a span": f"```make```\n{COMMAND}",
    "after a comment": f"<!-- a template\nof ours -->\n{COMMAND}",
    "with a comment behind": f"{COMMAND} <!-- for now -->",
    "after code that shows a comment": f"Write `<!--` to hide it.\n{COMMAND}",
    "after a quote": f"> ```\n> make\n\n{COMMAND}",
    "after a shorter fence within": f"````\n```\n````\n{COMMAND}",
}
SAYS_NOTHING = {
    "quoted": f"> {COMMAND}",
    "in a sentence": f"Write {COMMAND}",
    "fenced": f"```\n{COMMAND}\n```",
    "fenced with tildes": f"~~~ text\n{COMMAND}\n~~~",
    "fenced by more": f"````\n```\n{COMMAND}\n````",
    "fenced and never closed": f"```\n\n{COMMAND}",
    "fenced, and the other fence closes nothing": f"```\n~~~\n{COMMAND}",
    "fenced, and what looks like an end is none": f"```\n    ```\n{COMMAND}\n``` no\n{COMMAND}",
    "fenced in a list": f"- ```\n  {COMMAND}\n  ```",
    "indented as code": f"For example:\n\n    {COMMAND}",
    "indented by a tab": f"For example:\n\n\t{COMMAND}",
    "indented by a space and a tab": f"For example:\n\n \t{COMMAND}",
    "hidden": f"<!--\n{COMMAND}\n-->",
    "hidden from the middle of a line": f"Hello <!-- you\n{COMMAND}\n-->",
    "hidden again": f"<!-- one\n--> and <!-- two\n{COMMAND}\n-->",
    "hidden for good": f"<!--\n{COMMAND}",
    "at the end of what is hidden": f"<!--\n--> {COMMAND}",
}


@pytest.mark.parametrize("text", COUNTS.values(), ids=COUNTS)
def test_a_line_that_everybody_reads_commands(text: str) -> None:
    assert wishes(commands_in(text)) == [UseCommand("payments", "17")]


@pytest.mark.parametrize("text", SAYS_NOTHING.values(), ids=SAYS_NOTHING)
def test_what_is_code_or_hidden_commands_nothing(text: str) -> None:
    assert commands_in(text) == ""


@pytest.mark.parametrize("prefix", ["/preview", "/Preview", "/PREVIEW"])
def test_the_command_is_kept_in_any_case(prefix: str) -> None:
    assert commands_in(f"{prefix} use payments#17") == f"{prefix} use payments#17"


@pytest.mark.parametrize("end", ["\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_only_a_newline_ends_a_line(end: str) -> None:
    assert commands_in(f"Look{end}{COMMAND}") == ""
    assert "\n" not in commands_in(f"{COMMAND}{end}/preview use payments#99")
    assert len(commands_in(f"{COMMAND}{end}/preview use payments#99").splitlines()) == 1


@pytest.mark.parametrize("odd", ["\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_control_characters_and_line_separators_do_not_separate_words_of_a_command(odd: str) -> None:
    """Nobody sees them, so nobody meant them: such a line is answered as an unknown command and does nothing."""
    assert commands_in(f"{odd}{COMMAND}") == ""
    for line in (f"/preview{odd}use payments#17", f"/preview use{odd}payments#17", f"{COMMAND}{odd}"):
        (found,) = wishes(commands_in(line))
        assert isinstance(found, str), line
        assert "\N{REPLACEMENT CHARACTER}" in found, "the answer shows where it stands"


@pytest.mark.parametrize("before", range(0, 60))
def test_no_command_is_cut_in_the_middle_after_others(before: int) -> None:
    text = "/preview use payments staging\n" * 15 + f"/preview{' ' * before} use payments#17"
    assert wishes(commands_in(text))[-1] == UseCommand("payments", "17")


@pytest.mark.parametrize("length", range(translate.LENGTH - 5, translate.LENGTH + 5))
def test_a_command_that_is_too_long_is_none_and_not_half_of_one(length: int) -> None:
    line = f"/preview {'use payments#17'.rjust(length - 9)}"
    [found] = wishes(commands_in(line))
    assert found == UseCommand("payments", "17") if len(line) <= translate.LENGTH else isinstance(found, str)


@pytest.mark.parametrize("hidden", ["<!-- 8 -->", "<!-- 8", "<!---->9"])
def test_what_is_hidden_changes_no_number(hidden: str) -> None:
    assert wishes(commands_in(f"{COMMAND}{hidden}"))[0] in (UseCommand("payments", "17"), "/preview use payments#17 9")


def test_only_the_last_of_many_commands_count() -> None:
    kept = commands_in("\n".join(f"/preview use payments#{n}" for n in range(1, 71))).split("\n")
    assert (len(kept), kept[-1]) == (translate.LINES, "/preview use payments#70")


def test_a_pair_is_named_in_plain_lines_only() -> None:
    body = "<!--\nPreview-with: acme/web#1\n-->\n```\nPreview-with: acme/web#2\n```\npreview-With: Acme/Web#3\r\n"
    assert read(body=body).mentions == ("acme/web#3",)


@given(st.text(alphabet="`~<!->\n\t /preview#1", max_size=200))
def test_nothing_that_is_kept_was_not_written(text: str) -> None:
    lines = plain_lines(text)
    assert len(lines) <= len(text.split("\n"))
    assert not [line for line in lines if len(line.splitlines()) > 1 or "<!--" in line]
