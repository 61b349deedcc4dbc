"""Git worktrees of single commits, from repositories on this machine. Only full commit hashes reach git.

If the checkout lacks the commit, it is fetched from the checkout's remotes. Only the commit is fetched, so the owner's
branches, tags and FETCH_HEAD stay as they are.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from greenroom.errors import Failed
from greenroom.local import files, git, machine, processes
from greenroom.local.machine import MissingDependency

_SHA = re.compile(r"[0-9a-f]{40}")
_FETCH = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"]
_NOT_THERE = re.compile("not our ref|unadvertised object|find remote ref")
_PASSWORD = re.compile(r"could not read (Username|Password)|Authentication failed|Permission denied \(")
CHECKOUT_SECONDS = 300.0  # the files of a partial clone are fetched meanwhile


class NotFetched(Failed):
    """A commit is not in the checkout, and could not be fetched. It may be there later.

    The message may be published, so it names no folder, remote or host. The output of git is in `log`.
    """


class Worktrees:
    """Worktrees of the repositories in `checkouts` (owner/name to path)."""

    def __init__(
        self,
        checkouts: Mapping[str, Path],
        fetch_seconds: float = 30.0,
        checkout_seconds: float = CHECKOUT_SECONDS,
    ) -> None:
        self._checkouts = checkouts
        self._fetch_seconds = fetch_seconds
        self._checkout_seconds = checkout_seconds
        self._lock = asyncio.Lock()

    async def add(self, slug: str, sha: str, path: Path, mark: str) -> Path:
        """Add a worktree of a commit at `path` unless it is complete. Return `path`. Raise `Failed` with a sentence.

        git runs with `mark`, so that a git process that outlives Greenroom is found with the preview's processes.
        """
        checkout = self._checkout(slug, sha)
        if _whole(path):
            return path
        await self.fetch(slug, sha, mark)
        async with self._lock:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
            anyway = ("--force", "--force")  # twice: this also replaces an interrupted worktree that git has locked
            arguments = ("worktree", "add", *anyway, "--detach", str(path), sha)
            # In a partial clone this fetches the files. No other call except `fetch` may do that.
            if wrong := await git.run(checkout, *arguments, seconds=self._checkout_seconds, mark=mark, may_fetch=True):
                # A partial tree would take up space on a full disk.
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
                raise Failed(f"git could not check out {sha[:7]} of {slug}.", log=(wrong,))
        return path

    async def fetch(self, slug: str, sha: str, mark: str) -> None:
        """Fetch a commit that is not in the checkout. Raise `NotFetched` if no remote provides it in time.

        Try all remotes, those of that repository first, because `origin` may be a fork.
        """
        checkout = self._checkout(slug, sha)
        if await self._has(checkout, sha):
            return
        kinds, said = [], []
        for remote in await self._remotes(checkout, slug):
            kind, line = await self._fetch(checkout, remote, sha, mark)
            if not kind and await self._has(checkout, sha):
                return
            kinds.append(kind)
            said.append(f"git fetch {remote}: {line or 'does not have it'}")
        why = "; ".join(dict.fromkeys(filter(None, kinds))) or "no remote has the commit"
        fix = "Run `git fetch` in the checkout."
        if not kinds:
            why = "the checkout has no remote"
            fix = "Add a remote with `git remote add`. Greenroom will then fetch the commit."
        raise NotFetched(f"Commit {sha[:7]} of {slug} is not in the checkout: {why}. {fix}", log=tuple(said))

    async def _has(self, checkout: Path, sha: str) -> bool:
        return not await git.run(checkout, "cat-file", "-e", f"{sha}^{{commit}}", seconds=self._fetch_seconds)

    async def _remotes(self, checkout: Path, slug: str) -> list[str]:
        out, _ = await processes.finish(await git.start(checkout, "config", "--get-regexp", r"^remote\..*\.url$"))
        keys = [line.partition(" ")[::2] for line in out.decode(errors="replace").splitlines()]
        found = {key.removeprefix("remote.").removesuffix(".url"): url.lower() for key, url in keys}
        return sorted(found, key=lambda name: slug.lower() not in found[name])

    async def _fetch(self, checkout: Path, remote: str, sha: str, mark: str) -> tuple[str, str]:
        """Fetch a commit from one remote. Return the kind of failure in plain words, and git's line.

        Both are empty on success. The kind is also empty when the remote answers that it does not have the commit.
        """
        child = await git.start(checkout, *_FETCH, "--", remote, sha, mark=mark, may_fetch=True)
        try:
            async with asyncio.timeout(self._fetch_seconds):
                _, wrong = await processes.finish(child)
        except TimeoutError:
            limit = f"{self._fetch_seconds:g} s"
            return f"a remote could not be reached within {limit}", f"did not finish within {limit}"
        if child.returncode == 0:
            return "", ""
        said = wrong.decode(errors="replace")
        lines = [line for line in said.splitlines() if line and not line.lower().startswith("warning: ")]
        line = machine.disk_error_or_last(lines[::-1] or [f"git exited with {child.returncode}"])
        if _NOT_THERE.search(said):
            return "", line
        return "a remote asks for a password" if _PASSWORD.search(said) else "a remote could not be read", line

    async def remove(self, slug: str, path: Path) -> None:
        """Remove the worktrees at or below a path, and git's records of them. Raise `Failed` when one remains.

        The records are looked for in every checkout, because the repository may have another name by now. A record that
        git locked, and was then killed, stays even when the files are gone, so it is unlocked first.
        """
        try:
            await asyncio.to_thread(shutil.rmtree, path)
        except OSError as error:
            if path.exists():
                name = Path(str(error.filename)).name  # comments may show this, so leave out the folder
                raise Failed(f"{name} in a worktree of {slug} cannot be removed ({error.strerror}).") from None
        for checkout in {c for c in self._checkouts.values() if c.is_dir()}:
            async with self._lock:
                await self._forget(slug, checkout, path)

    async def _forget(self, slug: str, checkout: Path, path: Path) -> None:
        """Make git forget the worktrees of one checkout at or below a path."""
        if not (recorded := await self._recorded(checkout, path)):
            return
        for tree, locked in recorded:
            if locked:
                await git.run(checkout, "worktree", "unlock", tree, seconds=self._fetch_seconds)
        if wrong := await git.run(checkout, "worktree", "prune", seconds=self._fetch_seconds):
            wrong = wrong.replace(str(checkout), "the checkout")
            raise Failed(f"git could not remove a worktree of {slug}: {wrong}")
        if await self._recorded(checkout, path):
            raise Failed(f"git still has a record of a worktree of {slug} after `git worktree prune`.")

    async def recorded(self, path: Path) -> list[str]:
        """Return the repositories (owner/name) whose checkout records a worktree at or below a path."""
        there = [(slug, checkout) for slug, checkout in self._checkouts.items() if checkout.is_dir()]
        return [slug for slug, checkout in there if await self._recorded(checkout, path)]

    async def _recorded(self, checkout: Path, path: Path) -> list[tuple[str, bool]]:
        """Return git's own list of the worktrees at or below a path, and whether each is locked."""
        child = await git.start(checkout, "worktree", "list", "--porcelain")
        out, wrong = await processes.finish(child)
        said = wrong.decode(errors="replace").strip().replace(str(checkout), "the checkout")
        if child.returncode and "not a git repository" not in said:
            raise Failed(f"git could not list the worktrees of a checkout: {said}")
        entries = [entry.splitlines() for entry in out.decode(errors="replace").split("\n\n") if entry.strip()]
        found = [(e[0].removeprefix("worktree "), any(line.startswith("locked") for line in e)) for e in entries]
        return [(tree, locked) for tree, locked in found if Path(tree).is_relative_to(path.resolve())]

    def _checkout(self, slug: str, sha: str) -> Path:
        if not _SHA.fullmatch(sha):
            raise Failed(f"{sha!r} is not a full commit hash.")
        found = self._checkouts.get(slug)
        if found is None or not found.is_dir():
            how = "Set the path of a checkout under `local.checkouts` in greenroom.yaml, and restart Greenroom."
            raise MissingDependency(f"There is no checkout of {slug} here. {how}")
        return found


def _whole(path: Path) -> bool:
    return (path / ".git").exists() and not _locked(path)


def _locked(path: Path) -> bool:
    """Return whether git has locked a worktree. It does so from before the first file until after the last.

    https://git-scm.com/docs/git-worktree (DETAILS)
    """
    try:
        with files.regular(path / ".git") as file:
            folder = file.read().decode().removeprefix("gitdir:").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return (path / folder / "locked").exists()
