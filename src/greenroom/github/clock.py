"""GitHub's clock: its Date header, carried forward by the monotonic clock. The only clock of decisions.

One answer with a wrong Date must not move it. If the clock ran an hour ahead, the ledger of the hour would be pruned
for good. If it ran a day ahead, everything that was warned of would be due. So an answer that differs from the
monotonic clock by more than `TOLERANCE`, ahead or behind, is only noted. It is accepted once a second answer, at least
`SETTLED` seconds later, gives the same time and no answer between them agrees with the carried time. Time really jumps
when a laptop sleeps: its monotonic clock may stop meanwhile, and answers a few seconds apart then agree.

The first answer cannot be compared with an earlier one. When the next answers contradict it, the time is unknown: `now`
raises `Doubt` until two answers agree.
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


def parse_http_date(date: str | None) -> datetime | None:
    """Return the aware UTC time of a Date header; None for a missing or malformed one.

    `-0000` is UTC too (RFC 5322, 3.3).
    """
    try:
        at = parsedate_to_datetime(date or "")
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class _Reading:
    """A time from GitHub, and the monotonic time at which it arrived."""

    at: datetime
    then: float

    def now(self, monotonic: float) -> datetime:
        return self.at + timedelta(seconds=monotonic - self.then)

    def agrees(self, at: datetime, monotonic: float) -> bool:
        return abs(self.now(monotonic) - at) <= TOLERANCE


class Clock:
    """The time at GitHub. It does not move back by the seconds by which GitHub's servers differ."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._read: _Reading | None = None
        self._other: _Reading | None = None
        self._sure = False

    def seen(self, date: str | None) -> None:
        """Record the Date header of an answer that was understood. Ignore a missing or malformed one."""
        at, then = parse_http_date(date), self._monotonic()
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
        """Return GitHub's time in UTC. Raise `Doubt` before the first answer, and while later ones contradict it."""
        if self._read is None:
            raise Doubt("GitHub has not sent the time yet. Greenroom makes no decisions without GitHub's time.")
        if self._other is not None and not self._sure:
            apart = timedelta(seconds=round(abs(self._other.at - self._read.now(self._other.then)).total_seconds()))
            raise Doubt(f"The times in GitHub's first responses differ by {apart}. Greenroom will retry.")
        return self._read.now(self._monotonic())
