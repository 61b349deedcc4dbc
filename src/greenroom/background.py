"""Supervision of background tasks: a failure is logged and the task is restarted, so none ends unnoticed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

BACKOFF_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
SETTLED_SECONDS = 60.0


async def supervised(
    name: str,
    work: Callable[[], Awaitable[None]],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Run `work` until it returns. When it raises, log the traceback under `name` and run it again after a pause.

    The pause grows from 1 to 30 seconds and starts over once the work has lasted a minute. Cancellation ends it.
    """
    failures = 0
    while True:
        begun = monotonic()
        try:
            return await work()
        except Exception:
            failures = 0 if monotonic() - begun >= SETTLED_SECONDS else failures
            pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)]
            failures += 1
            log.exception("background task failed; restarting", work=name, seconds=pause)
            await sleep(pause)
