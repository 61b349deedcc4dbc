"""Budget of requests that create content: GitHub allows 80 a minute and 500 an hour for one account.

Above that, GitHub answers with a secondary rate limit, which blocks all our requests for a while.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

WINDOWS: Mapping[str, tuple[float, int]] = {"minute": (60.0, 80), "hour": (3600.0, 500)}
"""For each window, its length in seconds and the number of requests that GitHub allows in it."""
RESERVE = 0.2
"""The share of each window that is reserved for writes that must not wait."""


@dataclass(slots=True)
class ContentBudget:
    """Content-creating requests of the last hour. A restart loses them, which only makes a warning late."""

    monotonic: Callable[[], float] = time.monotonic
    _sent: deque[float] = field(default_factory=deque)

    def sent(self) -> None:
        """Count one request."""
        self._forget()
        self._sent.append(self.monotonic())

    def spent(self) -> dict[str, int]:
        """Return how many requests were sent in each window."""
        self._forget()
        now = self.monotonic()
        return {name: sum(at > now - seconds for at in self._sent) for name, (seconds, _) in WINDOWS.items()}

    def wait(self, planned: int = 0) -> float:
        """Return the seconds until a postponable request fits, after `planned` others; 0 when it fits now."""
        self._forget()
        now = self.monotonic()
        longest = 0.0
        for seconds, limit in WINDOWS.values():
            within = [at for at in self._sent if at > now - seconds]
            over = len(within) + planned - int(limit * (1 - RESERVE))
            if over >= 0:  # the request that must leave the window before one more fits
                freed = within[over] if over < len(within) else now
                longest = max(longest, freed + seconds - now)
        return longest

    def _forget(self) -> None:
        oldest = self.monotonic() - max(seconds for seconds, _ in WINDOWS.values())
        while self._sent and self._sent[0] <= oldest:
            self._sent.popleft()
