"""Growing pauses between tries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.planning import backoff


@given(st.floats(0.1, 10), st.floats(1, 600), st.floats(1.1, 4))
def test_schedule_grows_from_the_first_pause_to_the_longest(first: float, longest: float, factor: float) -> None:
    schedule = backoff.growing(first, longest, factor)
    assert schedule[0] == first
    assert schedule[-1] == max(first, longest)
    assert sorted(set(schedule)) == list(schedule)


@given(st.lists(st.floats(0, 600), min_size=1), st.integers(-1, 20))
def test_last_pause_repeats(schedule: list[float], failures: int) -> None:
    expected = (schedule + [schedule[-1]] * 20)[max(failures, 0)]
    assert backoff.pause(schedule, failures) == expected


@pytest.mark.parametrize(("first", "factor"), [(0.0, 2.0), (1.0, 1.0)])
def test_schedule_that_would_not_grow_is_rejected(first: float, factor: float) -> None:
    with pytest.raises(ValueError):
        backoff.growing(first, 10.0, factor)
