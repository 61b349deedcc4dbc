"""Migrations of a commit in a local git repository."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from greenroom.core.model.migrations import MigrationSet
from greenroom.core.model.status import Reason
from greenroom.core.policy.migration_sets import migration_set, needed
from greenroom.errors import FixConfiguration


def migrations(repository: Path, commit: str, folder: str = "") -> MigrationSet:
    """Return the migrations of a commit. Raise `FixConfiguration` with the reason if they are not known."""
    files = tree(repository, commit)
    found = migration_set(files, blobs(repository, needed(files, folder)), folder)
    if isinstance(found, Reason):
        raise FixConfiguration(str(found))
    return found


def top(folder: Path) -> Path:
    """Return the folder of the git repository that contains a folder."""
    return Path(_git(folder, ["rev-parse", "--show-toplevel"]).decode(errors="surrogateescape").removesuffix("\n"))


def tree(repository: Path, commit: str) -> dict[str, str]:
    """Return the blob id of each regular file of a commit, by its path."""
    listing = _git(repository, ["ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit])
    files: dict[str, str] = {}
    for entry in filter(None, listing.decode(errors="surrogateescape").split("\0")):
        details, _, path = entry.partition("\t")
        mode, kind, blob = details.split()
        if kind == "blob" and mode != "120000":  # the content of a symbolic link is a path
            files[path] = blob
    return files


def blobs(repository: Path, ids: Iterable[str]) -> dict[str, bytes]:
    """Return the content of blobs by their ids."""
    wanted = list(ids)
    output = _git(repository, ["cat-file", "--batch"], "".join(f"{i}\n" for i in wanted).encode()) if wanted else b""
    found: dict[str, bytes] = {}
    for each in wanted:
        header, _, output = output.partition(b"\n")
        if not header.startswith(f"{each} blob ".encode()):
            raise FixConfiguration(f"{repository}: the blob {each} is missing. Fetch the whole commit.")
        size = int(header.split()[-1])
        found[each], output = output[:size], output[size + 1 :]
    return found


def _git(repository: Path, arguments: list[str], given: bytes = b"") -> bytes:
    done = subprocess.run(["git", "-C", str(repository), *arguments], input=given, capture_output=True, check=False)
    if done.returncode:
        why = (done.stderr.decode(errors="replace").strip().splitlines() or ["git gave no reason"])[-1]
        raise FixConfiguration(f"{repository}: the files of the commit cannot be read: {why}")
    return done.stdout
