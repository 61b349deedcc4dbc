"""Comment writes while a queue moves: ten closings with five places and 45 pull requests that wait."""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import structlog

from greenroom.asgi_server import running
from greenroom.core.model.status import Stage
from greenroom.simulator.app import Simulator
from greenroom.simulator.registry import Images, registry
from greenroom.simulator.world import World
from greenroom.store.migrate import migrate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from stories import BOT, SLUG, MemoryEngine, Story

PLACES, PULL_REQUESTS, CLOSINGS = 5, 50, 10


async def _measure(folder: Path) -> None:
    empty = folder / "empty.sqlite3"
    await migrate(f"sqlite+aiosqlite:///{empty}")
    world, images = World(), Images()
    async with (
        running(Simulator(world)) as github,
        running(registry(images)) as pushed,
        httpx2.AsyncClient(timeout=60, trust_env=False) as client,
    ):
        host = pushed.removeprefix("http://")
        story = Story(world, images, MemoryEngine(), f"{github}/api/v3", host, client, empty)
        story.set_up()
        story.configure(limits=replace(story.platform.limits, per_repository=PLACES))
        numbers = [story.labeled(f"branch-{n}") for n in range(PULL_REQUESTS)]
        await story.passes(3)
        story.restart()  # the 50 first comments of a second used the budget of writes up, and wording would wait
        written: Counter[int] = Counter()

        def listen(event: str, action: str, repository: Any, pull_request: Any, who: Any) -> None:
            if event == "issue_comment" and who.login == BOT and pull_request:
                written[pull_request.number] += 1

        world.listeners.append(listen)
        for number in numbers[:CLOSINGS]:
            world.close(SLUG, number, "ada")
            await story.passes(2)
        await story.passes(4)
        still = [n for n in numbers if story.status(n).stage is Stage.QUEUED]
        waiting = sum(written[n] for n in still)
        print(f"{CLOSINGS} closings, {PLACES} places, {PULL_REQUESTS - PLACES} waiting:")
        print(f"  {sum(written.values())} comment writes, {waiting} of them for the {len(still)} that go on waiting")


def main() -> None:
    """Print the number of comment writes."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(Path(folder)))


if __name__ == "__main__":
    main()
