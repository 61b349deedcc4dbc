"""The format of a dump, detected by its content and never by its name."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path

from greenroom.errors import FixConfiguration
from greenroom.seeds import streams
from greenroom.seeds.streams import NotADump, Stream

POSTGRESQL, MYSQL, REDIS = "postgresql", "mysql", "redis"
PLAIN, CUSTOM, DIRECTORY, RDB = "plain SQL", "pg_dump custom", "pg_dump directory", "Redis dump"

_HEAD = 4096
_TAR_MAGIC = slice(257, 262)

_OTHERS = (
    (b"SQLite format 3\0", "a SQLite database file"),
    (b"PK\x03\x04", "a ZIP file"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip file"),
    (b"age-encryption.org/", "encrypted with age"),
    (b"-----BEGIN PGP", "encrypted with PGP"),
    (b"\x6d\xe2\x99\x81", "a MongoDB archive"),
    (b"PRAGMA foreign_keys", "a dump of SQLite"),
    (b"TAPE\0", "a SQL Server backup"),
)
"""First bytes of files that people commit instead of a dump."""

_MYSQL = re.compile(
    rb"^-- (MySQL|MariaDB) dump|^/\*(M?!)|phpMyAdmin SQL Dump|^\) ENGINE=|^(CREATE TABLE|INSERT INTO|LOCK TABLES) `",
    re.MULTILINE,
)
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class Opened:
    """A dump whose format is known. `kind` is the engine, `compression` is empty, `gzip` or `zstd`."""

    path: Path
    format: str
    kind: str
    compression: str
    stream: Stream

    def again(self) -> Stream:
        """Return a new stream of the same decompressed bytes, from the beginning."""
        return _decompressed(self.path)[1]


def opened(path: Path) -> Opened:
    """Return the dump at this path. Raise `NotADump` for other content and `FixConfiguration` if it cannot be read."""
    _require_file(path)
    try:
        compression, stream = _decompressed(path)
        head = stream.peek(_HEAD)
    except OSError as error:
        raise FixConfiguration(f"{path} cannot be read ({(error.strerror or 'unknown error').lower()}).") from None
    format_, kind = _detected(head)
    return Opened(path, format_, kind, compression, stream)


def _require_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise FixConfiguration(f"{path} cannot be read ({reason}). Check the path of the dump.") from None
    if stat.S_ISDIR(mode) and (path / "toc.dat").exists():
        raise NotADump("This is a folder. Store the output of `pg_dump --format=directory` as a tar file.")
    if not stat.S_ISREG(mode):
        raise FixConfiguration(f"{path} is not a file. Pass the path of the dump.")


def _decompressed(path: Path) -> tuple[str, Stream]:
    raw = Stream(streams.of_file(path))
    head = raw.peek(4)
    if head.startswith(b"\x1f\x8b"):
        return "gzip", Stream(streams.gunzipped(raw.blocks()))
    if head == b"\x28\xb5\x2f\xfd":
        return "zstd", Stream(streams.unzstd(raw.blocks()))
    return "", raw


def _detected(head: bytes) -> tuple[str, str]:
    if not head:
        raise NotADump("The dump is empty. Dump the database again.")
    if head.startswith(b"PGDMP"):
        return CUSTOM, POSTGRESQL
    if head[_TAR_MAGIC] == b"ustar":
        return DIRECTORY, POSTGRESQL
    if re.match(rb"REDIS\d{4}|VALKEY\d{3}", head):
        return RDB, REDIS
    _refuse_others(head)
    return PLAIN, MYSQL if _MYSQL.search(head) else POSTGRESQL


def _refuse_others(head: bytes) -> None:
    if head.startswith(b"version https://git-lfs"):
        raise NotADump(
            "This is a Git LFS pointer, not the dump. Run `git lfs pull`; in GitHub Actions, set `lfs: true` in the"
            " checkout step."
        )
    for magic, name in _OTHERS:
        if head.startswith(magic):
            raise NotADump(
                f"The file is {name}. Use plain SQL (optionally compressed with gzip or zstd) or a pg_dump archive."
            )
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0S\0E\0T" in head or b"-\0-\0" in head:
        raise NotADump(
            "The dump is in UTF-16, which PowerShell writes for `>`. Instead of a redirect, use"
            " `pg_dump --file=NAME` or `mysqldump --result-file=NAME`."
        )
    if head.startswith(b"\xef\xbb\xbf"):
        raise NotADump(
            "The dump starts with a byte order mark. Save the file as UTF-8 without this mark, or dump the database"
            " again."
        )
    if head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        raise NotADump("The dump is compressed twice. Compress it once, with gzip or zstd.")
    if _BINARY.search(head):
        raise NotADump(
            "The format of the file is unknown. Use plain SQL (optionally compressed with gzip or zstd) or a pg_dump"
            " archive."
        )
    if b"\r\n" in head:
        raise NotADump(
            "The dump has Windows line endings. Add `*.sql -text` to .gitattributes, and commit the original dump"
            " again."
        )
