"""The check of a dump before it becomes a seed: everything that can be known without a database.

It reads the dump once (a directory archive twice), in constant memory, and reports every reason why the dump cannot be
a seed. It fails closed: an unknown statement or an unclassified column is a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from greenroom.core.comment.sanitize import counted
from greenroom.core.model.seeds import COLUMNS
from greenroom.errors import FixConfiguration
from greenroom.seeds import archive, columns, dialects, formats, rdb
from greenroom.seeds.content import Content, Enough
from greenroom.seeds.formats import Opened
from greenroom.seeds.rules import NOTE, REFUSED, Finding
from greenroom.seeds.scan import scan
from greenroom.seeds.streams import NotADump
from greenroom.seeds.tables import Tables
from greenroom.seeds.versions import NAMES

MEGABYTE = 1_000_000
_FAMILIES = {"postgresql": "PostgreSQL", "mysql": "MySQL or MariaDB", "redis": "Redis or Valkey"}


LARGEST = 5000 * MEGABYTE
"""Limit of a decompressed dump, and of a dump that a build takes."""


@dataclass(frozen=True, slots=True)
class Wants:
    """The requirements of a service for its seed. Empty fields require nothing.

    `columns` is the columns file. Without it the check fails, unless `no_columns` accepts that nothing is classified.
    GitHub refuses files of 100 MB: `max_bytes` limits the file, and `max_expanded` what it decompresses to. A build
    takes what Git LFS has, up to `LARGEST`.
    """

    kind: str = ""
    version: str = ""
    extensions: tuple[str, ...] = ()
    minimum_rows: Mapping[str, int] = field(default_factory=dict)
    columns: Path | None = None
    no_columns: bool = False
    max_bytes: int = 95 * MEGABYTE
    max_expanded: int = LARGEST


@dataclass(frozen=True, slots=True)
class Checked:
    """The result: what the dump contains, and all findings. `rows` counts by table, `tool` made the dump."""

    format: str
    compression: str
    kind: str
    server: str
    tool: str
    bytes: int
    rows: Mapping[str, int]
    extensions: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Return whether the dump can become a seed."""
        return not self.refused

    @property
    def refused(self) -> tuple[str, ...]:
        """Return the reasons why it cannot, each a sentence."""
        return tuple(str(finding) for finding in self.findings if finding.severity == REFUSED)


def check(path: Path, wants: Wants) -> Checked:
    """Check a dump. Raise `FixConfiguration` if the dump or the columns file cannot be read."""
    known = columns.read(wants.columns) if wants.columns and not wants.no_columns else {}
    try:
        opened = formats.opened(path)
    except NotADump as refusal:
        return Checked("", "", "", "", "", 0, {}, (), (Finding(REFUSED, "", str(refusal)),))
    content = Content(opened.kind, wants.version, wants.extensions)
    broken = list(_read(opened, wants, content))
    first = [Finding(REFUSED, "", str(reason)) for reason in broken if not isinstance(reason, Enough)]
    last = [Finding(REFUSED, "", str(reason)) for reason in broken if isinstance(reason, Enough)]
    findings = [*_of_size(path, wants), *first, *content.findings(), *last]
    if not broken:
        findings += _of_columns(wants, known, content.tables)
        findings += content.shape_findings(known)
        findings += _of_minimums(wants, content.tables)
    rows = {table.name: table.rows for table in content.tables.found.values()}
    described = (opened.format, opened.compression, content.engine or opened.kind, content.server, content.tool)
    return Checked(*described, content.size, rows, tuple(sorted(content.extensions)), tuple(findings))


def beside(dump: Path) -> Path | None:
    """Return the columns file beside a dump, or None if there is none."""
    path = columns.beside(dump)
    return path if path.exists() else None


def tables(path: Path) -> Tables:
    """Return the tables of a dump. Raise `NotADump`, and `FixConfiguration` if it cannot be read."""
    opened = formats.opened(path)
    content = Content(opened.kind, "", ())
    for reason in _read(opened, Wants(), content):
        raise reason
    return content.tables


def _read(opened: Opened, wants: Wants, content: Content) -> Iterator[NotADump]:
    """Read the whole dump into `content`. If it cannot be read to its end, yield the reason."""
    if wants.kind and not _fits(wants.kind, opened.kind):
        engine = NAMES.get(wants.kind, wants.kind)
        yield NotADump(
            f"This is a {_FAMILIES[opened.kind]} dump, but the service uses {engine}. Dump the service's own database."
        )
        return
    reader = {formats.RDB: _redis, formats.CUSTOM: _custom, formats.DIRECTORY: _directory}.get(opened.format, _plain)
    try:
        reader(opened, content, _limited(content, wants.max_expanded))
    except NotADump as refusal:
        yield refusal
    except OSError as error:
        raise FixConfiguration(f"{opened.path} cannot be read ({(error.strerror or 'unknown').lower()}).") from None


_Limit = Callable[[Iterator[bytes]], Iterator[bytes]]


def _limited(content: Content, most: int) -> _Limit:
    def blocks(source: Iterator[bytes]) -> Iterator[bytes]:
        for block in source:
            content.size += len(block)
            if content.size > most:
                raise NotADump(
                    f"The dump expands to more than {most // MEGABYTE:,} MB. Use a subset of the data, for example with"
                    " Greenmask, or raise --max-expanded."
                )
            yield block

    return blocks


def _plain(opened: Opened, content: Content, limit: _Limit) -> None:
    dialect = dialects.MYSQL if opened.kind == formats.MYSQL else dialects.POSTGRESQL
    for event in scan(limit(opened.stream.blocks()), dialect):
        content.event(event)


def _custom(opened: Opened, content: Content, limit: _Limit) -> None:
    found, blocks = archive.custom_sql(opened.stream)
    _archive(found, limit(blocks), content)


def _directory(opened: Opened, content: Content, limit: _Limit) -> None:
    found, blocks = archive.directory_sql(opened.again)
    _archive(found, limit(blocks), content)


def _archive(found: archive.Contents, blocks: Iterator[bytes], content: Content) -> None:
    content.archive(found)
    for event in scan(blocks, dialects.POSTGRESQL):
        content.event(event)


def _redis(opened: Opened, content: Content, limit: _Limit) -> None:
    number, content.server = rdb.version(opened.stream)
    content.redis(number)
    for block in limit(rdb.verified(opened.stream)):
        content.redis_values(block)


def _fits(wanted: str, found: str) -> bool:
    family = {"mariadb": "mysql", "valkey": "redis"}
    return family.get(wanted, wanted) == found


def _of_size(path: Path, wants: Wants) -> Iterator[Finding]:
    size = path.stat().st_size
    if size > wants.max_bytes:
        yield Finding(
            REFUSED,
            "",
            f"The file is {size // MEGABYTE} MB; the limit is {wants.max_bytes // MEGABYTE} MB. GitHub refuses files"
            " larger than 100 MB. Compress the file with zstd, use a subset of the data, or store the file with Git LFS"
            " and raise"
            " --max-size.",
        )
    elif size > 25 * MEGABYTE:
        yield Finding(
            NOTE, "", f"The file is {size // MEGABYTE} MB. Git keeps every version of the file. Consider Git LFS."
        )


def _of_columns(wants: Wants, known: columns.Columns, tables: Tables) -> Iterator[Finding]:
    if wants.no_columns:
        yield Finding(
            NOTE,
            "",
            "Column classification was not checked (--no-columns). Reviewers must check what the dump contains.",
        )
    elif wants.columns is None and any(columns.listed(tables)):
        yield Finding(
            REFUSED,
            "",
            f"There is no {COLUMNS} beside the dump. Draft it with `greenroom seed columns DUMP --write`, and classify"
            " each column.",
        )
    elif wants.columns is not None:
        yield from columns.findings(known, tables, COLUMNS)


def _of_minimums(wants: Wants, tables: Tables) -> Iterator[Finding]:
    for name, least in wants.minimum_rows.items():
        full = name if name in tables.found or "." in name else f"{tables.default_schema}.{name}"
        found = tables.found.get(full)
        if found is None:
            yield Finding(
                REFUSED,
                name,
                f"The dump lacks this table, but the service requires at least {counted(least, 'row')}. Dump the table"
                " too.",
            )
            continue
        rows = found.rows + sum(each.rows for each in tables.found.values() if each.parent == full)
        if rows < least:
            yield Finding(
                REFUSED,
                name,
                f"The table has {counted(rows, 'row')}, but the service requires at least {least}. Dump more of its"
                " rows.",
            )
