"""Archives of pg_dump (custom, and directory as a tar file), read as the plain SQL that pg_restore would run.

Follows pg_backup_archiver.c and pg_backup_custom.c of PostgreSQL, archive versions 1.12 (PostgreSQL 9.0) to 1.16 (18).
`pg_restore --list` judges the table of contents in our tests.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast

from greenroom.seeds import streams
from greenroom.seeds.streams import NotADump, Stream

OLDEST, NEWEST = (1, 12), (1, 16)
_CUSTOM = 1
_COMPRESSIONS = ("none", "gzip", "lz4", "zstd")
_DATA, _LARGE_OBJECTS = 1, 3
_NO_DATA = 3
_LONGEST_TEXT = 16 << 20
_MOST_ENTRIES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the table of contents. `data` says whether rows or large objects follow; `file` is their file."""

    number: int
    tag: str
    description: str
    schema: str
    owner: str
    definition: bytes
    copy: bytes
    data: bool
    file: str


@dataclass(frozen=True, slots=True)
class Contents:
    """The header of an archive and its table of contents."""

    version: tuple[int, int]
    compression: str
    server: str
    pg_dump: str
    entries: tuple[Entry, ...]


class _Numbers:
    """The primitive types of an archive."""

    def __init__(self, stream: Stream, integer: int, offset: int) -> None:
        self.stream = stream
        self._integer = integer
        self.offset = offset

    def byte(self) -> int:
        return self.stream.exactly(1)[0]

    def integer(self) -> int:
        sign = self.byte()
        number = int.from_bytes(self.stream.exactly(self._integer), "little")
        return -number if sign else number

    def text(self) -> bytes:
        length = self.integer()
        if length > _LONGEST_TEXT:
            raise damaged()
        return self.stream.exactly(length) if length > 0 else b""


def damaged() -> NotADump:
    """Return the refusal of an archive that violates its own format."""
    return NotADump("The pg_dump archive is corrupt. Copy the file again, or dump the database again.")


def contents(stream: Stream) -> tuple[Contents, _Numbers]:
    """Read the header and the table of contents. Raise `NotADump`."""
    if stream.read(5) != b"PGDMP":
        raise damaged()
    version = (stream.exactly(1)[0], stream.exactly(1)[0])
    _require_version(version)
    _, integer, offset, format_ = stream.exactly(4)
    if not 1 <= integer <= 8 or not 1 <= offset <= 8:
        raise damaged()
    numbers = _Numbers(stream, integer, offset)
    compression = _compression(numbers, version)
    for _ in range(7):  # the date
        numbers.integer()
    numbers.text()  # the database
    server, pg_dump = numbers.text().decode(errors="replace"), numbers.text().decode(errors="replace")
    count = numbers.integer()
    if not 0 <= count <= _MOST_ENTRIES:
        raise damaged()
    entries = tuple(_entry(numbers, version, format_) for _ in range(count))
    return Contents(version, compression, server, pg_dump, entries), numbers


def _require_version(version: tuple[int, int]) -> None:
    number = ".".join(map(str, version))
    if version > NEWEST:
        raise NotADump(
            f"Greenroom does not support version {number} of the pg_dump archive format. Use pg_dump 18 or older."
        )
    if version < OLDEST:
        raise NotADump(f"The pg_dump archive has format version {number}, which is too old. Use a current pg_dump.")


def _compression(numbers: _Numbers, version: tuple[int, int]) -> str:
    if version < (1, 15):
        return "gzip" if numbers.integer() else "none"
    number = numbers.byte()
    if number >= len(_COMPRESSIONS):
        raise damaged()
    return _COMPRESSIONS[number]


def _entry(numbers: _Numbers, version: tuple[int, int], format_: int) -> Entry:
    number = numbers.integer()
    numbers.integer()  # whether something dumped it
    numbers.text(), numbers.text()
    texts = [numbers.text(), numbers.text()]
    numbers.integer()  # section
    definition, _drop, copy = numbers.text(), numbers.text(), numbers.text()
    texts.append(numbers.text())
    numbers.text()  # tablespace
    if version >= (1, 14):
        numbers.text()  # access method
    if version >= (1, 16):
        numbers.integer()  # kind of relation
    texts.append(numbers.text())
    numbers.text()  # with OIDs
    while numbers.text():  # dependencies; the list ends with a missing text
        pass
    data, file = _place(numbers, format_)
    tag, description, schema, owner = (text.decode(errors="replace") for text in texts)
    return Entry(number, tag, description, schema, owner, definition, copy, data, file)


def _place(numbers: _Numbers, format_: int) -> tuple[bool, str]:
    if format_ == _CUSTOM:
        state = numbers.byte()
        numbers.stream.exactly(numbers.offset)
        return state != _NO_DATA, ""
    file = numbers.text().decode(errors="replace")
    return bool(file), file


def is_applied(entry: Entry) -> bool:
    """Return whether `pg_restore --no-owner --no-privileges` runs the definition of this entry."""
    return entry.description not in ("ACL", "DEFAULT ACL", "TABLE DATA", "BLOBS", "DATABASE", "DATABASE PROPERTIES")


def custom_sql(stream: Stream) -> tuple[Contents, Iterator[bytes]]:
    """Return the contents of a custom archive, and the SQL that it restores. Raise `NotADump`, the iterator too."""
    found, numbers = contents(stream)
    return found, _custom_blocks(found, numbers)


def _custom_blocks(found: Contents, numbers: _Numbers) -> Iterator[bytes]:
    yield from _definitions(found)
    missing = {entry.number: entry for entry in found.entries if entry.data}
    while kind := numbers.stream.read(1):
        entry = missing.pop(numbers.integer(), None)
        if entry is None or kind[0] not in (_DATA, _LARGE_OBJECTS):
            raise damaged()
        if kind[0] == _LARGE_OBJECTS:
            _skip_large_objects(numbers, found.compression)
            continue
        yield entry.copy
        yield from _decoded(found.compression)(_chunks(numbers))
    if missing:
        raise streams.cut(numbers.stream.position)


def _definitions(found: Contents) -> Iterator[bytes]:
    for entry in found.entries:
        if entry.description == "BLOB METADATA":  # since version 17: one number in each line, and no statement
            yield b"".join(b"SELECT pg_catalog.lo_create('%s');\n" % number for number in entry.definition.split())
        elif is_applied(entry) and entry.definition:
            yield entry.definition + b"\n"


def _chunks(numbers: _Numbers) -> Iterator[bytes]:
    while length := numbers.integer():
        if not 0 < length <= _LONGEST_TEXT:
            raise damaged()
        yield numbers.stream.exactly(length)


def _skip_large_objects(numbers: _Numbers, compression: str) -> None:
    while numbers.integer():
        for _ in _decoded(compression)(_chunks(numbers)):
            pass


def _decoded(compression: str) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    if compression == "lz4":
        raise NotADump("The rows in the archive are compressed with LZ4. Use `pg_dump --compress=zstd`.")
    return {"gzip": streams.inflated, "zstd": streams.unzstd}.get(compression, _unchanged)


def _unchanged(blocks: Iterator[bytes]) -> Iterator[bytes]:
    return blocks


def directory_sql(again: Callable[[], Stream]) -> tuple[Contents, Iterator[bytes]]:
    """Return the contents of a directory archive in a tar file, and the SQL that it restores.

    `again()` returns the tar file from its beginning: the table of contents may be its last member. Raise `NotADump`.
    """
    with _members(again()) as members:
        found = _directory_contents(members)
    return found, _directory_blocks(found, again())


@contextmanager
def _members(stream: Stream) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    try:
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as tar:
            yield _files(tar)
    except tarfile.TarError:
        raise NotADump("The tar file is truncated or corrupt. Pack pg_dump's output folder again.") from None


def _files(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    folders: set[str] = set()
    for member in tar:
        tar.members = []  # type: ignore[attr-defined]  # tarfile would keep all of them
        if member.isdir():
            continue
        folder, _, name = member.name.removeprefix("./").rpartition("/")
        folders.add(folder)
        content = tar.extractfile(member) if member.isreg() else None
        if content is None or ".." in folder.split("/") or member.name.startswith("/") or len(folders) > 1:
            raise NotADump(
                f"The tar file contains {member.name}, which pg_dump does not write. Pack only pg_dump's output folder."
            )
        if name == "restore.sql":
            raise NotADump("The dump was made by `pg_dump --format=tar`. Use `pg_dump --format=custom`.")
        yield name, content


def _directory_contents(members: Iterator[tuple[str, IO[bytes]]]) -> Contents:
    for name, content in members:
        if name == "toc.dat":
            return contents(Stream(_blocks(content)))[0]
    raise NotADump("The tar file contains no toc.dat. Pack the folder that `pg_dump --format=directory` wrote.")


def _blocks(content: IO[bytes]) -> Iterator[bytes]:
    while block := content.read(streams.BLOCK):
        yield block


def _directory_blocks(found: Contents, stream: Stream) -> Iterator[bytes]:
    yield from _definitions(found)
    missing = {entry.file: entry for entry in found.entries if entry.data}
    with _members(stream) as members:
        for name, content in members:
            base = name.removesuffix(".gz").removesuffix(".zst")
            entry = missing.pop(base, None)
            if name.endswith(".lz4"):
                _decoded("lz4")
            blocks = _expanded(name, content)
            if entry is None or entry.description == "BLOBS":
                for _ in blocks if name != "toc.dat" else ():
                    pass
                continue
            yield entry.copy
            yield from blocks
        for _ in stream.blocks():
            pass
    if missing:
        raise NotADump(f"{min(missing)}, which toc.dat lists, is missing from the tar file. Pack the folder again.")


def _expanded(name: str, content: IO[bytes]) -> Iterator[bytes]:
    blocks = _blocks(content)
    if name.endswith(".gz"):
        return streams.gunzipped(blocks)
    return streams.unzstd(blocks) if name.endswith(".zst") else blocks
