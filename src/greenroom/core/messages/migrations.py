"""Sentences about what a migration did: one line for the comment, and the details below it.

Names of tables and columns are text by strangers, so they are shown as code, without backticks of their own. No
sentence contains a value of a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from greenroom.core.comment.sanitize import code, counted, fence, markdown, markup, plain
from greenroom.core.model.migration_report import (
    Cause,
    Failure,
    Finding,
    FindingKind,
    MigrationReport,
    RanStatement,
    ServiceMigration,
)

_NAMED = 4
"""Maximum number of findings in the one-line summary. The details list the others."""
_FENCE = 6000
_LISTED = 60


def migration_summary(report: MigrationReport) -> str:
    """Return one line: how many migrations ran, how long they took, and what a reviewer must see."""
    names = len(report.migrations)
    ran = counted(len(report.statements), "DDL statement") if report.statements else "no DDL"
    head = f"{counted(names, 'migration') if names else ran}, {_seconds(report.seconds)}"
    alarms = report.alarms
    shown = [_brief(f, report.failure) for f in alarms[:_NAMED]]
    if len(alarms) > _NAMED:
        shown.append(f"{len(alarms) - _NAMED} more")
    incomplete = [] if report.complete and report.log_complete else ["report incomplete"]
    return "; ".join([head, *shown, *incomplete])


def migration_lines(found: Sequence[ServiceMigration]) -> tuple[str, ...]:
    """Return one line for each service that migrated, with the names of the services if there are several."""
    return tuple(_line(m.report, m.service if len(found) > 1 else "") for m in found)


def _line(report: MigrationReport, service: str) -> str:
    return f"Migrations{f' of {_code(service)}' if service else ''}: {migration_summary(report)}"


def migration_details(report: MigrationReport, service: str = "") -> str:
    """Return the folded details as Markdown. Everything that comes from the database is escaped.

    `service` is named if several services of a preview migrate.
    """
    parts = [_names(report.migrations), _findings(report), _ran(report.statements), _linted(report), _diff(report.diff)]
    body = "\n\n".join(p for p in parts if p)
    # GitHub reads this line as HTML, not as Markdown, so it is escaped as HTML.
    return f"<details><summary>{markup(_line(report, service))}</summary>\n\n{body}\n\n</details>"


def finding_sentence(finding: Finding, failure: Failure | None = None) -> str:
    """Return the sentence of one finding. Only its backticks are markup."""
    if finding.kind is FindingKind.FAILED:
        return _failed(finding, failure)
    return _SENTENCES[finding.kind](finding)


def _findings(report: MigrationReport) -> str:
    marks = {True: "**Alarm:** ", False: ""}
    lines = [f"- {marks[f.alarm]}{markdown(finding_sentence(f, report.failure))}" for f in report.findings[:_LISTED]]
    if len(report.findings) > _LISTED:
        lines.append(f"- {len(report.findings) - _LISTED} more")
    if not report.complete:
        lines.append("- The snapshot after the migration is missing or incomplete, so this list is incomplete.")
    if not report.log_complete:
        lines.append(
            "- The database's log of this migration is incomplete. Statements, locks and errors may be missing."
        )
    return "\n".join(lines or ["- No data was lost, and no table was rewritten."])


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(_code(n) for n in names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"Ran: {markdown(shown)}{more}" if names else ""


def _ran(statements: Sequence[RanStatement]) -> str:
    lines = [f"{'failed' if s.failed else _took(s.seconds):>8}  {s.text}" for s in statements]
    return f"DDL that ran, without literals:\n\n{_fenced(lines)}" if lines else ""


def _linted(report: MigrationReport) -> str:
    if report.lints is None:
        return ""
    rules = Counter(_code(lint.rule) for lint in report.lints)
    shown = ", ".join(f"{rule} {count}×" if count > 1 else rule for rule, count in sorted(rules.items()))
    return f"squawk's findings on this DDL: {markdown(shown or 'no warnings')}"


def _diff(lines: Sequence[str]) -> str:
    return f"Schema changes:\n\n{_fenced(lines)}" if lines else ""


def _fenced(lines: Sequence[str]) -> str:
    """Return the first lines that fit as a code block, and the number of the others."""
    kept: list[str] = []
    for line in lines:
        if sum(map(len, kept)) + len(line) > _FENCE:
            return fence((*kept, f"… {len(lines) - len(kept)} more lines"), 2 * _FENCE)
        kept.append(line[:300])
    return fence(tuple(kept), 2 * _FENCE)


def _brief(finding: Finding, failure: Failure | None) -> str:
    """Return a finding in a few words, for the one line."""
    if finding.kind is FindingKind.FAILED:
        cause = _CAUSES[failure.cause] if failure and failure.cause in _CAUSES else "at"
        return f"failed: {cause} {_table(finding)}{f' ({_table_rows(finding)})' if finding.count is not None else ''}"
    under = f", {_seconds(finding.seconds)} under {finding.lock}" if finding.seconds is not None else ""
    return _BRIEF[finding.kind].format(
        table=_table(finding), column=_column(finding), name=_code(finding.name), rows=_table_rows(finding),
        values=_values(finding), amount=_amount(finding), seconds=_seconds(finding.seconds), lock=finding.lock,
        under=under,
    )  # fmt: skip


def _rewritten(f: Finding) -> str:
    lock = f", {_seconds(f.seconds)} under an {f.lock} lock" if f.seconds is not None and f.lock else ""
    return f"{_table(f)} was rewritten: {_table_rows(f)}, {_bytes(f.size)}{lock}."


def _locked(f: Finding) -> str:
    return f"{_table(f)} was locked for {_seconds(f.seconds)} ({f.lock}); it has {_table_rows(f)}."


def _lock_wait(f: Finding) -> str:
    return f"A statement waited {_seconds(f.seconds)} for a lock on {_table(f)}."


def _table_dropped(f: Finding) -> str:
    return f"{_table(f)} was dropped with {_table_rows(f)}."


def _column_dropped(f: Finding) -> str:
    return f"{_column(f)} was dropped with {_values(f)}."


def _column_narrowed(f: Finding) -> str:
    lost = f"up to {_values(f)} {_verb(f, 'was', 'were')} cut or rounded"
    return f"{_column(f)} changed from {_code(f.was)} to {_code(f.now)}: {lost}."


def _values_lost(f: Finding) -> str:
    retyped = f" when it changed from {_code(f.was)} to {_code(f.now)}" if f.was != f.now else ""
    return f"{_column(f)} lost {_amount(f)} of {_number(f.of)} values{retyped}: they are NULL now."


def _deleted(f: Finding) -> str:
    limit = f"; the migration declares {_number(f.declared)}" if f.declared is not None else ""
    return f"{_amount(f)} of {_number(f.of)} rows {_verb(f, 'was', 'were')} deleted from {_table(f)}{limit}."


def _updated(f: Finding) -> str:
    return f"{_table_rows(f)} in {_table(f)} {_verb(f, 'was', 'were')} updated (the table had {_number(f.of)})."


def _inserted(f: Finding) -> str:
    return f"{_table_rows(f)} {_verb(f, 'was', 'were')} inserted into {_table(f)}."


def _orphans(f: Finding) -> str:
    refer = f"{_table_rows(f)} {_verb(f, 'refers', 'refer')} to missing rows"
    return f"The foreign key {_code(f.name)} on {_table(f)} is NOT VALID, and {refer}."


def _not_valid(f: Finding) -> str:
    count = (
        "the number of rows that violate it is unknown"
        if f.count is None
        else f"{_table_rows(f)} {_verb(f, 'violates', 'violate')} it"
    )
    return f"The constraint {_code(f.name)} on {_table(f)} was left NOT VALID; {count}."


def _invalid_index(f: Finding) -> str:
    count = f": {_table_rows(f)} {_verb(f, 'is a duplicate', 'are duplicates')}" if f.count else ""
    return f"The index {_code(f.name)} on {_table(f)} is invalid{count}. PostgreSQL does not use the index for queries."


def _enum_labels(f: Finding) -> str:
    had = f"before the migration, {_table(f)} had {_values(f)} of this type"
    return f"The enum type {_code(f.name)} no longer has {_code(f.was)}; {had}."


def _sequence_behind(f: Finding) -> str:
    of = f" for {_table(f)}" if f.table else ""
    return f"The sequence {_code(f.name)}{of} is {_amount(f)} behind the largest value in the sequence's column."


def _wrong_order(f: Finding) -> str:
    changes = f" It changes {_table(f)}." if f.table else ""
    later = f"{counted(f.count or 0, 'later migration')} had already run"
    return f"{_code(f.name)} ran after {_code(f.now)}: {later}.{changes}"


def _not_repeatable(f: Finding) -> str:
    if f.was == "failed":
        return f"A second run of the migrations failed{f' at {_table(f)}' if f.table else ''}."
    what = f"changed {_table_rows(f)} in" if f.was == "rows" else "changed the schema of"
    return f"A second run of the migrations {what} {_table(f)}."


_SENTENCES: Mapping[FindingKind, Callable[[Finding], str]] = {
    FindingKind.REWRITTEN: _rewritten,
    FindingKind.LOCKED: _locked,
    FindingKind.LOCK_WAIT: _lock_wait,
    FindingKind.TABLE_DROPPED: _table_dropped,
    FindingKind.COLUMN_DROPPED: _column_dropped,
    FindingKind.COLUMN_NARROWED: _column_narrowed,
    FindingKind.VALUES_LOST: _values_lost,
    FindingKind.ROWS_DELETED: _deleted,
    FindingKind.ROWS_UPDATED: _updated,
    FindingKind.ROWS_INSERTED: _inserted,
    FindingKind.ORPHANS: _orphans,
    FindingKind.NOT_VALID: _not_valid,
    FindingKind.INVALID_INDEX: _invalid_index,
    FindingKind.ENUM_LABELS: _enum_labels,
    FindingKind.SEQUENCE_BEHIND: _sequence_behind,
    FindingKind.WRONG_ORDER: _wrong_order,
    FindingKind.NOT_REPEATABLE: _not_repeatable,
}

_BRIEF: Mapping[FindingKind, str] = {
    FindingKind.LOCKED: "long lock on {table} ({seconds} {lock})",
    FindingKind.LOCK_WAIT: "{seconds} wait for a lock on {table}",
    FindingKind.REWRITTEN: "{table} rewritten ({rows}{under})",
    FindingKind.TABLE_DROPPED: "{table} dropped with {rows}",
    FindingKind.COLUMN_DROPPED: "{column} dropped with {values}",
    FindingKind.COLUMN_NARROWED: "{column} narrowed ({values})",
    FindingKind.VALUES_LOST: "{values} lost in {column}",
    FindingKind.ROWS_DELETED: "{rows} deleted from {table}",
    FindingKind.ROWS_UPDATED: "{rows} updated in {table}",
    FindingKind.ROWS_INSERTED: "{rows} inserted into {table}",
    FindingKind.ORPHANS: "{rows} of {table} without a parent",
    FindingKind.NOT_VALID: "NOT VALID constraint on {table} ({rows})",
    FindingKind.INVALID_INDEX: "invalid index on {table} ({rows})",
    FindingKind.ENUM_LABELS: "{name} lost a value ({values} in {table})",
    FindingKind.SEQUENCE_BEHIND: "sequence of {table} is behind by {amount}",
    FindingKind.WRONG_ORDER: "{name} ran out of order ({table})",
    FindingKind.NOT_REPEATABLE: "not repeatable: {table}",
}


def _failed(f: Finding, failure: Failure | None) -> str:
    """Return the sentence of a failed migration: the cause, the table and how many rows block it."""
    if failure is None or failure.cause is Cause.OTHER:
        state = f" (SQLSTATE {plain(failure.sqlstate)})" if failure and failure.sqlstate else ""
        where = f" at {_table(f)}" if f.table else ""
        return f"The migration failed{where}{state}. See its log."
    where = f"{_table(f)}{f' ({_code(f.name)})' if f.name else ''}" if f.table else _code(f.name or "unknown")
    rows = f" {_amount(f)} of {_number(f.of)} rows {_verb(f, 'blocks', 'block')} it." if f.count is not None else ""
    return f"The migration failed: {_CAUSES[failure.cause]} {where} (SQLSTATE {plain(failure.sqlstate)}).{rows}"


_CAUSES: Mapping[Cause, str] = {
    Cause.DUPLICATES: "duplicates in",
    Cause.NULLS: "NULL values in",
    Cause.ORPHANS: "rows without a parent in",
    Cause.CHECK: "rows that violate a check in",
    Cause.CONVERSION: "values that cannot be converted in",
    Cause.MISSING: "an object that does not exist in",
    Cause.EXISTS: "an object that already exists in",
    Cause.DEPENDENTS: "other objects depend on",
    Cause.LOCK: "timed out waiting for a lock on",
    Cause.PRIVILEGE: "the role has no permission to change",
}


def _code(text: str) -> str:
    return f"`{code(text) or '?'}`"


def _table(f: Finding) -> str:
    return _code(f.table or "the database")


def _column(f: Finding) -> str:
    return _code(f"{f.table}.{f.name}")


def _table_rows(f: Finding) -> str:
    return f"{_amount(f)} {'row' if f.count == 1 else 'rows'}"


def _verb(f: Finding, one: str, several: str) -> str:
    return one if f.count == 1 else several


def _values(f: Finding) -> str:
    return f"{_amount(f)} {'value' if f.count == 1 else 'values'}"


def _amount(f: Finding) -> str:
    if f.count is None:
        return "an unknown number of"
    return f"{'' if f.exact else 'about '}{_number(f.count)}"


def _number(count: int | None) -> str:
    if count is None:
        return "?"
    return f"{count / 1e6:.1f} M" if count >= 1_000_000 else f"{count:,}"


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{max(1, round(size / 1e3))} kB"


def _seconds(seconds: float | None) -> str:
    return "an unknown time" if seconds is None else f"{seconds:.1f} s" if seconds >= 0.05 else "under 0.1 s"


def _took(seconds: float | None) -> str:
    return "< 0.1 s" if seconds is None else _seconds(seconds)
