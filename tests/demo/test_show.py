"""What the demo prints: each thing once, whole in a pipe, within the terminal on a terminal."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from greenroom.demo.show import Kept, Lines, People
from greenroom.demo.story import Step

SEEN = "storefront#1 showed the catalog of catalog#1, then staging's, then catalog#1's again; both comments said so"


async def nothing(stage: object, eyes: object) -> str:
    return ""


def played(*, terminal: bool, ok: bool = True) -> str:
    out = io.StringIO()
    show = People(Console(file=out, width=80, force_terminal=terminal, color_system=None, highlight=False))
    step = Step("linked", "A comment links the second preview to the catalog of the first", nothing)
    show.begin(1, 2.7)
    show.ended(step, ok, SEEN.replace("; ", ";\n\n"), 1.6)  # a comment has many lines
    show.end(ok, 36.6)
    return out.getvalue()


def test_results_are_reported_once_in_a_table_at_the_end() -> None:
    text = played(terminal=False)
    assert text.splitlines() == [
        "Setup finished (2.7 s): a shop with three repositories. Next: 1 step.",
        "",
        "✓ A comment links the second preview to the catalog of the first (1.6 s)",
        "",
        f"step    {'observed result':<{len(SEEN)}}  seconds",
        f"linked  {SEEN}      1.6",
        "",
        "All 1 step passed in 36.6 s.",
    ]


def test_nothing_is_wider_than_the_terminal() -> None:
    text = played(terminal=True)
    assert max(map(len, text.splitlines())) <= 80
    assert "step" in text
    assert "1.6" in text


def test_failed_step_is_reported_in_the_table() -> None:
    text = played(terminal=False, ok=False)
    assert "✗ A comment links" in text
    assert f"linked  FAILED: {SEEN}" in text
    assert "The demo stopped: a step failed after 36.6 s." in text


def test_what_is_kept_is_reported_so_that_it_can_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    kept = Kept("http://127.0.0.1:1", "http://127.0.0.1:2", "/tmp/demo", "greenroom")
    People(Console(file=out, width=40, highlight=False)).keep(kept)
    assert "Dashboard  http://127.0.0.1:1\n" in out.getvalue()
    assert "export GREENROOM_ADMIN=http://127.0.0.1:2   then: greenroom list\n" in out.getvalue()
    assert "Folder     /tmp/demo\n" in out.getvalue()
    Lines().keep(kept)
    told = json.loads(capsys.readouterr().out)
    assert told == {"dashboard": "http://127.0.0.1:1", "admin": "http://127.0.0.1:2", "folder": "/tmp/demo"}


def test_an_interrupt_shows_that_the_end_takes_a_moment_and_restores_the_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = io.StringIO()
    show = People(Console(file=out, width=80, force_terminal=True, highlight=False))
    show.starts(Step("linked", "A comment links the second preview to the catalog of the first", nothing))
    show.ends(None)
    assert "Shutting down; nothing is left behind.\n" in out.getvalue()
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l"), "it was hidden, and is shown"
    Lines().ends(None)
    assert capsys.readouterr().out == ""
