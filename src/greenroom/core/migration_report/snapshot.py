"""Read the JSON lines that seeds/report/snapshot.sh prints. They come from a pod, so nothing about them is assumed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Sequence as Items
from typing import Any

from greenroom.core.model.migrations import BASELINE
from greenroom.core.model.schema_snapshot import Column, Constraint, Index, Sequence, Snapshot, Table

VERSION = 1
LIMIT = 8_000_000
"""Maximum length of a line, in characters. The line for a schema with 1,000 tables has less than a million."""


def snapshot(line: str) -> Snapshot | None:
    """Return the snapshot of a line, or `None` if it is damaged, something else, or has no tables because it failed."""
    if len(line) > LIMIT or not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
        if found.get("greenroom") != "snapshot" or found.get("version") != VERSION:
            return None
        return _snapshot(found)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None


def recorded(lines: Iterable[str]) -> tuple[str, ...] | None:
    """Return the migrations that a database's tool has recorded, in its order; `None` if no line says it.

    Alembic records only its newest revisions, so what ran is unknown.
    """
    for line in lines:
        if line.startswith('{"greenroom": "ledger"') and len(line) <= LIMIT:
            try:
                found = json.loads(line)["found"]
                if found["tool"] in ("", "alembic"):
                    return ()
                names = [str(name) for name, _ in found["applied"]]
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
            return tuple(n for n in names if not n.startswith(BASELINE))
    return None


def _snapshot(found: dict[str, Any]) -> Snapshot:
    return Snapshot(
        began=float(found["began"]),
        at=float(found["at"]),
        server=int(found["server"]),
        tables=tuple(_table(t) for t in found["tables"]),
        indexes=tuple(Index(int(i[0]), i[1], bool(i[2]), bool(i[3]), i[4], _count(i[5])) for i in found["indexes"]),
        constraints=tuple(
            Constraint(int(c[0]), c[1], c[2], bool(c[3]), c[4], _count(c[5])) for c in found["constraints"]
        ),
        sequences=tuple(Sequence(s[0], s[1], _count(s[2]), _count(s[3]) or 0) for s in found["sequences"]),
        enums=tuple((_label(e[0], e[1]), tuple(str(v) for v in e[2] or ())) for e in found["enums"]),
        objects=tuple((str(o[0]), str(o[1]), str(o[2])) for o in found["objects"]),
        left_out=int(found["left_out"]),
    )


def _table(t: Items[Any]) -> Table:
    rows, exact = max(0, int(t[6])), bool(t[7])
    columns = tuple(_column(c, rows, exact) for c in t[14])
    return Table(
        oid=int(t[0]), schema=str(t[1]), name=str(t[2]), kind=str(t[3]), file=int(t[4]), size=int(t[5]), rows=rows,
        exact=exact, inserted=int(t[8]), updated=int(t[9]), deleted=int(t[10]), live=int(t[11]),
        changed=None if t[12] is None else float(t[12]), partition=bool(t[13]), columns=columns,
    )  # fmt: skip


def _column(c: Items[Any], rows: int, exact: bool) -> Column:
    """Return a column. Beside an estimated number of rows, its non-null values are a share of them."""
    number, name, kind, flags, filled, width, default = (*c, None, None, None)[:7]
    count = None if filled is None else round(float(filled) if exact else float(filled) * rows)
    marks = ("n" in flags, "i" in flags, "g" in flags)
    return Column(int(number), str(name), str(kind), *marks, str(default or ""), count, _count(width))


def _count(value: Any) -> int | None:
    return None if value is None else int(value)


def _label(schema: str, name: str) -> str:
    return str(name) if schema == "public" else f"{schema}.{name}"
