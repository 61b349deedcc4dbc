"""Read-only access to a git repository on this machine: its branches, and what they change."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from greenroom.errors import Failed

SECONDS = 30


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch: its newest commit, and the first line of that commit's message."""

    name: str
    sha: str
    subject: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """A repository with at least one commit. `base` is the branch that pull requests are merged into."""

    path: Path
    base: str

    @classmethod
    def at(cls, path: Path) -> Checkout:
        """Return the checkout at a path. Raise `Failed` if there is none, or if its base branch is not known.

        The branch that is checked out does not matter: usually it is the one that a person works on.
        """
        path = path.resolve()
        if not path.is_dir():
            raise Failed(f"{path} is not a folder.")
        known = {b.name for b in cls(path, "").branches()}
        head = _git(path, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD", may_fail=True)
        base = next((b for b in (head.removeprefix("origin/"), "main", "master") if b in known), "")
        if not known:
            raise Failed(f"{path} has no commits.")
        if not base:
            how = "git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/NAME"
            raise Failed(f"{path} has no branch `main` or `master`. Set its base branch: `{how}`.")
        return cls(path, base)

    def branches(self) -> tuple[Branch, ...]:
        """Return every branch. Raise `Failed` if git fails."""
        out = _git(self.path, "for-each-ref", "--format=%(refname:lstrip=2)%09%(objectname)%09%(subject)", "refs/heads")
        return tuple(Branch(*line.split("\t", 2)) for line in out.splitlines())

    def changed(self, since: str, sha: str) -> list[str]:
        """Return the paths that a commit changes since its merge base with another one."""
        return _git(self.path, "diff", "--name-only", "--no-renames", "-z", f"{since}...{sha}").split("\0")[:-1]

    def contains(self, commit: str, sha: str) -> bool:
        """Return whether `commit` has `sha` in its history."""
        return not _git(self.path, "rev-list", "--max-count=1", sha, f"^{commit}")


def _git(path: Path, *arguments: str, may_fail: bool = False) -> str:
    """Return the output of git. Raise `Failed` with the last line of its error."""
    safe = ["-c", f"safe.directory={path.resolve()}"]
    try:
        done = subprocess.run(
            ["git", *safe, "-C", str(path), *arguments], capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"git {arguments[0]} in {path} took longer than {SECONDS} s.") from None
    if done.returncode and not may_fail:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise Failed(f"git {arguments[0]} failed in {path}: {said[-1]}")
    return done.stdout.decode(errors="replace").strip("\n")
