"""Cost of a pass over a busy repository: requests, and GraphQL points by GitHub's published formula.

332 open pull requests, and 950 comments on one of them, which is what has been seen in public.
"""

from __future__ import annotations

import asyncio

import httpx2

from greenroom.asgi_server import running
from greenroom.core.model.github import Listing
from greenroom.core.planning.required_reads import Followed
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.transport import Transport
from greenroom.simulator.app import Simulator
from greenroom.simulator.world import World

SLUG, PULL_REQUESTS, COMMENTS, LABEL = "acme/busy", 332, 950, "preview"


def _world() -> World:
    world = World()
    world.token("token", "greenroom[bot]")
    world.points.limit = 5000
    for number in range(1, PULL_REQUESTS + 1):
        world.open_pull_request(SLUG, head=f"branch-{number}", sha=f"{number:040x}", by="ada")
    for number in range(COMMENTS):
        world.comment(SLUG, 1, f"Comment {number}", "grace")
    return world


async def _read(url: str, world: World, *, every: bool) -> str:
    """Read the full list as a fresh process does, and return the cost."""
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
        clock = Clock()
        github = GitHub(Transport(client, Token("token"), f"{url}/api/v3", clock), clock, "<!-- greenroom:1 bench ")
        before = world.points.used("greenroom[bot]")
        read = github.listings([SLUG]) if every else github.listings([SLUG], Followed(LABEL))
        found = (await read)[SLUG]
        assert isinstance(found, Listing), found
        assert len(found.pull_requests) == PULL_REQUESTS
        assert github.budget is not None
        spent = world.points.used("greenroom[bot]") - before
        assert github.budget.spent == spent
        return f"{github.counts['POST graphql']} requests, {spent} points of {github.budget.limit} an hour"


async def _measure() -> None:
    world = _world()
    async with running(Simulator(world)) as url:
        print(f"a pass over {PULL_REQUESTS} open pull requests, {COMMENTS} comments on one of them:")
        print(f"  every comment of every pull request: {await _read(url, world, every=True)}")
        print(f"  that one has no label: {await _read(url, world, every=False)}")
        world.label(SLUG, 1, LABEL, "ada")
        print(f"  that one is labeled: {await _read(url, world, every=False)}")


def main() -> None:
    """Print the costs."""
    asyncio.run(_measure())


if __name__ == "__main__":
    main()
