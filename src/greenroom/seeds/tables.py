"""Tables and columns of a dump, from its statements, and the number of rows of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from greenroom.core.comment.sanitize import plain
from greenroom.seeds import rules_mysql, rules_postgresql
from greenroom.seeds.events import Rows, Statement
from greenroom.seeds.rules import squeezed

_NAME = rb'(?:"(?:[^"]|"")*+"|`(?:[^`]|``)*+`|[\w$\x80-\xff]++)'
_QUALIFIED = rb"(" + _NAME + rb"(?:\." + _NAME + rb")?+)"
_CREATE = re.compile(rb"CREATE (?:\w+ )?TABLE (?:IF NOT EXISTS )?" + _QUALIFIED + rb" ?\(", re.IGNORECASE)
_ATTACH = re.compile(rb"ALTER TABLE (?:ONLY )?" + _QUALIFIED + rb" ATTACH PARTITION " + _QUALIFIED, re.IGNORECASE)
_INHERITS = re.compile(rb"\s*INHERITS \(([^()]*)\)", re.IGNORECASE)
_ENUM = re.compile(rb"CREATE TYPE " + _QUALIFIED + rb" AS ENUM", re.IGNORECASE)
_DOMAIN = re.compile(
    rb"CREATE DOMAIN " + _QUALIFIED + rb" AS ([\w. ]+?)(?:\(|\[| NOT | DEFAULT| CONSTRAINT| COLLATE|\Z)", re.I
)
_COLUMN = re.compile(rb"\s*(" + _NAME + rb")\s+(.*)\Z", re.DOTALL)
_PARTS = re.compile(_NAME)
_NOT_COLUMNS = {
    *(b"constraint", b"primary", b"unique", b"foreign", b"check", b"exclude", b"like"),
    *(b"key", b"index", b"fulltext", b"spatial", b"period"),
}
_NOT_TEXT = re.compile(
    r"(small|big|tiny|medium)?(int|integer|serial)\d?\b|int\d|numeric|decimal|dec\b|fixed\b|real\b|double|float|bool|bit\b"
    r"|date\b|time\b|timestamp|timestamptz|datetime|year\b|interval|uuid|money|oid\b|enum\b|set\b",
    re.IGNORECASE,
)
"""Types that cannot hold text. Columns of all other types, including types of extensions, must be classified."""


@dataclass(slots=True)
class Table:
    """One table. `columns` maps names to types as the dump writes them. `parent` is the partitioned table."""

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    parent: str = ""


@dataclass(slots=True)
class Tables:
    """All tables of a dump that were found so far."""

    default_schema: str
    found: dict[str, Table] = field(default_factory=dict)
    enums: set[str] = field(default_factory=set)
    domains: dict[str, str] = field(default_factory=dict)
    _heads: dict[bytes, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def statement(self, statement: Statement) -> None:
        """Read one statement."""
        code = squeezed(statement.code)
        if found := _CREATE.match(code):
            self._create(self.name(found[1]), code[found.end() :])
        elif found := _ATTACH.match(code):
            self._table(self.name(found[2])).parent = self.name(found[1])
        elif found := _ENUM.match(code):
            self.enums.add(self.name(found[1]))
        elif found := _DOMAIN.match(code):
            self.domains[self.name(found[1])] = found[2].decode(errors="replace").strip()
        elif b"lo_create(" in code[:40]:
            self._table("large objects").columns["data"] = "large object"
            self._table("large objects").rows += 1
        elif code[:6].upper() in (b"INSERT", b"REPLAC"):
            table, _ = self.of_head(statement.code)
            with_columns = rules_postgresql.INSERT.match(code) or rules_mysql.INSERT.match(code)
            self._table(table).rows += statement.tuples - bool(with_columns and with_columns[2] is not None)

    def count(self, rows: Rows) -> tuple[str, tuple[str, ...]]:
        """Count rows. Return their table and their columns."""
        name, columns = self.of_head(rows.head)
        self.found[name].rows += rows.count
        return name, columns

    def of_redis(self) -> Table:
        """Return the one table that stands for all values of a Redis dump."""
        return self._table("redis")

    def of_head(self, head: bytes) -> tuple[str, tuple[str, ...]]:
        """Return table and columns of COPY or INSERT."""
        if head not in self._heads:
            self._heads[head] = self._read_head(squeezed(head))
        return self._heads[head]

    def _read_head(self, code: bytes) -> tuple[str, tuple[str, ...]]:
        patterns = (rules_postgresql.COPY, rules_postgresql.INSERT, rules_mysql.INSERT)
        found = next((match for pattern in patterns if (match := pattern.match(code))), None)
        if found is None:
            return self._table("?").name, ()
        table = self._table(self.name(found[1]))
        named = tuple(map(_unquoted, _PARTS.findall(found[2]))) if found[2] else ()
        for column in named:
            table.columns.setdefault(column, "")
        return table.name, named or tuple(table.columns)

    def name(self, written: bytes) -> str:
        """Return the full name of a table or a type."""
        parts = [_unquoted(part) for part in _PARTS.findall(written)]
        return ".".join(parts if len(parts) > 1 or not self.default_schema else [self.default_schema, *parts])

    def holds_text(self, type_: str) -> bool:
        """Return whether a column of this type must be classified."""
        bare = type_.rstrip("[] ")
        if _NOT_TEXT.match(bare.removeprefix("pg_catalog.")):
            return False
        full = self.name(bare.split("(")[0].strip().encode())
        return full not in self.enums and not (full in self.domains and not self.holds_text(self.domains[full]))

    def _table(self, name: str) -> Table:
        return self.found.setdefault(name, Table(name))

    def _create(self, name: str, code: bytes) -> None:
        table = self._table(name)
        *parts, rest = _top_level(code)
        if parents := _INHERITS.match(rest):
            for parent in re.findall(_QUALIFIED, parents[1]):
                table.columns |= self._table(self.name(parent)).columns
        for part in parts:
            column = _COLUMN.match(part)
            if column and column[1].lower() not in _NOT_COLUMNS:
                table.columns[_unquoted(column[1])] = plain(column[2].decode(errors="replace"), 80)


def _top_level(text: bytes) -> Iterator[bytes]:
    """Yield the parts between commas at the top level until the parenthesis that closes it, and then the rest."""
    depth = start = 0
    for found in re.finditer(rb'"[^"]*"|`[^`]*`|[(),]', text):
        if depth == 0 and found[0] in (b",", b")"):
            yield text[start : found.start()]
            start = found.end()
            if found[0] == b")":
                break
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
    yield text[start:]


def _unquoted(name: bytes) -> str:
    text = name.decode(errors="replace")
    for quote in '"`':
        if len(text) > 1 and text[0] == text[-1] == quote:
            text = text[1:-1].replace(quote * 2, quote)
    return plain(text, 100)
