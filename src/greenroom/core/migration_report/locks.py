"""The time for which a migration kept a table locked: from the statement that took the lock to its transaction's end.

A COMMIT is not logged. The end is the last entry of the transaction, or the time at which the server committed the
last change of the table's schema, whichever is later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from greenroom.core.migration_report.ddl import Effect, effect
from greenroom.core.migration_report.server_log import Logged, ServerLog
from greenroom.core.migration_report.sql_text import statements
from greenroom.core.model.migration_report import Lock
from greenroom.core.model.schema_snapshot import Snapshot, Table

_STRENGTH = (Lock.NONE, Lock.SHARE_UPDATE_EXCLUSIVE, Lock.SHARE, Lock.SHARE_ROW_EXCLUSIVE, Lock.ACCESS_EXCLUSIVE)


@dataclass(frozen=True, slots=True)
class Held:
    """A lock of one table and how long it was held, in seconds."""

    table: int
    lock: Lock
    seconds: float


@dataclass(frozen=True, slots=True)
class _Span:
    transaction: tuple[str, str, int]
    lock: Lock
    began: float
    ended: float


def locks(log: ServerLog, before: Snapshot, after: Snapshot | None) -> Mapping[int, Held]:
    """Return the longest lock that blocks writes, by the oid of each table that existed before the migration."""
    spans: dict[int, dict[tuple[str, str, int], _Span]] = {}
    for table, span in _spans(log, before, after):
        mine = spans.setdefault(table.oid, {})
        first = mine.get(span.transaction, span)
        stronger = max(first.lock, span.lock, key=_STRENGTH.index)
        mine[span.transaction] = _Span(span.transaction, stronger, first.began, max(first.ended, span.ended))
    committed = {t.oid: t.changed for t in (after.tables if after else ()) if t.changed is not None}
    return {oid: _longest(oid, list(found.values()), committed.get(oid)) for oid, found in spans.items()}


def affected(effect: Effect, *snapshots: Snapshot | None) -> tuple[Table, ...]:
    """Return the tables of an effect, by the first snapshot that has them. Indexes lead to their tables."""
    names = [s.named(n) for n in effect.tables for s in snapshots if s and s.named(n)]
    if effect.index and not effect.tables:
        tables = {t.oid: t for s in snapshots if s for t in s.tables}
        owners = [i.table for s in snapshots if s for i in s.indexes if i.name == effect.index[-1]]
        names += [tables[o] for o in owners if o in tables]
    return tuple({t.oid: t for t in names if t}.values())


def _spans(log: ServerLog, before: Snapshot, after: Snapshot | None) -> Iterator[tuple[Table, _Span]]:
    existing = {t.oid for t in before.tables}
    for place, logged in enumerate(log.statements):
        for statement in statements(logged.sql):
            found = effect(statement)
            if found.lock.blocks:
                for table in affected(found, before, after):
                    if table.oid in existing:
                        yield table, _span(logged, place, found.lock, log)


def _span(logged: Logged, place: int, lock: Lock, log: ServerLog) -> _Span:
    """Return how long a statement's lock was held at least. Without a transaction, each statement is its own."""
    last = log.last.get((logged.session, logged.transaction), logged.ended)
    key = (logged.session, logged.transaction, -1 if logged.transaction else place)
    return _Span(key, lock, logged.at, max(last, logged.ended))


def _longest(oid: int, spans: list[_Span], committed: float | None) -> Held:
    """Return the longest span. The server's time of the commit belongs to the last one."""
    *earlier, last = sorted(spans, key=lambda s: s.began)
    if committed is not None:
        last = _Span(last.transaction, last.lock, last.began, max(last.ended, committed))
    longest = max([*earlier, last], key=lambda s: s.ended - s.began)
    return Held(oid, longest.lock, round(longest.ended - longest.began, 3))
