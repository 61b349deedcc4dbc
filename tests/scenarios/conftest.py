"""A scenario: the real controller over real HTTP against the judged simulator, with a clock that is moved by hand.

The engine keeps specs and previews in memory behind the same four verbs and gets everything ready at once; the local
engine has its own tests, and the demo plays both together. Each story runs twice: once as it is, once with a new
controller and an empty history before each pass.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest

from greenroom.asgi_server import running
from greenroom.simulator.app import Simulator
from greenroom.simulator.registry import Images, registry
from greenroom.simulator.world import World
from greenroom.store.migrate import migrate
from judge import Judge
from stories import MemoryEngine, Story


@pytest.fixture(scope="session")
def empty_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated history without a row."""
    path = tmp_path_factory.mktemp("history") / "empty.sqlite3"
    asyncio.run(migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(params=["one process", "a new process and no history before each pass"])
async def story(request: pytest.FixtureRequest, empty_history: Path, tmp_path: Path) -> AsyncIterator[Story]:
    world = World()
    async with AsyncExitStack() as stack:
        simulator = Simulator(world)
        judge = Judge(simulator)
        url = await stack.enter_async_context(running(judge))
        images = Images()
        host = (await stack.enter_async_context(running(registry(images)))).removeprefix("http://")
        client = await stack.enter_async_context(httpx2.AsyncClient(timeout=5))
        forgetful = request.param != "one process"
        empty = Path(shutil.copy(empty_history, tmp_path))
        made = Story(world, images, MemoryEngine(), f"{url}/api/v3", host, client, empty, forgetful=forgetful)
        made.set_up()
        stack.push_async_callback(made.close)
        made.simulator = simulator
        yield made
        assert "\n".join(judge.violations) == ""
        assert simulator.unknown == []
