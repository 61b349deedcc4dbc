"""One layer of an image from a folder. The same files always make the same layer.

https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from greenroom.errors import Failed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Compression = Literal["zstd", "gzip"]
MEDIA_TYPES: dict[Compression, str] = {
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
}
OWNER = 999
"""UID and GID of `postgres`, `mysql` and `redis` in the Debian-based stock images."""
ROOT = 0

# They name paths and processes of the machine that built the seed, and a server writes its own.
_LEFT_OUT = ("postmaster.pid", "postmaster.opts")
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Layer:
    """A compressed layer in a file. `size` and `digest` are of the file, `diff_id` is of the tar archive in it.

    `content` is the number of bytes of its files.
    """

    path: Path
    digest: str
    diff_id: str
    size: int
    media_type: str
    content: int


def pack(folder: Path, place: str, target: Path, *, compression: Compression = "zstd", owner: int = OWNER) -> Layer:
    """Pack a folder as a layer that puts it at `place`, in constant memory. Only its owner is replaced.

    The parent of `place` belongs to root. Raise `Failed` for a link or a device.
    """
    with target.open("wb") as file:
        compressed = _Hashing(file)
        with _compressor(compression, cast("IO[bytes]", compressed)) as packed:
            plain = _Hashing(packed)
            with tarfile.open(fileobj=cast("IO[bytes]", plain), mode="w|", format=tarfile.PAX_FORMAT) as archive:
                content = _fill(archive, folder, place.strip("/"), owner)
    return Layer(target, compressed.digest, plain.digest, compressed.size, MEDIA_TYPES[compression], content)


def _fill(archive: tarfile.TarFile, folder: Path, place: str, owner: int) -> int:
    parent = tarfile.TarInfo(str(Path(place).parent))
    parent.type, parent.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(parent)
    content = 0
    for path, status in _entries(folder):
        entry = tarfile.TarInfo(str(Path(place) / path.relative_to(folder)))
        entry.mode, entry.uid, entry.gid = stat.S_IMODE(status.st_mode), owner, owner
        if stat.S_ISDIR(status.st_mode):
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)
            continue
        entry.size = status.st_size
        content += status.st_size
        with path.open("rb") as file:
            archive.addfile(entry, file)
    return content


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield a folder and everything in it, each folder before its content, by name."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
        raise Failed(f"{folder} is neither a file nor a folder. A seed cannot contain links, such as tablespaces.")
    yield folder, status
    if stat.S_ISDIR(status.st_mode):
        for path in sorted(folder.iterdir()):
            if path.name not in _LEFT_OUT:
                yield from _entries(path)


def _compressor(compression: Compression, target: IO[bytes]) -> IO[bytes]:
    if compression == "gzip":
        made = gzip.GzipFile(filename="", mode="wb", fileobj=target, compresslevel=6, mtime=0)
        return cast("IO[bytes]", io.BufferedWriter(made, _CHUNK))
    # The number of workers changes the output only between 0 and 1, so it must not depend on the machine.
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: 3,
        zstd.CompressionParameter.nb_workers: 2,
    }
    return cast("IO[bytes]", zstd.ZstdFile(target, mode="w", options=options))


class _Hashing:
    """A file to write to that hashes and counts what passes."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Write, and update the hash."""
        self._hash.update(data)
        self.size += len(data)
        self._target.write(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing; the file is flushed when it is closed."""

    @property
    def digest(self) -> str:
        """The digest of everything written so far."""
        return f"sha256:{self._hash.hexdigest()}"
