"""Play the story: show each step as it happens, stop at the first that was not really seen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from greenroom.demo.kept import leave
from greenroom.demo.outside import Eyes, NotSeen
from greenroom.demo.show import Kept, Shown, shown
from greenroom.demo.stage import Stage, stage
from greenroom.demo.story import PASSES, STEPS, Step
from greenroom.errors import GreenroomError

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a polite end, a terminal that was closed
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
    """Play it; 0 when every step was really seen, 1 at the first that was not.

    The first Ctrl-C, SIGTERM or SIGHUP ends it, which takes a few seconds: nothing is left running. It is the program:
    signals stay its own.
    """
    deaf = _first_signal_ends(asyncio.current_task())
    show = shown(as_json=options.as_json)
    begun = time.monotonic()
    start = datetime.now(UTC) - PASSES  # the story ends at the present, so that what is kept shows times of today
    async with stage(options.state, options.serve, keep=options.keep, start=start) as found:
        try:
            return await _play(options, found, show, begun)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):  # the terminal may be gone
                show.ends()
            raise
        finally:
            deaf()


async def _play(options: Options, found: Stage, show: Shown, begun: float) -> int:
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


def _first_signal_ends(playing: asyncio.Task[int] | None) -> Callable[[], None]:
    """Let the first signal cancel what is played; whoever presses Ctrl-C again must not cut off what cleans up.

    Call what is returned when the cleaning begins by itself. A signal that was ignored before stays so (nohup). No
    `SIG_IGN` of ours: everything that is started while we clean up would inherit it.
    """
    loop, over = asyncio.get_running_loop(), False

    def deaf() -> None:
        nonlocal over
        over = True

    def told(number: int, frame: object) -> None:
        if not over and playing:
            deaf()
            loop.call_soon_threadsafe(playing.cancel)

    for number in ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, told)
    return deaf


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
