"""GitHub's clock: its Date header, carried forward by the monotonic clock. The only clock of decisions.

One answer with a wrong Date must not move it: an hour too far, and the ledger of the hour is pruned for good; a day too
far, and what was warned of is due. So an answer that is more than `TOLERANCE` away from what the monotonic clock
says, ahead or behind, is only noted. It is believed once a second one, at least `SETTLED` seconds later, tells the same
time and none between them told the time that was carried. Time really jumps when a laptop slept: its monotonic clock
may stand still meanwhile, and a few seconds later both agree again.

The very first answer has nothing to be compared with. When the next ones contradict it, nobody knows the time: `now`
is doubt until two answers agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from greenroom.errors import Doubt

TOLERANCE = timedelta(minutes=1)  # the servers of one GitHub differ by seconds
SETTLED = 5.0


def told(date: str | None) -> datetime | None:
    """The time of a Date header, aware, in UTC; None for a missing or odd one. `-0000` is UTC too (RFC 5322, 3.3)."""
    try:
        at = parsedate_to_datetime(date or "")
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class _Reading:
    """What GitHub told, and when on the monotonic clock."""

    at: datetime
    then: float

    def now(self, monotonic: float) -> datetime:
        return self.at + timedelta(seconds=monotonic - self.then)

    def agrees(self, at: datetime, monotonic: float) -> bool:
        return abs(self.now(monotonic) - at) <= TOLERANCE


class Clock:
    """What time it is at GitHub. Does not go back by the seconds in which its servers differ."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._read: _Reading | None = None
        self._other: _Reading | None = None
        self._sure = False

    def seen(self, date: str | None) -> None:
        """The Date header of an answer that was understood; a missing or odd one is ignored."""
        at, then = told(date), self._monotonic()
        if at is None:
            return
        if self._read is None:
            self._read = _Reading(at, then)
        elif self._read.agrees(at, then):
            self._sure, self._other = True, None
            if at > self._read.now(then):
                self._read = _Reading(at, then)
        elif self._other is None or not self._other.agrees(at, then):
            self._other = _Reading(at, then)
        elif then - self._other.then >= SETTLED:
            self._read, self._other, self._sure = _Reading(at, then), None, True

    def now(self) -> datetime:
        """GitHub's time in UTC. Raises `Doubt` before the first answer, and while the first ones contradict it."""
        if self._read is None:
            raise Doubt("GitHub has not told the time yet; nothing is decided before its first answer.")
        if self._other is not None and not self._sure:
            apart = timedelta(seconds=round(abs(self._other.at - self._read.now(self._other.then)).total_seconds()))
            raise Doubt(f"GitHub's first answers tell times that are {apart} apart; it is asked again.")
        return self._read.now(self._monotonic())
