"""A worktree is whole or is made anew, whatever ended git in the middle."""

from __future__ import annotations

import asyncio
import shutil
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
    assert str(tree) not in git(shop.repository, "worktree", "list")


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


async def test_one_whose_files_are_gone_while_git_has_it_locked_is_forgotten(shop: Workshop) -> None:
    """Git was killed while it added one, and the next attempt was canceled after the files had been deleted."""
    sha, trees = shop.commit("1"), Worktrees(shop.settings.checkouts)
    tree = await trees.add("acme/shop", sha, shop.folder / "trees" / "a", MARK)
    cut_off(shop.repository, tree)
    shutil.rmtree(tree)
    assert await trees.recorded(shop.folder / "trees") == ["acme/shop"]
    await trees.remove("acme/shop", shop.folder / "trees")
    assert await trees.recorded(shop.folder / "trees") == []
    assert str(tree) not in git(shop.repository, "worktree", "list")


async def test_one_is_forgotten_although_the_repository_was_renamed(shop: Workshop) -> None:
    sha, renamed = shop.commit("1"), Worktrees({"acme/store": shop.repository})
    tree = await Worktrees(shop.settings.checkouts).add("acme/shop", sha, shop.folder / "tree", MARK)
    assert await renamed.recorded(tree) == ["acme/store"]
    await renamed.remove("acme/shop", tree)
    assert str(tree) not in git(shop.repository, "worktree", "list")


async def test_worktrees_of_other_previews_and_of_the_owner_stay(shop: Workshop) -> None:
    sha, trees = shop.commit("1"), Worktrees(shop.settings.checkouts)
    ours = await trees.add("acme/shop", sha, shop.folder / "7-1" / "trees" / "a", MARK)
    others = await trees.add("acme/shop", sha, shop.folder / "7-11" / "trees" / "a", MARK)
    owners = shop.folder / "usb"
    git(shop.repository, "worktree", "add", "--quiet", "--detach", str(owners), sha)
    git(shop.repository, "worktree", "lock", str(owners))
    shutil.move(owners, shop.folder / "unplugged")
    await trees.remove("acme/shop", shop.folder / "7-1")
    listed = git(shop.repository, "worktree", "list")
    assert str(ours) not in listed
    assert str(others) in listed
    assert str(owners) in listed


async def test_a_checkout_that_git_cannot_read_is_an_error(shop: Workshop) -> None:
    trees = Worktrees({"acme/none": shop.folder})
    assert await trees.recorded(shop.folder / "trees") == []
    (shop.repository / ".git" / "config").write_text("[core\n")
    with pytest.raises(Failed, match="git could not list the worktrees of a checkout: fatal: bad config"):
        await Worktrees(shop.settings.checkouts).recorded(shop.folder / "trees")
