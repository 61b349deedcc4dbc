"""Pretence would be noticed: a Greenroom that is broken in one place ends the demo with 1, at exactly that step."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from greenroom.demo.story import STEPS

SABOTAGED = Path(__file__).parent / "sabotaged.py"


async def played(sabotage: str) -> tuple[int, list[dict[str, object]]]:
    """Run `greenroom demo --json` with a saboteur's `serve`; exit code and lines."""
    code = (
        "import asyncio, sys; from greenroom.demo.play import Options, play;"
        f"sys.exit(asyncio.run(play(Options(as_json=True, serve=({sys.executable!r}, {str(SABOTAGED)!r}, {sabotage!r})))))"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(child.communicate(), 240)
    lines = [json.loads(x) for x in output.decode().splitlines() if x.startswith("{")]
    return child.returncode or 0, lines


@pytest.mark.parametrize(
    ("sabotage", "step", "words"),
    [
        ("proxy-stopped", "ready", "connection attempts failed"),
        ("seed-row-altered", "ready", "the rows are not those of the seed"),
        ("removal-is-nothing", "paired", "still has processes"),
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
