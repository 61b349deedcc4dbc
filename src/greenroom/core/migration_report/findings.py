"""Compare two snapshots of a database. It decides what is an alarm and what is only a line in the details."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from greenroom.core.migration_report.columns import columns
from greenroom.core.migration_report.locks import Held
from greenroom.core.model.migration_report import Finding, FindingKind, Lock
from greenroom.core.model.schema_snapshot import Constraint, Index, Snapshot, Table

LARGE_ROWS = 10_000
"""Minimum number of rows for which a rewrite is an alarm. A table that is large in a seed is larger in production."""
LONG_LOCK = 1.0
"""Minimum duration, in seconds, for which a lock that blocks writes is an alarm."""
DELETED_SHARE, DELETED_LEAST, DELETED_MOST = 0.1, 10, 10_000
"""Deleted rows are an alarm if there are at least `DELETED_MOST` of them, or if there are at least `DELETED_LEAST` and
they are more than `DELETED_SHARE` of the table. If a migration declares how many rows it deletes, only that limit
applies.
"""


def findings(
    before: Snapshot, after: Snapshot, held: Mapping[int, Held], declared: Mapping[str, int], clean: bool
) -> Iterator[Finding]:
    """Yield what differs. `clean` says that no transaction was rolled back, so that row counters are exact."""
    by_oid = {t.oid: t for t in after.tables}
    for table in before.tables:
        later = by_oid.get(table.oid) or after.named((table.schema, table.name))
        if later is None:
            if not after.left_out:
                yield _table_dropped(table)
            continue
        yield from _rewritten(table, later, held.get(table.oid))
        yield from _data_changes(table, later, declared.get(table.label), clean)
        yield from columns(table, later)
    yield from _locked(before, held)
    yield from _not_valid(before, after)
    yield from _invalid_indexes(before, after)
    yield from _enum_labels(before, after)
    yield from _sequences(before, after)


def _table_dropped(table: Table) -> Finding:
    return Finding(
        FindingKind.TABLE_DROPPED, table.label, table.rows, table.rows > 0, exact=table.exact, size=table.size
    )


def _rewritten(before: Table, after: Table, held: Held | None) -> Iterator[Finding]:
    if before.oid != after.oid or before.file == after.file or before.kind == "p" or not before.rows or not after.rows:
        return
    lock, seconds = (held.lock, held.seconds) if held else (Lock.NONE, None)
    yield Finding(
        FindingKind.REWRITTEN, after.label, before.rows, before.rows >= LARGE_ROWS, exact=before.exact, seconds=seconds,
        lock=lock, size=before.size,
    )  # fmt: skip


def _data_changes(before: Table, after: Table, declared: int | None, clean: bool) -> Iterator[Finding]:
    deleted, exact = deleted_from(before, after, clean)
    if deleted > 0:
        yield Finding(
            FindingKind.ROWS_DELETED, after.label, deleted, _too_many(deleted, before.rows, declared), exact=exact,
            of=before.rows, declared=declared,
        )  # fmt: skip
    if not clean or before.oid != after.oid:
        return
    for kind, count in (
        (FindingKind.ROWS_UPDATED, after.updated - before.updated),
        (FindingKind.ROWS_INSERTED, after.inserted - before.inserted),
    ):
        if count > 0:
            yield Finding(kind, after.label, count, of=before.rows)


def deleted_from(before: Table, after: Table, clean: bool) -> tuple[int, bool]:
    """Return how many rows were deleted, and whether the number is exact.

    The counters miss TRUNCATE and a table that was replaced, and they include transactions that were rolled back.
    """
    fewer, exact = max(0, before.rows - after.rows), before.exact and after.exact
    if before.oid != after.oid or before.kind != "r":
        return fewer, exact
    counted = after.deleted - before.deleted
    if clean and exact:
        uncounted = before.rows + (after.inserted - before.inserted) - counted - after.rows
        return max(0, counted) + max(0, uncounted), True
    if before.size and not after.size:
        return before.rows, before.exact
    if clean:
        return max(0, counted), True
    return (fewer, True) if exact else (max(0, before.live - after.live), False)


def _too_many(deleted: int, of: int, declared: int | None) -> bool:
    if declared is not None:
        return deleted > declared
    return deleted >= DELETED_MOST or (deleted >= DELETED_LEAST and deleted > DELETED_SHARE * of)


def _locked(before: Snapshot, held: Mapping[int, Held]) -> Iterator[Finding]:
    tables = {t.oid: t for t in before.tables}
    for oid, lock in held.items():
        if lock.seconds >= LONG_LOCK and tables[oid].rows:
            table = tables[oid]
            yield Finding(
                FindingKind.LOCKED,
                table.label,
                table.rows,
                True,
                exact=table.exact,
                seconds=lock.seconds,
                lock=lock.lock,
            )


def _not_valid(before: Snapshot, after: Snapshot) -> Iterator[Finding]:
    """Yield constraints that the migration left NOT VALID. One that no row violates is a step of a safe migration."""
    known = {(c.table, c.name) for c in before.constraints if not c.valid}
    tables = {t.oid: t for t in after.tables}
    for found in after.constraints:
        table = tables.get(found.table)
        if not found.valid and table and (found.table, found.name) not in known:
            yield _violated(found, table)


def _violated(found: Constraint, table: Table) -> Finding:
    kind = FindingKind.ORPHANS if found.kind == "f" and found.violations else FindingKind.NOT_VALID
    alarm = bool(found.violations) or (found.violations is None and table.rows > 0)
    return Finding(kind, table.label, found.violations, alarm, found.name, of=table.rows)


def _invalid_indexes(before: Snapshot, after: Snapshot) -> Iterator[Finding]:
    known = {(i.table, i.name) for i in before.indexes if not i.valid}
    tables = {t.oid: t for t in after.tables}
    for found in after.indexes:
        if not found.valid and found.table in tables and not _known(found, known) and tables[found.table].kind != "p":
            table = tables[found.table]
            yield Finding(FindingKind.INVALID_INDEX, table.label, found.violations, True, found.name, of=table.rows)


def _known(found: Index, known: set[tuple[int, str]]) -> bool:
    return (found.table, found.name) in known


def _enum_labels(before: Snapshot, after: Snapshot) -> Iterator[Finding]:
    """Yield enums with fewer labels, for each column that uses them: its values were converted."""
    later = dict(after.enums)
    for name, labels in before.enums:
        gone = [label for label in labels if label not in later.get(name, labels)]
        for table, count in _users(before, name) if gone else ():
            yield Finding(
                FindingKind.ENUM_LABELS, table.label, count, count > 0, name, table.exact, of=len(gone),
                was=", ".join(gone),
            )  # fmt: skip


def _users(snapshot: Snapshot, enum: str) -> Iterator[tuple[Table, int]]:
    names = {enum, f"public.{enum}"}
    for table in snapshot.tables:
        filled = [c.filled or 0 for c in table.columns if c.type.removesuffix("[]").replace('"', "") in names]
        if filled:
            yield table, sum(filled)


def _sequences(before: Snapshot, after: Snapshot) -> Iterator[Finding]:
    was = {(s.schema, s.name): s.behind for s in before.sequences}
    tables = {t.oid: t.label for t in after.tables}
    for found in after.sequences:
        if found.behind > was.get((found.schema, found.name), 0):
            table = tables.get(found.table or 0, "")
            yield Finding(FindingKind.SEQUENCE_BEHIND, table, found.behind, True, found.name)
