"""The budget of content-creating requests: counted by the minute and the hour, with a reserve for what must not wait."""

from __future__ import annotations

import httpx2

from greenroom.asgi_server import running
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.content_budget import WINDOWS, ContentBudget
from greenroom.github.transport import Transport
from greenroom.simulator.app import Simulator
from greenroom.simulator.world import World


class Monotonic:
    def __init__(self) -> None:
        self.value = 1000.0

    def __call__(self) -> float:
        return self.value


def test_requests_are_counted_by_the_minute_and_by_the_hour() -> None:
    clock = Monotonic()
    budget = ContentBudget(clock)
    assert budget.spent() == {"minute": 0, "hour": 0}
    for _ in range(3):
        budget.sent()
        clock.value += 30
    assert budget.spent() == {"minute": 1, "hour": 3}
    clock.value += 3600
    assert budget.spent() == {"minute": 0, "hour": 0}


def test_github_takes_eighty_a_minute_and_five_hundred_an_hour() -> None:
    assert WINDOWS == {"minute": (60.0, 80), "hour": (3600.0, 500)}


def test_what_may_wait_waits_while_only_the_reserve_is_left() -> None:
    clock = Monotonic()
    budget = ContentBudget(clock)
    for _ in range(63):  # of 80, a fifth is kept
        budget.sent()
    assert budget.wait() == 0
    assert budget.wait(planned=1) == 60
    budget.sent()
    assert budget.wait() == 60
    clock.value += 45
    assert budget.wait() == 15
    clock.value += 15
    assert budget.wait() == 0


def test_the_hour_runs_low_without_any_minute_doing_so() -> None:
    clock = Monotonic()
    budget = ContentBudget(clock)
    for _ in range(400):  # of 500, a fifth is kept
        budget.sent()
        clock.value += 6
    assert budget.spent()["minute"] < 20
    assert budget.wait() == 3600 - 6 * 400


async def test_writes_are_counted_and_reads_are_not() -> None:
    world, clock = World(), Clock()
    world.token("token", "greenroom[bot]")
    world.open_pull_request("acme/shop", head="one", sha="a" * 40, by="ada")
    world.label("acme/shop", 1, "preview", "ada")
    async with running(Simulator(world)) as url, httpx2.AsyncClient(timeout=5) as client:
        github = GitHub(Transport(client, Token("token"), f"{url}/api/v3", clock), clock, "<!-- greenroom:1 test ")
        await github.listings(["acme/shop"])
        await github.pull_request("acme/shop", 1)
        assert github.content.spent()["hour"] == 0
        made = await github.write_comment("acme/shop", 1, None, "hello", "<!--")
        await github.write_comment("acme/shop", 1, made, "hello again", "<!--")
        await github.remove_label("acme/shop", 1, "preview")
        assert github.content.spent()["hour"] == 3
