"""A git worktree of one commit, from a repository on this machine. Only full commit hashes reach git."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from greenroom.errors import Failed
from greenroom.local import files, machine, processes
from greenroom.local.machine import Lacks

_SHA = re.compile(r"[0-9a-f]{40}")


class Worktrees:
    """Worktrees of the repositories in `checkouts` (owner/name to path)."""

    def __init__(self, checkouts: Mapping[str, Path]) -> None:
        self._checkouts = checkouts
        self._lock = asyncio.Lock()

    async def add(self, slug: str, sha: str, path: Path, mark: str) -> Path:
        """The tree of a commit at `path`; one that is there whole stays. Raises `Failed` with one sentence.

        git carries `mark`, so that one which outlives us is found with the preview's processes.
        """
        if not _SHA.fullmatch(sha):
            raise Failed(f"{sha!r} is no full commit hash.")
        checkout = self._checkout(slug)
        if _whole(path):
            return path
        async with self._lock:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
            if await self._git(checkout, "cat-file", "-e", f"{sha}^{{commit}}"):
                raise Failed(f"Commit {sha[:7]} is not in {checkout.name}; is it a fork's, or not fetched?")
            anyway = ("--force", "--force")  # twice: also where one that was cut off is noted and locked
            arguments = ("worktree", "add", *anyway, "--detach", str(path), sha)
            if wrong := await self._git(checkout, *arguments, mark=mark):
                # A partial tree would take up space on a full disk.
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
                raise Failed(f"git could not check {sha[:7]} of {slug} out: {wrong}")
        return path

    async def remove(self, slug: str, path: Path) -> None:
        """Remove a worktree, and git's note of it. Raises `Failed` when either stays."""
        checkout = self._checkouts.get(slug)
        known = checkout if checkout and checkout.is_dir() else None
        if known and _locked(path):
            await self._git(known, "worktree", "unlock", str(path))
        try:
            await asyncio.to_thread(shutil.rmtree, path)
        except OSError as error:
            if path.exists():
                raise Failed(f"{error.filename} cannot be removed ({error.strerror}).") from None
        if known:
            async with self._lock:
                if wrong := await self._git(known, "worktree", "prune"):
                    raise Failed(f"git could not forget a worktree of {slug}: {wrong}")

    async def listed(self, slug: str) -> str:
        """What git itself says of the repository's worktrees."""
        checkout = self._checkouts.get(slug)
        if checkout is None or not checkout.is_dir():
            return ""
        child = await self._start(checkout, "worktree", "list", "--porcelain")
        out, _ = await processes.finish(child)
        return out.decode(errors="replace")

    def _checkout(self, slug: str) -> Path:
        found = self._checkouts.get(slug)
        if found is None or not found.is_dir():
            how = "Add its path under `local.checkouts` in greenroom.yaml and start Greenroom again."
            raise Lacks(f"There is no checkout of {slug} here. {how}")
        return found

    async def _git(self, checkout: Path, *arguments: str, mark: str = "") -> str:
        """Run git. Return an empty string on success, else the most useful line of its output."""
        child = await self._start(checkout, *arguments, mark=mark)
        _, wrong = await processes.finish(child)
        lines = wrong.decode(errors="replace").strip().splitlines() or [f"git ended with {child.returncode}"]
        return machine.disk_error_or_last(lines) if child.returncode else ""

    @staticmethod
    async def _start(checkout: Path, *arguments: str, mark: str = "") -> asyncio.subprocess.Process:
        safe = ["-c", "core.hooksPath=/dev/null", "-c", f"safe.directory={checkout.resolve()}"]
        return await asyncio.create_subprocess_exec(
            "git",
            *safe,
            "-C",
            str(checkout),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            umask=0o022,
            env={**os.environ, **({processes.MARK: mark} if mark else {})},
        )


def _whole(path: Path) -> bool:
    return (path / ".git").exists() and not _locked(path)


def _locked(path: Path) -> bool:
    """Whether git locked it: as it does from before the first file of a worktree until after the last.

    https://git-scm.com/docs/git-worktree (DETAILS)
    """
    try:
        with files.regular(path / ".git") as file:
            folder = file.read().decode().removeprefix("gitdir:").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return (path / folder / "locked").exists()
