"""Lists that are too much for one query of GitHub's: they are read in smaller pages, and they stop nobody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest

from greenroom.asgi_server import running
from greenroom.controller.gather import Lists
from greenroom.core.model.github import Listing
from greenroom.core.planning.required_reads import Followed
from greenroom.errors import Doubt, GreenroomError, RetryLater
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.page_size import GROW_AFTER
from greenroom.github.transport import Transport
from greenroom.simulator.app import Simulator
from greenroom.simulator.world import World

SLUG = "acme/shop"
PER_PULL_REQUEST = 453  # itself, 100 files, labels, label events and comments each, 50 of its activity, 2 parents
FAULTS = ["bad-gateway", "gateway-timeout", "resource-limits"]


@asynccontextmanager
async def adapter(
    count: int = 0, answered: Callable[[World], None] = lambda world: None
) -> AsyncIterator[tuple[World, GitHub]]:
    """A repository with so many pull requests; `answered` is called after each answer."""
    world = World()

    async def each(response: httpx2.Response) -> None:
        answered(world)

    world.token("token", "greenroom[bot]")
    fill(world, SLUG, count)
    hooks = {"response": [each]}
    async with (
        running(Simulator(world)) as url,
        httpx2.AsyncClient(timeout=5, trust_env=False, event_hooks=hooks) as client,
    ):
        clock = Clock()
        yield world, GitHub(Transport(client, Token("token"), f"{url}/api/v3", clock), clock, "<!-- greenroom:1 ")


def fill(world: World, slug: str, count: int) -> None:
    world.repository(slug)
    for n in range(count):
        world.open_pull_request(slug, head=f"b{n}", sha="a" * 40, by="ada")


def too_heavy(world: World, fault: str, slug: str = SLUG, *, answers: int) -> None:
    """GitHub answers so many pull requests of this repository in one query, and no more."""
    world.faults.on(fault, path=slug, nodes=answers * PER_PULL_REQUEST)


async def read(github: GitHub, slug: str = SLUG) -> Listing | GreenroomError:
    return (await github.listings([slug]))[slug]


async def read_in_the_end(github: GitHub) -> Listing:
    for _ in range(10):
        if isinstance(found := await read(github), Listing):
            return found
        assert isinstance(found, RetryLater)
    raise AssertionError("it was never read")


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_list_that_is_too_heavy_is_read_in_smaller_pages(fault: str) -> None:
    async with adapter(120) as (world, github):
        too_heavy(world, fault, answers=20)
        found = await read_in_the_end(github)
        assert [p.identity.number for p in found.pull_requests] == list(range(1, 121))
        assert world.faults.fired[fault] == 2  # 50, then 25; 12 fits


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_size_that_worked_is_remembered(fault: str) -> None:
    async with adapter(30) as (world, github):
        too_heavy(world, fault, answers=20)
        await read_in_the_end(github)
        fired = world.faults.fired[fault]
        await read_in_the_end(github)
        assert world.faults.fired[fault] == fired


async def test_pages_grow_again_slowly() -> None:
    async with adapter(50) as (world, github):
        too_heavy(world, "resource-limits", answers=25)
        await read(github)
        world.faults.off()

        async def queries() -> int:
            before = github.counts["POST graphql"]
            await read(github)
            return github.counts["POST graphql"] - before

        taken = [await queries() for _ in range(GROW_AFTER)]
        assert (taken[0], taken[-1]) == (2, 1)
        assert taken == sorted(taken, reverse=True)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_heavy_repository_stops_none_of_the_nine_that_shared_its_query(fault: str) -> None:
    async with adapter(60) as (world, github):
        others = [f"acme/other-{n}" for n in range(9)]
        for slug in others:
            fill(world, slug, 2)
        too_heavy(world, fault, answers=0)
        lists = Lists(github)

        async def one(slug: str) -> Listing | BaseException:
            try:
                return await lists.read(slug, Followed("preview"))
            except GreenroomError as error:
                return error

        await asyncio.gather(*(one(slug) for slug in [SLUG, *others]))
        found = dict(zip([SLUG, *others], await asyncio.gather(*(one(s) for s in [SLUG, *others])), strict=True))
        assert isinstance(found.pop(SLUG), Doubt)
        assert all(isinstance(f, Listing) for f in found.values())


async def test_a_page_in_the_middle_that_is_too_heavy_continues_at_the_same_cursor() -> None:
    def answered(world: World) -> None:
        if not world.faults.fired:
            world.faults.on("bad-gateway", path=SLUG, times=2)

    async with adapter(120, answered) as (world, github):
        found = await read(github)
        assert isinstance(found, Listing)
        assert [p.identity.number for p in found.pull_requests] == list(range(1, 121))
        assert world.faults.fired["bad-gateway"] == 2
        assert github.counts["POST graphql"] == 1 + 2 + 6  # 50, then 70 in pages of 12


@pytest.mark.parametrize("count", [0, 1, 25, 99])
async def test_any_page_size_gives_the_same_list(count: int) -> None:
    async with adapter(count) as (world, github):
        canonical = await read(github)
        for answers in (49, 24, 11, 5, 2, 1):
            too_heavy(world, "resource-limits", answers=answers)
            found = await read(github)
            assert isinstance(found, Listing)
            assert isinstance(canonical, Listing)
            assert found.pull_requests == canonical.pull_requests


async def test_a_query_that_nobody_answers_in_time_is_repeated_for_less() -> None:
    asked: list[int] = []

    def never(request: httpx2.Request) -> httpx2.Response:
        asked.append(json.loads(request.content)["variables"]["f0"])
        raise httpx2.ReadTimeout("too slow", request=request)

    client, clock = httpx2.AsyncClient(transport=httpx2.MockTransport(never)), Clock()
    github = GitHub(Transport(client, Token("token"), "https://github.example.com/api/v3", clock), clock, "")
    for _ in range(4):
        assert isinstance(await read(github), RetryLater)
    assert asked == [50, 25, 12, 6]


async def test_an_outage_is_not_repeated_at_once() -> None:
    async with adapter(3) as (world, github):
        world.faults.on("bad-gateway")
        assert isinstance(await read(github), RetryLater)
        assert github.counts["POST graphql"] == 1


async def test_comments_that_are_too_heavy_are_read_in_smaller_pages() -> None:
    async with adapter(1) as (world, github):
        for n in range(150):
            world.comment(SLUG, 1, f"talk {n}", "grace")
        world.faults.on("bad-gateway", path=SLUG, nodes=60)
        found = (await github.pull_request(SLUG, 1)).pull_request
        assert found.comment is None
        assert world.faults.fired["bad-gateway"] == 1
