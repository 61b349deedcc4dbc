"""GitHub's clock: its Date header, carried forward by the monotonic clock. The only clock of decisions."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from greenroom.errors import Doubt

# Answers of several servers differ by seconds; a clock that is a minute ahead was wrong and may go back.
TOLERANCE = timedelta(minutes=1)


class Clock:
    """What time it is at GitHub. Does not go back by the seconds in which its servers differ."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._read: tuple[datetime, float] | None = None

    def seen(self, date: str | None) -> None:
        """The Date header of an answer that was understood; a missing or odd one is ignored."""
        try:
            at = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if self._read is None or not timedelta() <= self.now() - at <= TOLERANCE:
            self._read = (at, self._monotonic())

    def now(self) -> datetime:
        """GitHub's time in UTC. Raises `Doubt` before the first answer."""
        if self._read is None:
            raise Doubt("GitHub has not told the time yet; nothing is decided before its first answer.")
        at, then = self._read
        return at + timedelta(seconds=self._monotonic() - then)
