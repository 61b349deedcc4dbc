"""The hourly budget of GraphQL points of each token.

GitHub Enterprise Server has no budget until its administrator sets one. Until then, the headers of a query have no
numbers, and `rateLimit` is null.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Points:
    """The budget. `word` is GitHub's name for the error: `RATE_LIMITED` as documented, `RATE_LIMIT` as observed."""

    limit: int | None = None
    word: str = "RATE_LIMITED"
    reset: datetime | None = None
    _used: Counter[str] = field(default_factory=Counter)

    def spend(self, login: str, cost: int, now: datetime) -> bool:
        """Spend the points of a query; return whether there were enough."""
        if self.limit is None:
            return True
        if self.reset is None or now >= self.reset:
            self.reset = now + HOUR
            self._used.clear()
        if self._used[login] + cost > self.limit:
            self._used[login] = self.limit
            return False
        self._used[login] += cost
        return True

    def used(self, login: str) -> int:
        """Return the points spent in this hour."""
        return self._used[login]
