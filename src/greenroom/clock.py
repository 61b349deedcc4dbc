"""This machine's clock, as a value that is passed on: a test passes one that it moves by hand.

Ages and deadlines are monotonic. `now` is the wall clock, only for comparison with times that others wrote.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

T = TypeVar("T")


def _wall() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The monotonic time in seconds, the time of day in UTC, and a pause in seconds."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _wall
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


SYSTEM = SystemClock()


async def wait_until(
    check: Callable[[], Awaitable[T]], seconds: float, *, every: float = 0.02, clock: SystemClock = SYSTEM
) -> T:
    """Repeat `check` until it returns something true or the time is up. Return its last result.

    `check` runs at least once, then after each pause of `every` seconds.
    """
    end = clock.monotonic() + seconds
    while not (found := await check()) and clock.monotonic() < end:
        await clock.sleep(every)
    return found
