"""Play the story: show each step as it happens, stop at the first that was not really seen."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from greenroom.demo.kept import leave
from greenroom.demo.outside import Eyes, NotSeen
from greenroom.demo.show import Kept, Shown, shown
from greenroom.demo.stage import Stage, stage
from greenroom.demo.story import PASSES, STEPS, Step
from greenroom.errors import GreenroomError

SERVE = (sys.executable, "-m", "greenroom", "serve")


@dataclass(frozen=True, slots=True)
class Options:
    """How to play: `serve` is the command of Greenroom itself, to which the configuration's folder is added."""

    keep: bool = False
    as_json: bool = False
    state: Path | None = None
    serve: tuple[str, ...] = SERVE
    steps: Sequence[Step] = STEPS


async def play(options: Options) -> int:
    """Play it; 0 when every step was really seen, 1 at the first that was not. SIGTERM ends it as Ctrl-C does."""
    playing = asyncio.current_task()
    if playing:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    show = shown(as_json=options.as_json)
    begun = time.monotonic()
    start = datetime.now(UTC) - PASSES  # the story ends at the present, so that what is kept shows times of today
    async with stage(options.state, options.serve, keep=options.keep, start=start) as found:
        eyes = Eyes(found)
        show.begin(len(options.steps), time.monotonic() - begun)
        for step in options.steps:
            if not await _step(step, show, eyes):
                show.end(ok=False, seconds=time.monotonic() - begun)
                return 1
        show.end(ok=True, seconds=time.monotonic() - begun)
        if options.keep:
            await leave(found, eyes)
            show.keep(_kept(found))
            await asyncio.Event().wait()
    return 0


def _kept(found: Stage) -> Kept:
    beside = Path(sys.executable).with_name("greenroom")
    program = "greenroom" if shutil.which("greenroom") or not beside.exists() else os.path.relpath(beside)
    dashboard, admin = (f"http://127.0.0.1:{found.ports[name]}" for name in ("dashboard", "admin"))
    return Kept(dashboard, admin, str(found.folder), program)


async def _step(step: Step, show: Shown, eyes: Eyes) -> bool:
    begun = time.monotonic()
    show.starts(step)
    try:
        seen, ok = await step.play(eyes.stage, eyes), True
    except (NotSeen, GreenroomError) as error:
        seen, ok = str(error), False
    except Exception as error:
        seen, ok = f"{type(error).__name__}: {error}", False
    show.ended(step, ok, seen, time.monotonic() - begun)
    return ok
