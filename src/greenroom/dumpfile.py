"""Preparation of a dump for the script that restores it: decompressed, and a pg_dump directory as a folder."""

from __future__ import annotations

import gzip
import shutil
import sys
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, cast

from greenroom.core.model.seeds import blob_id
from greenroom.errors import Failed, FixConfiguration

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP, _ZSTD, _TAR = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"ustar"
_CHUNK = 1024 * 1024


def git_blob_id(path: Path) -> str:
    """Return the id that git gives to the content of a file. Raise `FixConfiguration` if it cannot be read."""
    try:
        found = blob_id(path.stat().st_size)
        with path.open("rb") as file:
            while part := file.read(_CHUNK):
                found.update(part)
    except OSError as error:
        raise FixConfiguration(f"{path} cannot be read ({_why(error)}). Check the path of the dump.") from None
    return found.hexdigest()


def git_blob_ids(places: Iterable[Path]) -> tuple[tuple[str, str], ...]:
    """Return the path and git's id of each file in these files and folders, without caches and hidden files."""
    found = []
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            inner = path.relative_to(place).parts
            if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in inner):
                found.append((path.as_posix(), git_blob_id(path)))
    return tuple(found)


def prepare(dump: Path, target: Path) -> None:
    """Write a dump to `target`, decompressed. A tar file of a pg_dump directory becomes a folder.

    Raise `Failed` for a dump that is truncated or corrupt.
    """
    draft = target.with_name(f"{target.name}.draft")
    try:
        with _decompressed(dump) as source, draft.open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError):
        raise Failed(
            f"{dump} is truncated or corrupt: it cannot be decompressed completely. Dump the database again."
        ) from None
    if _is_directory_archive(draft):
        _extract(draft, target)
        draft.unlink()
    else:
        draft.rename(target)


def _decompressed(dump: Path) -> IO[bytes]:
    with dump.open("rb") as file:
        head = file.read(len(_ZSTD))
    if head.startswith(_GZIP):
        return cast("IO[bytes]", gzip.open(dump))
    return cast("IO[bytes]", zstd.open(dump)) if head == _ZSTD else dump.open("rb")


def _is_directory_archive(path: Path) -> bool:
    """Return whether this is a tar file of a pg_dump directory. Only `pg_dump --format=tar` adds a restore.sql."""
    with path.open("rb") as file:
        if file.read(262)[257:] != _TAR:
            return False
    with tarfile.open(path) as archive:
        names = {Path(name).name for name in archive.getnames()}
    return "toc.dat" in names and "restore.sql" not in names


def _extract(path: Path, target: Path) -> None:
    """Extract the files of a pg_dump directory, whose folder in the archive may have any name, or none."""
    target.mkdir()
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isfile() else None
                if content is not None:
                    with (target / Path(entry.name).name).open("xb") as file:
                        shutil.copyfileobj(content, file, _CHUNK)
    except FileExistsError:
        raise Failed(
            "The tar file of the pg_dump directory contains two files with the same name. Create the tar file again."
        ) from None
    except (tarfile.TarError, EOFError):
        raise Failed(
            "The tar file of the pg_dump directory is truncated or corrupt. Create the tar file again."
        ) from None


def _why(error: OSError) -> str:
    return (error.strerror or "unknown error").lower()
