"""Player of the story: it shows each step as it happens and stops at the first one that fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
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

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a request to terminate, a closed terminal
SERVE = (sys.executable, "-m", "greenroom", "serve")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the demo. `serve` is Greenroom's own command. The demo adds the configuration's folder to it."""

    keep: bool = False
    as_json: bool = False
    state: Path | None = None
    serve: tuple[str, ...] = SERVE
    steps: Sequence[Step] = STEPS


async def play(options: Options) -> int:
    """Play the story. Return 0 if every step passed, or 1 at the first one that failed.

    The first Ctrl-C, SIGTERM or SIGHUP ends the demo. This takes a few seconds and leaves nothing running. The demo is
    the whole program, so it keeps its signal handlers when it returns.
    """
    show = shown(as_json=options.as_json)
    folder = options.state or (Path(tempfile.mkdtemp(prefix="greenroom-demo-")) if options.keep else None)
    deaf = _first_signal_ends(asyncio.current_task(), lambda: show.ends(folder))
    begun = time.monotonic()
    start = datetime.now(UTC) - PASSES  # the story ends in the present, so that kept previews show today's times
    async with stage(folder, options.serve, keep=options.keep, start=start) as found:
        try:
            return await _play(options, found, show, begun)
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


def _first_signal_ends(playing: asyncio.Task[int] | None, tell: Callable[[], None]) -> Callable[[], None]:
    """Let the first signal cancel the demo, and report that at once.

    A second Ctrl-C must not interrupt the cleanup. If the cleanup starts without a signal, call the returned function.
    A signal that was ignored before stays ignored (nohup). Do not set `SIG_IGN`, because processes started during the
    cleanup would inherit it.
    """
    loop, over = asyncio.get_running_loop(), False

    def deaf() -> None:
        nonlocal over
        over = True

    def end(playing: asyncio.Task[int]) -> None:
        playing.cancel()
        with contextlib.suppress(OSError):  # the terminal may be gone
            tell()

    def interrupted(number: int, frame: object) -> None:
        if not over and playing:
            deaf()
            loop.call_soon_threadsafe(end, playing)

    for number in ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupted)
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
