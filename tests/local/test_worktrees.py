"""A worktree is whole or is made anew, whatever ended git in the middle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from greenroom.errors import Failed
from greenroom.local import processes
from greenroom.local.worktrees import Worktrees
from local.workshop import Workshop, git, until

MARK = "test-worktrees/7#1"


def cut_off(repository: Path, tree: Path) -> None:
    """As a git that was killed leaves it: locked by itself, and only partly checked out."""
    (tree / "server.py").unlink()
    (Path(git(tree, "rev-parse", "--absolute-git-dir")) / "locked").write_text("initializing")


async def test_existing_worktree_is_reused(shop: Workshop) -> None:
    sha, trees = shop.commit("1"), Worktrees(shop.settings.checkouts)
    tree = await trees.add("acme/shop", sha, shop.folder / "tree", MARK)
    (tree / "made").touch()
    assert await trees.add("acme/shop", sha, shop.folder / "tree", MARK) == tree
    assert (tree / "made").exists()


async def test_one_that_was_cut_off_is_created_again(shop: Workshop) -> None:
    sha, trees = shop.commit("1"), Worktrees(shop.settings.checkouts)
    tree = await trees.add("acme/shop", sha, shop.folder / "tree", MARK)
    cut_off(shop.repository, tree)
    assert await trees.add("acme/shop", sha, tree, MARK) == tree
    assert (tree / "server.py").exists()
    assert git(tree, "status", "--porcelain") == ""


async def test_one_that_was_cut_off_is_removed_and_forgotten(shop: Workshop) -> None:
    sha, trees = shop.commit("1"), Worktrees(shop.settings.checkouts)
    tree = await trees.add("acme/shop", sha, shop.folder / "tree", MARK)
    cut_off(shop.repository, tree)
    await trees.remove("acme/shop", tree)
    assert not tree.exists()
    assert str(tree) not in await trees.listed("acme/shop")


async def test_a_checkout_that_is_not_wanted_any_more_ends_git(shop: Workshop) -> None:
    waits = shop.folder / "waits"
    waits.write_text("#!/bin/sh\ntouch begun\nexec sleep 60\n")
    waits.chmod(0o755)
    (shop.repository / ".gitattributes").write_text("*.py filter=slow\n")
    sha, trees = shop.commit("1"), Worktrees(shop.settings.checkouts)
    git(shop.repository, "config", "filter.slow.smudge", str(waits))
    adding = asyncio.create_task(trees.add("acme/shop", sha, shop.folder / "tree", MARK))

    async def begun() -> bool:
        return (shop.folder / "tree" / "begun").exists()

    await until(begun)
    assert processes.marked(MARK), "a git that outlives us is found by the preview's mark"
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding

    async def ended() -> bool:
        return not processes.marked(MARK)

    await until(ended)
    git(shop.repository, "config", "--unset", "filter.slow.smudge")
    tree = await trees.add("acme/shop", sha, shop.folder / "tree", MARK)
    assert sorted(p.name for p in tree.iterdir()) == [".git", ".gitattributes", "server.py"]


async def test_a_checkout_that_hangs_ends_in_time_and_leaves_no_files(shop: Workshop) -> None:
    (shop.repository / ".gitattributes").write_text("*.py filter=slow\n")
    sha = shop.commit("1")
    git(shop.repository, "config", "filter.slow.smudge", "sleep 60")
    trees = Worktrees(shop.settings.checkouts, checkout_seconds=0.5)
    with pytest.raises(Failed) as failed:
        async with asyncio.timeout(20):
            await trees.add("acme/shop", sha, shop.folder / "tree", MARK)
    assert str(failed.value) == f"git could not check out {sha[:7]} of acme/shop."
    assert failed.value.log == ("git did not finish within 0.5 s",)
    assert not (shop.folder / "tree").exists()
    assert not processes.marked(MARK)
