"""One keyed loop per repository. Hints coalesce, errors back off by their type, and a resync runs periodically.

Each pass reads the whole list of a repository, so a burst of webhooks must not become a burst of passes. Passes
triggered by webhooks keep a distance, which grows as GitHub's rate limit runs low. The first one after a quiet period
runs at once, and so do a few passes in a row that Greenroom itself triggers. Exceptions in a pass never end the loop.
Stopping waits for the running pass, so no action is interrupted.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from greenroom.background import Tasks
from greenroom.core.planning import backoff
from greenroom.errors import FixConfiguration, FixCredentials, GreenroomError, RetryLater

log = structlog.get_logger(__name__)

Pass = Callable[[str], Awaitable[float | None]]
Trouble = Callable[[str, str], None]
DISTANCE = 1.0
LONGEST_DISTANCE = 60.0
BACKOFF_SECONDS = backoff.growing(2.0, 300.0)
STEPS = 8.0
"""Number of passes that may run back to back after local changes. A removal takes four passes."""


@dataclass(slots=True)
class _Key:
    """One repository's state in the loop. `due` is monotonic; a wake can only move it earlier.

    `not_before` is the time that GitHub requested; no wake overrides it. `begun` is the start of the last pass. `steps`
    is the number of passes that may follow it sooner than the distance.
    """

    due: float
    not_before: float = 0.0
    begun: float = -math.inf
    steps: float = STEPS
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0


def back_off(error: Exception, failures: int) -> float:
    """Return the seconds until the next try, by the type of error: doubling from 2 s, up to 5 minutes.

    Errors that a person must fix are retried once a minute. GitHub's own delay (`Retry-After`) takes precedence.
    """
    if isinstance(error, RetryLater) and error.after is not None:
        return error.after
    if isinstance(error, FixCredentials | FixConfiguration):
        return 60.0
    return backoff.pause(BACKOFF_SECONDS, failures)


def spaced(remaining: int, limit: int) -> float:
    """Return the seconds between two passes of a repository: one with the whole budget left, two with half of it.

    All repositories share the hourly points that passes cost. The remaining points must last until the reset.
    """
    return min(LONGEST_DISTANCE, DISTANCE * max(1.0, limit / max(1, remaining)))


class Loop:
    """Runs `one_pass(key)` for each key when it is due. Calls `trouble(key, sentence)` after each failed pass.

    `resync` is in seconds. `distance` returns the seconds between two passes of a key.
    """

    def __init__(
        self, one_pass: Pass, trouble: Trouble, *, resync: float, distance: Callable[[], float] = lambda: DISTANCE
    ) -> None:
        self._pass = one_pass
        self._trouble = trouble
        self._distance = distance
        self._resync = resync
        self._keys: dict[str, _Key] = {}
        self._tasks = Tasks()
        self._last: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    def keep(self, keys: set[str]) -> None:
        """Loop over exactly these keys from now on. Start new ones at once, after the last pass of the same name."""
        for gone in self._keys.keys() - keys:
            self._keys[gone].woken.set()
            del self._keys[gone]
        for new in keys - self._keys.keys():
            self._keys[new] = _Key(due=time.monotonic())
            running = partial(self._run, new, self._keys[new], self._last.get(new))
            self._last[new] = self._tasks.keep(f"{new} passes", running)

    def hint(self, key: str) -> None:
        """Schedule a pass because of a webhook, at a distance from the last pass. Ignore unknown keys."""
        if found := self._keys.get(key):
            self._pull(found, max(time.monotonic(), found.begun + self._distance()))

    def wake(self, key: str) -> None:
        """Schedule a pass now because of a local change, or at a distance after many of them. Ignore unknown keys."""
        if found := self._keys.get(key):
            self._pull(found, max(time.monotonic(), found.begun + self._distance() if found.steps < 1 else 0.0))

    def _pull(self, key: _Key, due: float) -> None:
        key.due = min(key.due, due)
        key.woken.set()

    def wake_all(self) -> None:
        """Schedule a pass for every key now."""
        for key in self._keys:
            self.wake(key)

    @property
    def resync(self) -> float:
        """Return the seconds between two passes that nothing else triggers."""
        return self._resync

    def resync_every(self, seconds: float) -> None:
        """Use another resync period from the next pass on."""
        self._resync = seconds

    @property
    def waiting(self) -> int:
        """Return how many keys are due now."""
        now = time.monotonic()
        return sum(k.due <= now for k in self._keys.values())

    async def stop(self) -> None:
        """Wait for each running pass to end, and start no others."""
        self._stopping = True
        for key in self._keys.values():
            key.woken.set()
        await self._tasks.join()

    async def _run(self, name: str, key: _Key, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait([after])
        while not self._stopping and self._keys.get(name) is key:
            wait = max(key.due, key.not_before) - time.monotonic()
            if wait > 0:
                await _sleep(key.woken, wait)
                continue
            key.woken.clear()
            key.due = self._next_resync()
            self._begin(key)
            again = await self._once(name, key)
            if key.steps < 1:  # a repository that acts in every pass must also keep the distance
                again = max(again, self._distance())
            key.due = min(key.due, time.monotonic() + again)  # read after the pass: a wake may have moved it

    def _begin(self, key: _Key) -> None:
        """Note that a pass begins. It uses up one step; each elapsed distance restores one."""
        now = time.monotonic()
        back = (now - key.begun) / self._distance() if self._distance() else STEPS
        key.steps, key.begun = min(STEPS, key.steps + back) - 1, now

    async def _once(self, name: str, key: _Key) -> float:
        """Run one pass. Return the seconds until the next one."""
        try:
            again = await self._pass(name)
        except GreenroomError as error:
            key.failures += 1
            self._trouble(name, str(error))
            if isinstance(error, RetryLater) and error.after is not None:
                key.not_before = time.monotonic() + error.after
            return back_off(error, key.failures - 1)
        except Exception as error:
            key.failures += 1
            log.exception("a pass failed with an unexpected error", repository=name)
            self._trouble(
                name, f"A pass failed with an unexpected error ({type(error).__name__}). See Greenroom's log."
            )
            return back_off(error, key.failures)
        key.failures = 0
        return self._resync if again is None else again

    def _next_resync(self) -> float:
        """Return the next multiple of the resync period, so that repositories resync together and share queries."""
        now = time.monotonic()
        return now + self._resync - now % self._resync


async def _sleep(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        return
    woken.clear()
