"""A git worktree of one commit, from a repository on this machine. Only full commit hashes reach git."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from greenroom.errors import Failed
from greenroom.local.machine import Lacks

_SHA = re.compile(r"[0-9a-f]{40}")


class Worktrees:
    """Worktrees of the repositories in `checkouts` (owner/name to path)."""

    def __init__(self, checkouts: Mapping[str, Path]) -> None:
        self._checkouts = checkouts
        self._lock = asyncio.Lock()

    async def add(self, slug: str, sha: str, path: Path) -> Path:
        """The tree of a commit at `path`; one that is there already stays. Raises `Failed` with one sentence."""
        if not _SHA.fullmatch(sha):
            raise Failed(f"{sha!r} is no full commit hash.")
        checkout = self._checkout(slug)
        if (path / ".git").exists():
            return path
        async with self._lock:
            if await self._git(checkout, "cat-file", "-e", f"{sha}^{{commit}}"):
                raise Failed(f"Commit {sha[:7]} is not in {checkout.name}; is it a fork's, or not fetched?")
            if wrong := await self._git(checkout, "worktree", "add", "--force", "--detach", str(path), sha):
                raise Failed(f"git could not check {sha[:7]} of {slug} out: {wrong}")
        return path

    async def remove(self, slug: str, path: Path) -> None:
        """Remove a worktree, and git's note of it. Raises `Failed` when either stays."""
        try:
            await asyncio.to_thread(shutil.rmtree, path)
        except OSError as error:
            if path.exists():
                raise Failed(f"{error.filename} cannot be removed ({error.strerror}).") from None
        checkout = self._checkouts.get(slug)
        if checkout and checkout.is_dir():
            async with self._lock:
                if wrong := await self._git(checkout, "worktree", "prune"):
                    raise Failed(f"git could not forget a worktree of {slug}: {wrong}")

    async def listed(self, slug: str) -> str:
        """What git itself says of the repository's worktrees."""
        checkout = self._checkouts.get(slug)
        if checkout is None or not checkout.is_dir():
            return ""
        child = await self._start(checkout, "worktree", "list", "--porcelain")
        out, _ = await child.communicate()
        return out.decode(errors="replace")

    def _checkout(self, slug: str) -> Path:
        found = self._checkouts.get(slug)
        if found is None or not found.is_dir():
            how = "Add its path under `local.checkouts` in greenroom.yaml and start Greenroom again."
            raise Lacks(f"There is no checkout of {slug} here. {how}")
        return found

    async def _git(self, checkout: Path, *arguments: str) -> str:
        """Run git; empty when it went well, else its last line."""
        child = await self._start(checkout, *arguments)
        _, wrong = await child.communicate()
        lines = wrong.decode(errors="replace").strip().splitlines() or [f"git ended with {child.returncode}"]
        return lines[-1] if child.returncode else ""

    @staticmethod
    async def _start(checkout: Path, *arguments: str) -> asyncio.subprocess.Process:
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
            umask=0o022,
        )
