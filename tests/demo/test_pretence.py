"""Pretence would be noticed: a Greenroom that is broken in one place ends the demo with 1, at exactly that step."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from greenroom.demo.story import STEPS

SABOTAGED = Path(__file__).parent / "sabotaged.py"


async def played(sabotage: str, only: tuple[str, ...] = ()) -> tuple[int, list[dict[str, object]]]:
    """Run `greenroom demo --json` with a saboteur's `serve`, all steps or only these; exit code and lines."""
    serve = (sys.executable, str(SABOTAGED), sabotage)
    code = (
        "import asyncio, sys; from greenroom.demo.play import STEPS, Options, play;"
        f"steps = [s for s in STEPS if s.name in {only or tuple(s.name for s in STEPS)!r}];"
        f"sys.exit(asyncio.run(play(Options(as_json=True, serve={serve!r}, steps=steps))))"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(child.communicate(), 240)
    lines = [json.loads(x) for x in output.decode().splitlines() if x.startswith("{")]
    assert lines, output.decode()
    return child.returncode or 0, lines


@pytest.mark.parametrize(
    ("sabotage", "step", "words"),
    [
        ("proxy-stopped", "ready", "connection attempts failed"),
        ("seed-row-altered", "ready", "the rows are not those of the seed"),
        ("removal-is-nothing", "paired", "still has processes"),
        ("processes-unmarked", "paired", "still has processes"),
        ("links-lead-away", "ready", "leads away from this machine"),
        ("worker-never-starts", "push", "the worker of catalog#1 has written nothing"),
        ("comment-says-the-opposite", "ready", "the comment on catalog#1 does not say"),
    ],
)
async def test_the_demo_stops_at_the_step_that_was_not_seen(sabotage: str, step: str, words: str) -> None:
    code, lines = await played(sabotage)
    *steps, summary = lines
    assert code == 1
    assert summary["ok"] is False
    assert [s["step"] for s in steps if not s["ok"]] == [step]
    assert steps[-1]["step"] == step
    assert words in str(steps[-1]["seen"])


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        ("database-stays", "still has databases"),
        ("link-stays", "shows another catalog"),
        ("nobody-is-told", "the comment on storefront#1 does not say"),
    ],
)
async def test_the_last_step_notices_what_is_left_and_who_is_not_informed(sabotage: str, words: str) -> None:
    only = ("label", "ready", "push", "second", "linked", "close")
    code, lines = await played(sabotage, only)
    *steps, summary = lines
    assert (code, summary["ok"]) == (1, False)
    assert [(s["step"], s["ok"]) for s in steps] == [(name, name != "close") for name in only]
    assert words in str(steps[-1]["seen"])


async def test_the_demo_sees_every_step() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "greenroom", "demo", "--json", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(child.communicate(), 240)
    *steps, summary = [json.loads(x) for x in output.decode().splitlines()]
    assert [s for s in steps if not s["ok"]] == []
    assert [s["step"] for s in steps] == [s.name for s in STEPS]
    assert summary["ok"] is True
    assert child.returncode == 0
