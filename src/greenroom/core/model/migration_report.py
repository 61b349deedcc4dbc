"""The report of a migration: the findings, the statements that ran, and the difference of the schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class FindingKind(StrEnum):
    """Kinds of findings about a table, from two snapshots of the database and the server's log."""

    FAILED = "failed"
    REWRITTEN = "rewritten"
    LOCKED = "locked"
    LOCK_WAIT = "lock-wait"
    TABLE_DROPPED = "table-dropped"
    COLUMN_DROPPED = "column-dropped"
    COLUMN_NARROWED = "column-narrowed"
    VALUES_LOST = "values-lost"
    ROWS_DELETED = "rows-deleted"
    ROWS_UPDATED = "rows-updated"
    ROWS_INSERTED = "rows-inserted"
    ORPHANS = "orphans"
    NOT_VALID = "not-valid"
    INVALID_INDEX = "invalid-index"
    ENUM_LABELS = "enum-labels"
    SEQUENCE_BEHIND = "sequence-behind"
    WRONG_ORDER = "wrong-order"
    NOT_REPEATABLE = "not-repeatable"


class Cause(StrEnum):
    """Why a migration failed, from the SQLSTATE. https://www.postgresql.org/docs/current/errcodes-appendix.html"""

    DUPLICATES = "duplicates"
    NULLS = "nulls"
    ORPHANS = "orphans"
    CHECK = "check"
    CONVERSION = "conversion"
    MISSING = "missing"
    EXISTS = "exists"
    DEPENDENTS = "dependents"
    LOCK = "lock"
    PRIVILEGE = "privilege"
    OTHER = "other"


class Lock(StrEnum):
    """Table locks that a DDL statement takes. https://www.postgresql.org/docs/current/explicit-locking.html"""

    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    SHARE = "SHARE"
    SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
    NONE = ""

    @property
    def blocks(self) -> bool:
        """Return whether writes wait for it."""
        return self in (Lock.ACCESS_EXCLUSIVE, Lock.SHARE_ROW_EXCLUSIVE, Lock.SHARE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about a table. An alarm is shown at once; everything else only in the details.

    `count` is a number of rows or values, `None` if it is not known; `exact` is false for estimates. `name` is a
    column, constraint, index, type, sequence or migration. `was` and `now` are types, `of` is the rows before.
    """

    kind: FindingKind
    table: str
    count: int | None = None
    alarm: bool = False
    name: str = ""
    exact: bool = True
    of: int | None = None
    seconds: float | None = None
    lock: Lock = Lock.NONE
    size: int = 0
    was: str = ""
    now: str = ""
    declared: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the migration failed. `columns` are the columns of the constraint; `statement` has no literals."""

    cause: Cause
    sqlstate: str
    statement: str = ""
    name: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RanStatement:
    """A DDL statement that the server ran, without literals. `seconds` is `None` below the log's threshold.

    `raw` is the statement itself, for a linter. It may contain values, and is never shown.
    """

    text: str
    seconds: float | None
    tables: tuple[str, ...] = ()
    lock: Lock = Lock.NONE
    failed: bool = False
    raw: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Lint:
    """A linter's warning about one statement: the rule and the statement's position in the report, from 0."""

    rule: str
    statement: int


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """Everything that one run of the migrations did.

    `migrations` are their names, if the framework's ledger is known. `diff` has the lines of the schema's unified diff.
    `complete` is false if a snapshot is missing, `lints` is `None` if the linter did not run. `log_complete` is false
    if the server's log does not reach from one snapshot to the other: it was too long, or is gone.
    """

    migrations: tuple[str, ...]
    seconds: float
    statements: tuple[RanStatement, ...]
    findings: tuple[Finding, ...]
    diff: tuple[str, ...] = ()
    failure: Failure | None = None
    complete: bool = True
    lints: tuple[Lint, ...] | None = None
    log_complete: bool = True

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """Return the findings that a reviewer must see."""
        return tuple(f for f in self.findings if f.alarm)


@dataclass(frozen=True, slots=True)
class ServiceMigration:
    """The report of the migration of one service. `need` is the database's host name in the preview."""

    service: str
    need: str
    report: MigrationReport
