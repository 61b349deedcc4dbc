"""Two demos on one machine: one that is kept, and one that is played beside it, do not see each other's previews."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import httpx2

from greenroom.core.model import Identity
from greenroom.demo.outside import Eyes
from greenroom.demo.shop import Shop
from greenroom.demo.stage import Stage
from greenroom.local.names import mark_of
from greenroom.simulator.registry import Images
from greenroom.simulator.world import World


def stage_in(folder: Path) -> Stage:
    world = World()
    world.repository("shop/catalog")
    return Stage(folder, world, Images(), Shop(folder), cast(httpx2.AsyncClient, None), (), {})


async def test_a_stage_sees_its_own_processes_only(tmp_path: Path) -> None:
    one, other = stage_in(tmp_path / "one"), stage_in(tmp_path / "other")
    identity = Identity(one.world.repository("shop/catalog").id, 1)
    environment: dict[str, Any] = {"GREENROOM_PREVIEW": mark_of(one.installation, one.state, identity)}
    child = subprocess.Popen([sys.executable, "-c", "input()"], env=environment, stdin=subprocess.PIPE)
    try:
        while not Eyes(one).processes("catalog", 1):
            assert child.poll() is None
            await asyncio.sleep(0.01)
        assert list(Eyes(one).processes("catalog", 1)) == [child.pid]
        assert Eyes(other).processes("catalog", 1) == {}
    finally:
        child.communicate(b"\n", timeout=10)
    assert stage_in(tmp_path / "one").installation == one.installation
    assert len(one.installation) <= 30
