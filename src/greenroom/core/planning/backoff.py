"""Pauses between tries: how long to wait after a number of failures in a row.

A schedule is a sequence of pauses in seconds. Its last pause repeats. No clock is read and nothing sleeps here.
"""

from __future__ import annotations

from collections.abc import Sequence


def pause(schedule: Sequence[float], failures: int) -> float:
    """Return the seconds to wait before the next try. `failures` counts from 0, which means the first pause."""
    return schedule[min(max(failures, 0), len(schedule) - 1)]


def growing(first: float, longest: float, factor: float = 2.0) -> tuple[float, ...]:
    """Return a schedule that starts with `first` and multiplies by `factor` until `longest`, all in seconds.

    Raise `ValueError` when it would not grow.
    """
    if factor <= 1.0 or first <= 0.0:
        raise ValueError(f"a schedule from {first} by {factor} does not grow")
    found = [first]
    while found[-1] < longest:
        found.append(min(longest, found[-1] * factor))
    return tuple(found)
