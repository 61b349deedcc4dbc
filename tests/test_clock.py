"""Waiting by a clock that the test moves."""

from __future__ import annotations

from greenroom.clock import SystemClock, wait_until


class Hand:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.clock = SystemClock(monotonic=lambda: self.time, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


async def test_wait_ends_as_soon_as_the_check_holds() -> None:
    hand = Hand()

    async def check() -> str:
        return "ready" if hand.time >= 2.0 else ""

    assert await wait_until(check, 10.0, every=0.5, clock=hand.clock) == "ready"
    assert hand.time == 2.0


async def test_wait_ends_when_the_time_is_up() -> None:
    hand, checks = Hand(), list[float]()

    async def check() -> bool:
        checks.append(hand.time)
        return False

    assert not await wait_until(check, 1.0, every=0.5, clock=hand.clock)
    assert checks == [0.0, 0.5, 1.0]


async def test_check_runs_once_when_there_is_no_time() -> None:
    async def check() -> bool:
        return True

    assert await wait_until(check, 0.0, every=0.5, clock=Hand().clock)
