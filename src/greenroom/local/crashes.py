"""Counts of crashes in a row, and the growing pauses before a restart."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from greenroom.core.planning import backoff
from greenroom.local.troubles import BACKOFF_SECONDS

NEEDS = ""  # the key for failures of needs; all other keys are names of services
RESTARTS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Crashes:
    """Counts of crashes of the serving version, by service, and of failures of its needs."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._counts: Counter[str] = Counter()

    async def pause(self, of: str) -> None:
        """Count a crash, and wait before the restart."""
        self._counts[of] += 1
        await self._sleep(backoff.pause(BACKOFF_SECONDS if of == NEEDS else RESTARTS, self._counts[of] - 1))

    def forget(self, of: str) -> None:
        """Clear one count."""
        del self._counts[of]

    def clear(self) -> None:
        """Clear all counts."""
        self._counts.clear()
