"""Changes of the values in a table's columns: dropped, converted to a narrower type, or lost on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator

from greenroom.core.model.migration_report import Finding, FindingKind
from greenroom.core.model.schema_snapshot import Column, Table

ESTIMATE_ERROR = 0.05
"""Maximum difference between two estimates for an unchanged table, as a share of its rows."""
LOST_SHARE, LOST_LEAST = 0.1, 10
"""If a column keeps its type, lost values are an alarm only if there are at least `LOST_LEAST` of them, and if they are
more than `LOST_SHARE` of the column's values. A migration may set a few values to NULL on purpose.
"""

_WHOLE = {"smallint": 2, "integer": 4, "bigint": 8}
_FLOAT = {"real": 4, "double precision": 8}
_DATE = ("timestamp", "time")


def columns(before: Table, after: Table) -> Iterator[Finding]:
    """Yield what the values of the columns lost. A table that was dropped and created again has columns by name."""
    same = before.oid == after.oid
    later = {(c.number if same else c.name): c for c in after.columns}
    for column in before.columns:
        found = later.get(column.number if same else column.name)
        if found is None:
            yield _dropped(before, column)
        else:
            yield from _kept(before, after, column, found)


def _dropped(table: Table, column: Column) -> Finding:
    lost = column.filled if table.rows else 0
    return Finding(
        FindingKind.COLUMN_DROPPED, table.label, lost, lost != 0 and not column.generated, column.name, table.exact,
        of=table.rows, was=column.type,
    )  # fmt: skip


def _kept(before: Table, after: Table, was: Column, now: Column) -> Iterator[Finding]:
    exact = before.exact and after.exact
    retyped = was.type != now.type
    lost = _lost(before, after, was, now)
    floor = 0 if exact else ESTIMATE_ERROR * before.rows
    if lost is not None and lost > floor and not now.generated:
        much = lost >= LOST_LEAST and lost > LOST_SHARE * (was.filled or 0)
        yield Finding(
            FindingKind.VALUES_LOST, after.label, lost, retyped or much, now.name, exact, of=was.filled,
            was=was.type, now=now.type,
        )  # fmt: skip
    elif retyped and before.rows and was.filled and _narrowed(was, now):
        yield Finding(
            FindingKind.COLUMN_NARROWED, after.label, was.filled, True, now.name, before.exact, of=before.rows,
            was=was.type, now=now.type,
        )  # fmt: skip


def _lost(before: Table, after: Table, was: Column, now: Column) -> int | None:
    """Return how many values became NULL: more than the number of rows that are gone explains."""
    if was.filled is None or now.filled is None:
        return None
    return was.filled - now.filled - max(0, before.rows - after.rows)


def _narrowed(was: Column, now: Column) -> bool:
    """Return whether PostgreSQL converts to this type by cutting or rounding values without an error.

    A text that does not fit a plain varchar(n) fails; with an explicit cast it is cut, which its size shows.
    """
    (old, old_size), (new, new_size) = _parts(was.type), _parts(now.type)
    if _textual(old) and _textual(new):
        return was.width is not None and now.width is not None and now.width < was.width * (1 - ESTIMATE_ERROR)
    if old == new == "numeric":
        return len(new_size) == 2 and (len(old_size) < 2 or new_size[1] < old_size[1])
    if new in _WHOLE:
        return old in _FLOAT or (old == "numeric" and (len(old_size) != 2 or old_size[1] > 0))
    if old.startswith("timestamp") and (new == "date" or new.startswith("time ")):
        return True
    if old == new and old.startswith(_DATE) and new_size:
        return new_size[0] < (old_size[0] if old_size else 6)
    return old == "double precision" and new == "real"


def _textual(name: str) -> bool:
    return name in ("text", "character varying", "character", "bytea", "name")


def _parts(kind: str) -> tuple[str, tuple[int, ...]]:
    """Split a type into its name and its sizes: `numeric(12,4)` has 12 and 4."""
    sizes = re.search(r"\((\d+(?:,-?\d+)?)\)", kind)
    name = re.sub(r"\([^)]*\)", "", kind).strip()
    return name, tuple(int(n) for n in sizes[1].split(",")) if sizes else ()
