"""Edits of a comment: a few at once, then one a minute."""

from __future__ import annotations

from greenroom.controller.comment_rate_limit import AT_ONCE, Pace
from greenroom.core.model.spec import Identity

ONE, OTHER = Identity(7, 1), Identity(7, 2)


def test_edits_for_a_flapping_state_drop_to_one_a_minute() -> None:
    now = 1000.0
    pace = Pace(lambda: now)
    edits = 0
    for _ in range(3600):
        if not pace.wait(ONE):
            pace.edited(ONE)
            edits += 1
        now += 1.0
    assert edits == AT_ONCE + 59
    assert 0 < pace.wait(ONE) <= 60
    assert pace.wait(OTHER) == 0, "another comment is another matter"


def test_a_quiet_time_brings_the_edits_back() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    for _ in range(AT_ONCE):
        pace.edited(ONE)
    assert pace.wait(ONE) == 60
    now = 60.0 * AT_ONCE
    assert pace.wait(ONE) == 0
