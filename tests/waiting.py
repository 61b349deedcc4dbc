"""Waiting without a fixed time: for a condition, until nothing is left to do, or by a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from greenroom.argocd.timing import Timing
from greenroom.clock import SystemClock


async def until(check: Callable[[], object], seconds: float = 5) -> None:
    """Wait for a condition. Raise `TimeoutError` when it does not hold in time."""
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.005)


async def idle(turns: int = 100) -> None:
    """Let every task run that does not wait for time, so that what it would do in error has happened."""
    for _ in range(turns):
        await asyncio.sleep(0)


class HandClock:
    """A monotonic clock that the test moves. Whoever sleeps by it wakes when it has moved far enough."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleeping: list[tuple[float, asyncio.Event]] = []

    def timing(self, **more: Any) -> Timing:
        return Timing(clock=SystemClock(monotonic=lambda: self.now, sleep=self.sleep), **more)

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleeping.append((self.now + seconds, woken))
        await woken.wait()

    async def until(self, check: Callable[[], object], seconds: float = 5) -> None:
        """Move the clock until a condition holds, for what begins to sleep only after something else has happened."""
        async with asyncio.timeout(seconds):
            while not check():
                await self.move(1)
                await asyncio.sleep(0.005)

    async def move(self, seconds: float) -> None:
        """Move the clock, and let everything run that waited for it."""
        self.now += seconds
        for due, woken in self._sleeping:
            if due <= self.now:
                woken.set()
        self._sleeping = [(due, woken) for due, woken in self._sleeping if not woken.is_set()]
        await idle()
