"""One keyed loop per repository: hints coalesce, errors back off by what they mean, a resync comes round by itself.

Nothing that a pass raises ends the loop. Stopping waits for the pass that runs: no action is cut in half.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from greenroom.errors import FixConfiguration, FixCredentials, GreenroomError, RetryLater

log = structlog.get_logger(__name__)

Pass = Callable[[str], Awaitable[float | None]]
Trouble = Callable[[str, str], None]


@dataclass(slots=True)
class _Key:
    """One repository's place in the loop. `due` is monotonic; a wake pulls it nearer, never away.

    `not_before` is what GitHub asked for itself; no wake is stronger.
    """

    due: float
    not_before: float = 0.0
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0


def back_off(error: Exception, failures: int) -> float:
    """Seconds until the next try, by what the error asks for: doubling from 2 s, up to 5 minutes.

    What a person must mend is tried once a minute; GitHub's own wish (`Retry-After`) is kept.
    """
    if isinstance(error, RetryLater) and error.after is not None:
        return error.after
    if isinstance(error, FixCredentials | FixConfiguration):
        return 60.0
    return float(min(300.0, 2.0 * 2 ** min(failures, 8)))


class Loop:
    """Runs `one_pass(key)` for each key when it is due. `trouble(key, sentence)` is told of each failed pass.

    `resync` is in seconds and may be changed at any time.
    """

    def __init__(self, one_pass: Pass, trouble: Trouble, *, resync: float) -> None:
        self._pass = one_pass
        self._trouble = trouble
        self.resync = resync
        self._keys: dict[str, _Key] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    def keep(self, keys: set[str]) -> None:
        """Loop over exactly these keys from now on; new ones start at once, after the last pass of the same name."""
        for gone in self._keys.keys() - keys:
            self._keys[gone].woken.set()
            del self._keys[gone]
        for new in keys - self._keys.keys():
            self._keys[new] = _Key(due=time.monotonic())
            running = self._run(new, self._keys[new], after=self._tasks.get(new))
            self._tasks[new] = asyncio.create_task(running, name=f"loop {new}")

    def wake(self, key: str, delay: float = 0.0) -> None:
        """Look at this key again, at the latest after `delay` seconds. An unknown key is ignored."""
        if found := self._keys.get(key):
            found.due = min(found.due, time.monotonic() + delay)
            found.woken.set()

    def wake_all(self) -> None:
        """Look at everything again now."""
        for key in self._keys:
            self.wake(key)

    @property
    def waiting(self) -> int:
        """How many keys are due now."""
        now = time.monotonic()
        return sum(k.due <= now for k in self._keys.values())

    async def stop(self) -> None:
        """Let each running pass end, start none, and return when all have."""
        self._stopping = True
        for key in self._keys.values():
            key.woken.set()
        await asyncio.gather(*self._tasks.values())

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
            again = await self._once(name, key)
            key.due = min(key.due, time.monotonic() + again)  # read after the pass: a wake meanwhile pulled it nearer

    async def _once(self, name: str, key: _Key) -> float:
        """One pass; returns the seconds until the next one."""
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
            log.exception("a pass failed in a way that Greenroom does not know", repository=name)
            self._trouble(name, f"A pass failed in a way that Greenroom does not know ({type(error).__name__}).")
            return back_off(error, key.failures)
        key.failures = 0
        return self.resync if again is None else again

    def _next_resync(self) -> float:
        """The next multiple of the resync period, so that repositories resync together and share queries."""
        now = time.monotonic()
        return now + self.resync - now % self.resync


async def _sleep(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        return
    woken.clear()
