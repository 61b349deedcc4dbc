"""Background tasks: a failure is logged and the task is restarted, and the owner of tasks ends them together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from greenroom.core.planning import backoff

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
            pause = backoff.pause(BACKOFF_SECONDS, failures)
            failures += 1
            log.exception("background task failed; restarting", work=name, seconds=pause)
            await sleep(pause)


class Tasks:
    """The background tasks of one owner. `failed` is called with the error of a task that ends with one.

    asyncio.TaskGroup would cancel its owner instead. The owner here is a long-lived object that has to stop in order.
    """

    def __init__(self, failed: Callable[[BaseException], None] = lambda error: None) -> None:
        self._failed = failed
        self._running: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> bool:
        """Return whether any task has not ended yet."""
        return any(not task.done() for task in self._running)  # a callback removes ended ones a moment later

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run this in the background until it returns or `aclose` cancels it. Return its task, to wait for its end."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep(self, name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Run this in the background as `supervised` does: it starts again after an error. Return its task."""
        return self.start(name, supervised(name, work))

    async def join(self) -> None:
        """Wait until all tasks have returned."""
        await asyncio.gather(*self._running)

    async def aclose(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("background task ended with an error", work=task.get_name(), error=repr(error))
            self._failed(error)
