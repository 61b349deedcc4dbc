"""The dump in a checkout, with the id that git has for it. The same commit in GitHub has the same id."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from greenroom import dumpfile
from greenroom.errors import FixConfiguration
from greenroom.seeds import lfs


def blob_id(checkout: Path, path: str, *, worktree: bool = False) -> str:
    """Return git's id of a file at HEAD. With `worktree`, or outside of git, return that of the file's content.

    Raise `FixConfiguration` if the file is not the one at HEAD: its image would get a name that belongs to another one.
    For a file of Git LFS, git's id is that of the pointer, and the pointer names the content.
    """
    file = checkout / path
    if worktree or not _is_root(checkout):
        return dumpfile.git_blob_id(file)
    committed = _git(checkout, "rev-parse", "--verify", "--quiet", f"HEAD:{path}").decode().strip()
    if not committed:
        raise FixConfiguration(f"{file} is not in the commit that is checked out. Commit it, or pass --worktree.")
    content = _git(checkout, "hash-object", "--no-filters", "--", str(file.absolute())).decode().strip()
    if content != committed and not _is_content_of(_pointer(checkout, committed), file):
        raise FixConfiguration(
            f"{file} differs from the commit that is checked out, so the image would get the name of another dump."
            " Commit the change, or pass --worktree."
        )
    return committed


def _is_root(checkout: Path) -> bool:
    """Return whether this is the root of a git work tree. Raise `FixConfiguration` for a folder inside of one."""
    root = _git(checkout, "rev-parse", "--show-toplevel").decode().strip()
    if root and Path(root).resolve() != checkout.resolve():
        raise FixConfiguration(
            f"{checkout.resolve()} is not the root of its repository, from which the path of the dump counts. Pass"
            f" --checkout {root}."
        )
    return bool(root)


def _pointer(checkout: Path, blob: str) -> bytes:
    size = _git(checkout, "cat-file", "-s", blob).strip()
    return _git(checkout, "cat-file", "blob", blob) if size.isdigit() and int(size) <= lfs.LARGEST_POINTER else b""


def _is_content_of(pointer: bytes, file: Path) -> bool:
    found = lfs.pointer(pointer)
    if found is None or file.stat().st_size != found.size:
        return False
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == found.oid


def _git(folder: Path, *arguments: str) -> bytes:
    """Return what git prints; nothing if it fails, as it does outside of a repository."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True)
    except FileNotFoundError:
        return b""
    return done.stdout if done.returncode == 0 else b""
