"""The stage: it sees its own processes only, and starts although another program takes one of its ports."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import httpx2

from greenroom.demo.outside import Eyes
from greenroom.demo.shop import Shop
from greenroom.demo.stage import Stage, free_ports, stage
from greenroom.simulator.registry import Images
from greenroom.simulator.world import World

TAKEN = Path(__file__).parent / "taken_port.py"


def stage_in(folder: Path) -> Stage:
    world = World()
    return Stage(folder, world, Images(), Shop(folder), cast(httpx2.AsyncClient, None), (), {})


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


async def test_a_stage_sees_its_own_processes_only(tmp_path: Path) -> None:
    one, other = stage_in(tmp_path / "one"), stage_in(tmp_path / "other")
    for each in (one, other):
        await asyncio.to_thread(each.shop.make)
        for branch in ("idea", "another"):
            sha = each.shop.commit("catalog", branch, f"{each.folder.name} {branch}")
            each.world.open_pull_request("shop/catalog", head=branch, sha=sha, by="ada")
    where = tmp_path / "worktree"
    git(one.folder / "catalog", "worktree", "add", "--detach", str(where), "idea")
    (where / "below").mkdir()
    child = subprocess.Popen([sys.executable, "-c", "input()"], cwd=where / "below", stdin=subprocess.PIPE)
    eyes = Eyes(one)
    try:
        assert list(eyes.processes("catalog", 1)) == [child.pid]
        assert eyes.processes("catalog", 2) == {}
        assert Eyes(other).processes("catalog", 1) == {}
        git(one.folder / "catalog", "worktree", "remove", "--force", str(where))
        assert list(eyes.processes("catalog", 1)) == [child.pid], "also once its folder is deleted"
    finally:
        child.communicate(b"\n", timeout=10)
    assert eyes.processes("catalog", 1) == {}
    assert stage_in(tmp_path / "one").installation == one.installation
    assert len(one.installation) <= 30


def test_no_two_ports_are_the_same() -> None:
    names = [str(n) for n in range(50)]
    assert len(set(free_ports(names).values())) == 50


async def test_the_demo_starts_although_another_program_takes_one_of_its_ports(tmp_path: Path) -> None:
    """The first start finds a port taken; `taken_port.py` takes it before it ends."""
    folder = tmp_path / "demo"
    try:
        async with stage(folder, (sys.executable, str(TAKEN)), keep=True) as made:
            tried = [int(line) for line in (folder / "platform" / "tried").read_text().split()]
            assert len(tried) == 2
            assert tried[0] != tried[1] == made.ports["metrics"]
    finally:
        os.kill(int((folder / "platform" / "holder").read_text()), signal.SIGTERM)
