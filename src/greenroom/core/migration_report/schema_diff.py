"""The difference of two schemas as lines of a unified diff without context."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from greenroom.core.model.schema_snapshot import Column, Index, Snapshot, Table

LINES = 200
"""Maximum number of lines to keep in a schema diff. Reviewers do not read more."""


def schema_diff(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Return the changed lines, marked with + and -. The last line counts those above the limit."""
    found = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=0)
    changed = [line for line in found if not line.startswith(("---", "+++", "@@"))]
    more = len(changed) - LINES
    return (*changed[:LINES], f"… {more} more lines") if more > 0 else tuple(changed)


def _lines(snapshot: Snapshot) -> list[str]:
    """Return a schema as lines that name their table, sorted, so that each makes sense alone."""
    labels = {t.oid: t.label for t in snapshot.tables}
    found = [line for t in snapshot.tables for line in _table(t)]
    found += [f"{labels[i.table]}: {_index(i)}" for i in snapshot.indexes if i.table in labels]
    found += [
        f"{labels[c.table]}: constraint {c.name} {c.definition}" for c in snapshot.constraints if c.table in labels
    ]
    found += [f"enum {name}: {', '.join(labels)}" for name, labels in snapshot.enums]
    found += [f"sequence {s.name if s.schema == 'public' else f'{s.schema}.{s.name}'}" for s in snapshot.sequences]
    found += [f"{kind} {name.removeprefix('public.')} ({digest[:8]})" for kind, name, digest in snapshot.objects]
    return sorted(line.replace("\n", " ") for line in found)


def _table(table: Table) -> Iterator[str]:
    yield f"{table.label}: {'materialized view' if table.kind == 'm' else 'table'}"
    for column in table.columns:
        yield f"{table.label}: column {column.name} {_column(column)}"


def _column(column: Column) -> str:
    words = [
        column.type.removeprefix("public."),
        "NOT NULL" if column.not_null else "",
        "GENERATED AS IDENTITY" if column.identity else "",
        f"GENERATED ({column.default})" if column.generated else f"DEFAULT {column.default}" if column.default else "",
    ]
    return " ".join(w for w in words if w)


def _index(index: Index) -> str:
    marks = f"{'' if index.valid else 'INVALID '}{'unique ' if index.unique else ''}"
    return f"{marks}index {index.name} {index.definition}"
