"""The report of one run of the migrations: snapshots before and after, and the server's log of the time between."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from greenroom.core.migration_report.ddl import effect
from greenroom.core.migration_report.failures import Diagnosis, counted, diagnosis
from greenroom.core.migration_report.findings import LONG_LOCK, findings
from greenroom.core.migration_report.locks import affected, locks
from greenroom.core.migration_report.schema_diff import schema_diff
from greenroom.core.migration_report.server_log import ServerLog, server_log
from greenroom.core.migration_report.sql_text import is_ddl, shown, statements
from greenroom.core.model.migration_report import Finding, FindingKind, Lint, MigrationReport, RanStatement
from greenroom.core.model.schema_snapshot import Snapshot

TIMESTAMP = 10**7
"""A migration number that is at least this large is a timestamp. Branches are not always merged in the order in which
they were created, so a timestamp that is out of order is only a line in the details. A smaller number that is out of
order is an alarm.
"""
STATEMENTS = 200
"""Maximum number of statements to keep in a report."""


@dataclass(frozen=True, slots=True)
class MigrationRun:
    """The facts about one run. `log` has the lines of the database server since before the first snapshot.

    `after` is `None` if the migration failed and no snapshot followed. `seconds` is how long the migration ran, if the
    caller knows it. `known` and `recorded` are the migrations that the framework's ledger had before and after, in
    their order, or `None`. `again` and `again_exit` belong to a second run, if there was one. `probed` is the result of
    `probe()`. `log_complete` is false if the log may lack entries, see `reaches()`.
    """

    before: Snapshot
    after: Snapshot | None
    log: Sequence[str] = field(repr=False)
    exit_code: int = 0
    seconds: float | None = None
    known: tuple[str, ...] | None = None
    recorded: tuple[str, ...] | None = None
    again: Snapshot | None = None
    again_exit: int | None = None
    probed: int | None = None
    log_complete: bool = True

    @property
    def applied(self) -> tuple[str, ...]:
        """Return the migrations that the ledger gained."""
        if self.known is None or self.recorded is None:
            return ()
        known = set(self.known)
        return tuple(name for name in self.recorded if name not in known)


def report(run: MigrationRun) -> MigrationReport:
    """Return the report of a run, without a linter's warnings."""
    log = _log(run)
    found = list(_failed(run, log))
    if run.after:
        held = locks(log, run.before, run.after)
        found += findings(run.before, run.after, held, declared(log.notes), clean=not log.errors)
    found += [*_waits(log, run), *_wrong_order(run, log), *_not_repeatable(run)]
    failed = run.exit_code != 0
    return MigrationReport(
        migrations=run.applied,
        seconds=run.seconds if run.seconds is not None else _seconds(run),
        statements=tuple(islice(_ran(log, run), STATEMENTS)),
        findings=tuple(sorted(found, key=lambda f: (not f.alarm, list(FindingKind).index(f.kind), -(f.count or 0)))),
        diff=schema_diff(run.before, run.after) if run.after else (),
        failure=diagnosis(log, run.before, run.after).failure if failed else None,
        complete=run.after is not None and not run.after.left_out,
        log_complete=run.log_complete,
    )


def probe(run: MigrationRun) -> str:
    """Return a query that counts the rows on which the migration failed, or "". It reads, and returns one number."""
    return diagnosis(_log(run), run.before, run.after).probe if run.exit_code else ""


def declared(notes: Iterable[str]) -> dict[str, int]:
    """Return how many rows a migration says that it deletes, by table, from what it wrote to the server's log.

    A note is such as `deletes 120 rows of orders`; several of one table add up.
    """
    found: dict[str, int] = {}
    for note in notes:
        if said := re.fullmatch(r"deletes (\d{1,12}) rows? of ([\w.]+)", note):
            name = said[2].removeprefix("public.")
            found[name] = found.get(name, 0) + int(said[1])
    return found


def _log(run: MigrationRun) -> ServerLog:
    return server_log(run.log, run.before.at, run.after.began if run.after else None)


def _seconds(run: MigrationRun) -> float:
    """Return the time between the snapshots, which is an upper bound."""
    return round(run.after.began - run.before.at, 1) if run.after else 0.0


def _ran(log: ServerLog, run: MigrationRun) -> Iterator[RanStatement]:
    broken = {(e.session, e.sql) for e in log.errors}
    for logged in log.statements:
        failed = (logged.session, logged.sql) in broken
        for statement in statements(logged.sql):
            if is_ddl(statement):
                found = effect(statement)
                tables = tuple(t.label for t in affected(found, run.after, run.before))
                raw = " ".join(t.text for t in statement)
                yield RanStatement(shown(statement), logged.seconds, tables, found.lock, failed, raw)


def _failed(run: MigrationRun, log: ServerLog) -> Iterator[Finding]:
    if not run.exit_code:
        return
    found: Diagnosis = diagnosis(log, run.before, run.after)
    count, exact = (run.probed, True) if run.probed is not None else counted(found)
    table = found.table
    name = ", ".join(found.failure.columns) or found.failure.name
    yield Finding(
        FindingKind.FAILED, table.label if table else "", count, True, name, exact, of=table.rows if table else None
    )


def _waits(log: ServerLog, run: MigrationRun) -> Iterator[Finding]:
    """Yield how long something waited for a lock: the longest wait of each table."""
    tables = {t.oid: t for s in (run.before, run.after) if s for t in s.tables}
    longest: dict[int, float] = {}
    for wait in log.waits:
        longest[wait.relation] = max(wait.seconds, longest.get(wait.relation, 0.0))
    for oid, seconds in longest.items():
        if oid in tables:
            yield Finding(FindingKind.LOCK_WAIT, tables[oid].label, alarm=seconds >= LONG_LOCK, seconds=seconds)


def _wrong_order(run: MigrationRun, log: ServerLog) -> Iterator[Finding]:
    """Yield migrations that ran after one that comes later by its name."""
    touched = next((s.tables[0] for s in _ran(log, run) if s.tables), "")
    seen = list(run.known or ())
    for name in run.applied:
        if "_squashed_" in name:  # Django records it when it stands for migrations that ran before
            continue
        later = [k for k in seen if _app(k) == _app(name) and _number(k) > _number(name) >= 0]
        if later:
            last = max(later, key=_number)
            yield Finding(FindingKind.WRONG_ORDER, touched, len(later), _number(name) < TIMESTAMP, name, now=last)
        seen.append(name)


def _app(name: str) -> str:
    """Return the app of a migration such as `shop.0001_initial`, or its folder."""
    head, dot, tail = name.rpartition("/") if "/" in name else name.partition(".")
    return head if dot and re.match(r"[VvRU]?\d", tail) else ""


def _number(name: str) -> int:
    tail = name.removeprefix(_app(name)).lstrip("./")
    found = re.match(r"[VvRU]?(\d{1,20})(?=\D|$)", tail)
    return int(found[1]) if found else -1


def _not_repeatable(run: MigrationRun) -> Iterator[Finding]:
    """Yield what a second run of the same migrations did: it must neither fail nor change anything."""
    if run.again_exit:
        log = server_log(run.log, (run.after or run.before).at, run.again.began if run.again else None)
        found = diagnosis(log, run.after or run.before, run.again)
        table = found.table.label if found.table else ""
        yield Finding(FindingKind.NOT_REPEATABLE, table, None, True, found.failure.name, was="failed")
    elif run.after and run.again:
        yield from _changed_again(run.after, run.again)


def _changed_again(after: Snapshot, again: Snapshot) -> Iterator[Finding]:
    later = {t.oid: t for t in again.tables}
    for table in after.tables:
        found = later.get(table.oid)
        if found and (found.inserted > table.inserted or found.deleted > table.deleted):
            more = found.inserted - table.inserted + found.deleted - table.deleted
            yield Finding(FindingKind.NOT_REPEATABLE, found.label, more, True, of=table.rows, was="rows")
    for line in schema_diff(after, again)[:1]:
        table_name = line[1:].partition(":")[0]
        yield Finding(FindingKind.NOT_REPEATABLE, table_name, None, True, was="schema")


def with_lints(found: MigrationReport, lints: tuple[Lint, ...] | None) -> MigrationReport:
    """Return a report with a linter's warnings about its statements."""
    return replace(found, lints=lints)
