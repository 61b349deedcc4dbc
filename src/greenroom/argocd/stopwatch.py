"""The time for which a condition has held without a break."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.clock import SystemClock


@dataclass(slots=True)
class Stopwatch:
    """The age of one condition, in seconds of the monotonic clock."""

    clock: SystemClock
    _since: float | None = None

    def held(self, condition: bool) -> float | None:
        """Record whether the condition holds now. Return for how long it has held, or None when it does not."""
        if not condition:
            self._since = None
        elif self._since is None:
            self._since = self.clock.monotonic()
        return self.age

    def lasts(self, condition: bool, seconds: float) -> bool:
        """Record whether the condition holds now. Return whether it has held for at least this long."""
        age = self.held(condition)
        return age is not None and age >= seconds

    def reset(self) -> None:
        """Forget the condition: its next occurrence counts from the start."""
        self._since = None

    @property
    def age(self) -> float | None:
        """Return for how long the condition has held, or None when it did not hold at the last record."""
        return None if self._since is None else self.clock.monotonic() - self._since
