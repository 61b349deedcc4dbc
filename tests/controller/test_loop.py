"""The loop: hints coalesce, errors wait by what they mean, stopping cuts nothing in half."""

from __future__ import annotations

import asyncio

import pytest

from greenroom.controller.loop import LONGEST_DISTANCE, STEPS, Loop, back_off, spaced
from greenroom.errors import Doubt, FixCredentials, RetryLater
from waiting import idle, until


@pytest.mark.parametrize(
    ("error", "failures", "seconds"),
    [
        (RetryLater("x", after=17.0), 9, 17.0),
        (RetryLater("x"), 0, 2.0),
        (Doubt("x"), 3, 16.0),
        (Doubt("x"), 30, 300.0),
        (FixCredentials("x"), 0, 60.0),
        (ValueError("x"), 1, 4.0),
    ],
)
def test_how_long_an_error_waits(error: Exception, failures: int, seconds: float) -> None:
    assert back_off(error, failures) == seconds


class Passes:
    def __init__(self, *outcomes: Exception | float | None) -> None:
        self.outcomes = list(outcomes)
        self.begun: list[str] = []
        self.ended = 0
        self.troubles: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.distance = 0.0
        self.loop = Loop(self.one, self.trouble, resync=1000, distance=lambda: self.distance)

    def trouble(self, name: str, why: str) -> None:
        self.troubles.append(f"{name}: {why}")

    async def one(self, name: str) -> float | None:
        self.begun.append(name)
        await self.gate.wait()
        self.ended += 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def seen(self, count: int) -> None:
        await until(lambda: len(self.begun) >= count)


async def test_hints_during_a_pass_make_one_more_pass() -> None:
    passes = Passes()
    passes.gate.clear()
    passes.loop.keep({"shop"})
    await passes.seen(1)
    for _ in range(50):
        passes.loop.wake("shop")
    passes.gate.set()
    await passes.seen(2)
    await idle()
    assert passes.begun == ["shop", "shop"]
    await passes.loop.stop()


async def test_a_pass_that_fails_is_reported_and_the_others_go_on() -> None:
    passes = Passes(Doubt("not whole"), ValueError("unknown"))
    passes.loop.keep({"shop"})
    await passes.seen(1)
    passes.loop.wake("shop")
    await passes.seen(2)
    passes.loop.wake("shop")
    passes.loop.wake("nobody")
    await passes.seen(3)
    await passes.loop.stop()
    assert passes.troubles[0] == "shop: not whole"
    assert "ValueError" in passes.troubles[1]
    assert passes.ended == 3


async def test_loop_continues_when_reporting_a_trouble_fails() -> None:
    passes = Passes(Doubt("not whole"))
    told: list[str] = []

    def trouble(name: str, why: str) -> None:
        told.append(why)
        raise KeyError("the board")

    passes.loop = Loop(passes.one, trouble, resync=1000, distance=lambda: 0.0)
    passes.loop.keep({"shop"})
    await passes.seen(1)
    passes.loop.wake("shop")
    await passes.seen(2)
    await passes.loop.stop()
    assert told == ["not whole"]


async def test_stopping_waits_for_the_pass_that_runs_and_starts_none() -> None:
    passes = Passes()
    passes.gate.clear()
    passes.loop.keep({"shop"})
    await passes.seen(1)
    passes.loop.wake("shop")
    stopping = asyncio.create_task(passes.loop.stop())
    await idle()
    assert not stopping.done()
    passes.gate.set()
    await stopping
    assert (len(passes.begun), passes.ended) == (1, 1)


async def test_a_repository_that_left_the_catalog_is_not_looked_at_again() -> None:
    passes = Passes(0.0, 0.0)
    passes.loop.keep({"shop", "web"})
    await passes.seen(2)
    passes.loop.keep({"web"})
    await idle()
    count = passes.begun.count("shop")
    passes.loop.wake("shop")
    passes.loop.wake_all()
    await passes.seen(len(passes.begun) + 1)
    assert passes.begun.count("shop") == count
    await passes.loop.stop()


async def test_a_repository_that_comes_back_while_its_last_pass_runs_waits_for_its_end() -> None:
    passes = Passes()
    passes.gate.clear()
    passes.loop.keep({"shop"})
    await passes.seen(1)
    for _ in range(3):
        passes.loop.keep(set())
        passes.loop.keep({"shop"})
    passes.loop.keep({"shop", "web"})
    await passes.seen(2)
    assert passes.begun == ["shop", "web"]
    passes.gate.set()
    await passes.seen(3)
    assert passes.begun == ["shop", "web", "shop"]
    passes.gate.clear()
    passes.loop.wake("shop")
    await passes.seen(4)
    passes.loop.keep(set())
    passes.loop.keep({"shop"})
    stopping = asyncio.create_task(passes.loop.stop())
    passes.gate.set()
    await stopping
    assert (len(passes.begun), passes.ended) == (4, 4)


async def test_another_resync_of_the_configuration_is_taken_over() -> None:
    passes = Passes()
    passes.loop.keep({"shop"})
    async with asyncio.timeout(3):
        while not passes.ended:
            await asyncio.sleep(0.01)
        passes.loop.resync_every(0.05)
        passes.loop.wake("shop")
        while passes.ended < 4:
            await asyncio.sleep(0.01)
    await passes.loop.stop()


async def test_no_wake_comes_before_what_github_asked_to_wait_for() -> None:
    passes = Passes(RetryLater("slow down", after=1000.0))
    passes.loop.keep({"shop"})
    await passes.seen(1)
    for _ in range(20):
        passes.loop.wake("shop")
        passes.loop.hint("shop")
        await settled()
    assert len(passes.begun) == 1
    await passes.loop.stop()


async def test_wait_that_github_asked_for_ends_automatically_and_then_wakes_count_again() -> None:
    passes = Passes(RetryLater("slow down", after=0.01), RetryLater("no wish"))
    passes.loop.keep({"shop"})
    await passes.seen(2)
    passes.loop.wake("shop")
    await passes.seen(3)
    await passes.loop.stop()


@pytest.mark.parametrize(
    ("remaining", "limit", "seconds"),
    [(5000, 5000, 1.0), (2500, 5000, 2.0), (500, 5000, 10.0), (1, 5000, LONGEST_DISTANCE), (0, 5000, LONGEST_DISTANCE)],
)
def test_distance_between_passes_grows_as_githubs_budget_shrinks(remaining: int, limit: int, seconds: float) -> None:
    assert spaced(remaining, limit) == seconds


async def settled() -> None:
    """Let everything run that can run now."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_burst_of_webhooks_is_one_pass_until_the_distance_is_over_and_the_first_does_not_wait() -> None:
    passes = Passes()
    passes.loop.keep({"shop"})
    await passes.seen(1)
    await settled()
    passes.loop.hint("shop")  # the last pass is long ago: no distance yet
    await passes.seen(2)
    passes.distance = 1000.0
    for _ in range(300):
        passes.loop.hint("shop")
        await settled()
    assert len(passes.begun) == 2
    passes.distance = 0.0
    passes.loop.hint("shop")
    await passes.seen(3)
    await passes.loop.stop()


async def test_a_local_change_starts_a_pass_at_once_and_a_burst_keeps_the_distance() -> None:
    passes = Passes()
    passes.distance = 1000.0
    passes.loop.keep({"shop"})
    for _ in range(300):
        passes.loop.wake("shop")
        await settled()
    assert len(passes.begun) == STEPS
    await passes.loop.stop()


async def test_steps_of_a_removal_follow_each_other_at_once_and_endless_ones_keep_the_distance() -> None:
    passes = Passes(*[0.0] * 100)
    passes.distance = 1000.0
    passes.loop.keep({"shop"})
    await passes.seen(int(STEPS))
    await settled()
    assert len(passes.begun) == STEPS
    await passes.loop.stop()
