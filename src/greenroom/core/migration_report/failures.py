"""Cause of a failed migration: the fault by SQLSTATE, and the table and columns by the statement that failed.

The text of an error may contain values of rows, so it is used only to find names that the schema or the statement has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from greenroom.core.migration_report.ddl import effect, name_at
from greenroom.core.migration_report.server_log import Error, ServerLog
from greenroom.core.migration_report.sql_text import Token, is_ddl, shown, statements
from greenroom.core.model.migration_report import Cause, Failure
from greenroom.core.model.schema_snapshot import Snapshot, Table

_CAUSES = {
    "23505": Cause.DUPLICATES, "23502": Cause.NULLS, "23503": Cause.ORPHANS, "23514": Cause.CHECK,
    "42P01": Cause.MISSING, "42703": Cause.MISSING, "42883": Cause.MISSING, "42704": Cause.MISSING,
    "3F000": Cause.MISSING,
    "42P07": Cause.EXISTS, "42701": Cause.EXISTS, "42710": Cause.EXISTS, "42P06": Cause.EXISTS, "42723": Cause.EXISTS,
    "2BP01": Cause.DEPENDENTS, "55P03": Cause.LOCK, "40P01": Cause.LOCK, "57014": Cause.LOCK, "42501": Cause.PRIVILEGE,
}  # fmt: skip
_OBJECT = re.compile(r'(?:column|relation|constraint|index|table|type|schema|function|sequence) "?([\w.$]+)"?')
_OF_RELATION = re.compile(r'of relation "([^"]+)"|on table "([^"]+)"|relation "([^"]+)"')


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A failure, its table, and a query that counts the rows in the way, which is empty if there is none."""

    failure: Failure
    table: Table | None = None
    probe: str = ""


def diagnosis(log: ServerLog, before: Snapshot, after: Snapshot | None) -> Diagnosis:
    """Return why the migration failed: the last error of a session that ran DDL, or else the last error."""
    sessions = {s.session for s in log.statements}
    error = next(
        iter([e for e in reversed(log.errors) if e.session in sessions] or list(reversed(log.errors))[:1]), None
    )
    if error is None:
        return Diagnosis(Failure(Cause.OTHER, ""))
    cause = Cause.CONVERSION if error.sqlstate.startswith("22") else _CAUSES.get(error.sqlstate, Cause.OTHER)
    found = [_diagnosed(error, cause, s, before, after) for s in statements(error.sql)]
    best = [d for d in found if d.probe] or [d for d in found if d.table] or found
    return best[0] if best else Diagnosis(Failure(cause, error.sqlstate))


def counted(diagnosis: Diagnosis) -> tuple[int | None, bool]:
    """Return the number of rows in the way as far as the snapshot knows it, and whether it is exact."""
    failure, table = diagnosis.failure, diagnosis.table
    column = table.column(failure.columns[0]) if table and len(failure.columns) == 1 else None
    if table and failure.cause is Cause.NULLS:
        if column is None and failure.columns:
            return table.rows, table.exact  # a new column is empty in every row
        if column is not None and column.filled is not None:
            return table.rows - column.filled, table.exact
    return None, False


def _diagnosed(
    error: Error, cause: Cause, statement: tuple[Token, ...], before: Snapshot, after: Snapshot | None
) -> Diagnosis:
    named = _table_name(error, statement)
    table = next((t for s in (before, after) if s and named and (t := s.named(named))), None)
    text = shown(statement) if is_ddl(statement) else ""
    name = _object_name(error, cause, statement)
    found = _in_the_way(cause, statement, named, error, table, before)
    return Diagnosis(Failure(cause, error.sqlstate, text, name, found.columns), table, found.query)


def _table_name(error: Error, statement: Sequence[Token]) -> tuple[str, ...]:
    found = effect(statement)
    if found.tables:
        return found.tables[0]
    words = [t.upper for t in statement]
    for word in ("INTO", "UPDATE", "FROM"):
        if words[0] in ("INSERT", "UPDATE", "DELETE", "WITH", "COPY", "SELECT") and word in words:
            at = words.index(word) + 1
            return name_at(statement, at + (words[at : at + 1] == ["ONLY"]))[0]
    said = _OF_RELATION.search(error.text)
    return (next(g for g in said.groups() if g),) if said else ()


def _object_name(error: Error, cause: Cause, statement: Sequence[Token]) -> str:
    """Return the name of the missing or existing object. It is shown only if the statement has it as an identifier."""
    if cause not in (Cause.MISSING, Cause.EXISTS, Cause.DEPENDENTS):
        return ""
    said = _OBJECT.search(error.text)
    names = {t.name for t in statement if t.kind in ("word", "quoted")}
    return said[1] if said and all(part in names for part in said[1].split(".")) else ""


@dataclass(frozen=True, slots=True)
class _Counting:
    columns: tuple[str, ...] = ()
    query: str = ""


def _in_the_way(
    cause: Cause,
    statement: tuple[Token, ...],
    named: tuple[str, ...],
    error: Error,
    table: Table | None,
    before: Snapshot,
) -> _Counting:
    if not named:
        return _Counting()
    if cause is Cause.DUPLICATES:
        return _duplicates(statement, named)
    if cause is Cause.NULLS:
        return _nulls(statement, named, error)
    if cause is Cause.ORPHANS:
        return _orphans(statement, named) or _validated(statement, named, table, before)
    if cause is Cause.CHECK:
        return _checked(statement, named)
    if cause is Cause.CONVERSION:
        return _Counting(_altered_column(statement))
    return _Counting()


def _duplicates(statement: tuple[Token, ...], named: tuple[str, ...]) -> _Counting:
    """Count surplus rows of a unique index or constraint. NULLs never conflict."""
    words = [t.upper for t in statement]
    anchors = ("UNIQUE", "KEY") if words[0] == "ALTER" else ("ON",)
    at = next((i for i, w in enumerate(words) if w in anchors and (w != "KEY" or words[i - 1] == "PRIMARY")), None)
    keys = _list_after(statement, at) if at is not None else ()
    if not keys:
        return _Counting()
    texts = [_sql(_without_order(k)) for k in keys]
    where = _sql(statement[words.index("WHERE") + 1 :]) if "WHERE" in words and words[0] == "CREATE" else "true"
    filled = " AND ".join(f"({k}) IS NOT NULL" for k in texts)
    query = (
        f"SELECT coalesce(sum(n - 1), 0)::bigint FROM (SELECT count(*) AS n FROM {_quoted(named)}"  # noqa: S608
        f" WHERE ({where}) AND {filled} GROUP BY {', '.join(texts)} HAVING count(*) > 1) d"
    )
    return _Counting(tuple(_label(k) for k in keys), query)


def _nulls(statement: tuple[Token, ...], named: tuple[str, ...], error: Error) -> _Counting:
    columns = _altered_column(statement)
    said = re.search(r'column "([^"]+)"', error.text)
    names = {t.name for t in statement}
    column = said[1] if said and said[1] in names else columns[0] if columns else ""
    if not column:
        return _Counting()
    words = [t.upper for t in statement]
    if words[0] == "ALTER" and "ADD" in words and "PRIMARY" not in words:
        return _Counting((column,), f"SELECT count(*) FROM {_quoted(named)}")  # noqa: S608
    return _Counting((column,), f"SELECT count(*) FROM {_quoted(named)} WHERE {_ident(column)} IS NULL")  # noqa: S608


def _orphans(statement: tuple[Token, ...], named: tuple[str, ...]) -> _Counting | None:
    words = [t.upper for t in statement]
    if "FOREIGN" not in words or "REFERENCES" not in words:
        return None
    children = [_label(k) for k in _list_after(statement, words.index("FOREIGN") + 1)]
    parent, at = name_at(statement, words.index("REFERENCES") + 1)
    parents = [_label(k) for k in _list_after(statement, at - 1)] or children[:1]
    if not children or len(children) != len(parents) or not parent:
        return None
    return _anti_join(named, children, parent, parents if at < len(statement) and statement[at].text == "(" else ["id"])


def _validated(statement: Sequence[Token], named: tuple[str, ...], table: Table | None, before: Snapshot) -> _Counting:
    """Return the query for VALIDATE CONSTRAINT of a foreign key that the snapshot has."""
    names = {t.name for t in statement}
    found = [c for c in before.constraints if table and c.table == table.oid and c.kind == "f" and c.name in names]
    parsed = [_orphans(s, named) for c in found for s in statements(f"ALTER TABLE x ADD {c.definition}")]
    return next((p for p in parsed if p), _Counting())


def _anti_join(
    child: tuple[str, ...], columns: Sequence[str], parent: tuple[str, ...], keys: Sequence[str]
) -> _Counting:
    filled = " AND ".join(f"c.{_ident(c)} IS NOT NULL" for c in columns)
    same = " AND ".join(f"p.{_ident(k)} = c.{_ident(c)}" for c, k in zip(columns, keys, strict=False))
    query = (
        f"SELECT count(*) FROM {_quoted(child)} c WHERE {filled}"  # noqa: S608
        f" AND NOT EXISTS (SELECT FROM {_quoted(parent)} p WHERE {same})"
    )
    return _Counting(tuple(columns), query)


def _checked(statement: tuple[Token, ...], named: tuple[str, ...]) -> _Counting:
    words = [t.upper for t in statement]
    inside = _inside(statement, words.index("CHECK")) if "CHECK" in words else ()
    return _Counting((), f"SELECT count(*) FROM {_quoted(named)} WHERE NOT ({_sql(inside)})") if inside else _Counting()  # noqa: S608


def _altered_column(statement: Sequence[Token]) -> tuple[str, ...]:
    """Return the column of ALTER TABLE … ALTER or ADD [COLUMN] …."""
    words = [t.upper for t in statement]
    for i, word in enumerate(words[2:], start=2):
        if word in ("ALTER", "ADD"):
            at = i + 1 + (words[i + 1 : i + 2] == ["COLUMN"])
            at += 3 if words[at : at + 3] == ["IF", "NOT", "EXISTS"] else 0
            return (statement[at].name,) if at < len(statement) else ()
    return ()


def _inside(statement: tuple[Token, ...], at: int) -> tuple[Token, ...]:
    """Return the tokens inside the first parentheses after a position."""
    start = next((i for i in range(at, len(statement)) if statement[i].text == "("), len(statement))
    depth = 0
    for i in range(start, len(statement)):
        depth += {"(": 1, ")": -1}.get(statement[i].text, 0) if statement[i].kind == "symbol" else 0
        if depth == 0:
            return statement[start + 1 : i]
    return ()


def _list_after(statement: tuple[Token, ...], at: int) -> tuple[tuple[Token, ...], ...]:
    return tuple(_split(_inside(statement, at)))


def _split(inside: Sequence[Token]) -> Iterator[tuple[Token, ...]]:
    depth, current = 0, list[Token]()
    for token in inside:
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "symbol" else 0
        if token.text == "," and depth == 0:
            yield tuple(current)
            current = []
        else:
            current.append(token)
    if current:
        yield tuple(current)


def _without_order(key: Sequence[Token]) -> tuple[Token, ...]:
    """Return a key of an index without its order and operator class."""
    if key and key[0].kind in ("word", "quoted") and (len(key) == 1 or key[1].text != "("):
        return tuple(key[:1])
    end = max((i for i, t in enumerate(key) if t.text == ")"), default=len(key) - 1)
    return tuple(key[: end + 1])


def _label(key: Sequence[Token]) -> str:
    return key[0].name if len(_without_order(key)) == 1 else shown(tuple(key))


def _sql(found: Sequence[Token]) -> str:
    return " ".join(t.text for t in found).replace("\n", " ")


def _quoted(name: tuple[str, ...]) -> str:
    return ".".join(_ident(part) for part in name)


def _ident(name: str) -> str:
    escaped = name.replace('"', '""').replace("\n", " ")
    return f'"{escaped}"'
