"""The clock is GitHub's, and no single answer moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenroom.errors import Doubt
from greenroom.github.clock import SETTLED, TOLERANCE, Clock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
JUMPS = [timedelta(hours=2), timedelta(days=400), -timedelta(hours=1), -timedelta(days=3)]


class Time:
    """A clock whose GitHub and whose monotonic clock a test moves by hand, each for itself."""

    def __init__(self) -> None:
        self.monotonic = 100.0
        self.clock = Clock(lambda: self.monotonic)
        self.tell(NOON)
        self.tell(NOON)

    def tell(self, at: datetime) -> None:
        self.clock.seen(at.strftime("%a, %d %b %Y %H:%M:%S GMT"))


def test_it_keeps_running_and_does_not_go_back_by_the_seconds_in_which_servers_differ() -> None:
    time = Time()
    time.monotonic += 30
    time.tell(NOON + timedelta(seconds=10))
    assert time.clock.now() == NOON + timedelta(seconds=30)
    time.tell(NOON + timedelta(seconds=30) + TOLERANCE)
    assert time.clock.now() == NOON + timedelta(seconds=30) + TOLERANCE


@pytest.mark.parametrize("jump", JUMPS)
def test_one_answer_with_a_wrong_date_moves_nothing(jump: timedelta) -> None:
    time = Time()
    time.tell(NOON + jump)
    assert time.clock.now() == NOON
    time.monotonic += 3600
    assert time.clock.now() == NOON + timedelta(hours=1)


@pytest.mark.parametrize("jump", JUMPS)
def test_two_answers_of_one_moment_are_one_witness(jump: timedelta) -> None:
    time = Time()
    time.tell(NOON + jump)
    time.monotonic += SETTLED - 0.1
    time.tell(NOON + jump)
    assert time.clock.now() - NOON < TOLERANCE


@pytest.mark.parametrize("jump", JUMPS)
def test_a_second_and_later_answer_that_agrees_is_believed(jump: timedelta) -> None:
    time = Time()
    time.tell(NOON + jump)
    time.monotonic += SETTLED
    there = NOON + jump + timedelta(seconds=SETTLED)
    time.tell(there)
    assert time.clock.now() == there


@pytest.mark.parametrize("jump", JUMPS)
def test_one_server_of_several_that_is_wrong_is_never_believed(jump: timedelta) -> None:
    time = Time()
    for _ in range(20):
        time.monotonic += SETTLED
        passed = timedelta(seconds=time.monotonic - 100)
        time.tell(NOON + passed + jump)
        time.tell(NOON + passed)
        assert time.clock.now() == NOON + passed


def test_wrong_dates_that_do_not_agree_with_each_other_are_not_believed() -> None:
    time = Time()
    for jump in JUMPS * 2:
        time.monotonic += SETTLED
        time.tell(NOON + jump)
    assert time.clock.now() == NOON + timedelta(seconds=time.monotonic - 100)


@pytest.mark.parametrize("right", [0, 1])
def test_first_answers_that_contradict_each_other_are_doubt_until_two_agree(right: int) -> None:
    monotonic = [0.0]
    clock = Clock(lambda: monotonic[0])
    told = ["Mon, 02 Mar 2026 12:00:00 GMT", "Tue, 03 Mar 2026 12:00:00 GMT"]
    for date in told:
        clock.seen(date)
    with pytest.raises(Doubt, match="first responses differ by 1 day, 0:00:00"):
        clock.now()
    monotonic[0] += SETTLED
    clock.seen(told[right].replace("12:00:00", "12:00:05"))
    assert clock.now().day == 2 + right


@pytest.mark.parametrize(
    "date", [None, "", "no date", "Mon, 99 Foo 2026 12:00:00 GMT", "Mon, 02 Mar 2026 25:00:00 GMT"]
)
def test_an_odd_date_is_ignored(date: str | None) -> None:
    time = Time()
    time.clock.seen(date)
    time.tell(NOON)
    assert time.clock.now() == NOON


def test_a_date_without_a_known_zone_is_utc() -> None:
    clock = Clock(lambda: 0.0)
    clock.seen("Mon, 02 Mar 2026 12:00:00 -0000")
    clock.seen("Mon, 02 Mar 2026 12:00:01 GMT")
    assert clock.now() == NOON + timedelta(seconds=1)
