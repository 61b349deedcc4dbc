"""Read PostgreSQL's log: the DDL that ran, slow statements, waits for locks, and errors. Pure.

DETAIL, HINT and CONTEXT lines are never read: they may contain values of rows.
https://www.postgresql.org/docs/current/runtime-config-logging.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "log_statement": "ddl",
        "log_min_duration_statement": "100ms",  # the durations of slow statements, and nothing about the fast ones
        "log_parameter_max_length": "0",  # parameters are values
        "log_parameter_max_length_on_error": "0",
        "log_error_verbosity": "terse",  # DETAIL and CONTEXT may contain values of rows
        "log_lock_waits": "on",
        "deadlock_timeout": "200ms",  # a wait for a lock is logged after this time
        "log_line_prefix": "%m [%p] %c|%v|%x|%e| ",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "track_commit_timestamp": "on",  # a COMMIT is not logged; this says when a lock ended
    }
)
"""Server settings that the report requires. They need superuser rights, so set them on the server's command line."""

ENTRY_LIMIT = 100_000
"""Maximum number of characters to read of one log entry. DDL is shorter, but the server logs all statements in full."""

NOTE = "greenroom: "
"""Prefix of a log entry that a migration writes about itself, or that a snapshot writes as a marker."""

_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC \[\d+\] ([0-9a-f]+\.[0-9a-f]+)\|([\d/-]*)\|(\d*)\|([0-9A-Z]{5})\| "
    r"([A-Z]+\d?):  (.*)",
    re.DOTALL,
)
_STATEMENT = re.compile(r"(?:statement|execute [^:]*): (.*)", re.DOTALL)
_DURATION = re.compile(
    r"duration: ([\d.]+) ms(?:  (?:statement|parse [^:]*|bind [^:]*|execute [^:]*): (.*))?", re.DOTALL
)
_WAIT = re.compile(
    r"process \d+ (?:still waiting for|acquired) (\w+) on relation (\d+) of database \d+ after ([\d.]+) ms"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the log. `session` and `transaction` identify where it comes from; a transaction of "" has none."""

    at: float
    session: str
    transaction: str
    sqlstate: str
    severity: str
    text: str


@dataclass(frozen=True, slots=True)
class Logged:
    """A statement that the server logged because it is DDL. `seconds` is `None` if it took less than 100 ms."""

    at: float
    session: str
    transaction: str
    sql: str
    seconds: float | None = None

    @property
    def ended(self) -> float:
        """Return when it ended, or when it began if that is not known."""
        return self.at + (self.seconds or 0.0)


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait for the lock of a relation, by its oid."""

    relation: int
    mode: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Error:
    """An error and the statement that caused it. The text may contain values: only names in it may be shown."""

    at: float
    session: str
    sqlstate: str
    text: str
    sql: str = ""


@dataclass(frozen=True, slots=True)
class ServerLog:
    """The entries of the log in a span of time. `last` is the time of the last entry of each transaction.

    `notes` are what a migration says about itself, with `RAISE LOG 'greenroom: ...'`.
    """

    statements: tuple[Logged, ...] = ()
    waits: tuple[Wait, ...] = ()
    errors: tuple[Error, ...] = ()
    last: Mapping[tuple[str, str], float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def server_log(lines: Iterable[str], since: float, until: float | None) -> ServerLog:
    """Return what the lines say about a span of time, in seconds since 1970 by the server's clock."""
    found = [e for e in entries(lines) if e.at >= since - 0.001 and (until is None or e.at <= until)]
    last = {(e.session, e.transaction): e.at for e in found if e.transaction}
    notes = (e.text.removeprefix(NOTE) for e in found if e.severity == "LOG" and e.text.startswith(NOTE))
    return ServerLog(tuple(_statements(found)), tuple(_waits(found)), tuple(_errors(found)), last, tuple(notes))


def reaches(lines: Iterable[str], since: float, until: float | None) -> bool:
    """Return whether a log begins before a span of time and ends after it. Each snapshot leaves an entry for that."""
    times = [entry.at for entry in entries(lines)]
    return bool(times) and min(times) <= since + 0.001 and (until is None or max(times) >= until - 0.001)


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Yield the entries of a log. Lines that follow one begin with a tab; lines of other programs are left out."""
    current: list[str] = []
    length = 0
    for line in lines:
        if line.startswith("\t"):
            if current and length < ENTRY_LIMIT:
                current.append(line[1:].rstrip("\n"))
                length += len(line)
        else:
            yield from _entry(current)
            current = [line.rstrip("\n")[:ENTRY_LIMIT]]
            length = len(current[0])
    yield from _entry(current)


def _entry(lines: Sequence[str]) -> Iterator[Entry]:
    found = _LINE.fullmatch("\n".join(lines)) if lines else None
    if found is None:
        return
    at, session, transaction, _, sqlstate, severity, text = found.groups()
    try:
        moment = datetime.strptime(at, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    except ValueError:
        return
    real = transaction if not transaction.endswith("/0") else ""
    yield Entry(moment.timestamp(), session, real, sqlstate, severity, text)


def _statements(found: Sequence[Entry]) -> Iterator[Logged]:
    """Yield the logged statements, each with its duration: the next entry of its session, if it is one without text."""
    following: dict[str, Entry] = {}
    logged: list[Logged] = []
    for entry in reversed(found):
        said = _STATEMENT.match(entry.text) if entry.severity == "LOG" else None
        if said:
            took = _DURATION.fullmatch(following[entry.session].text) if entry.session in following else None
            seconds = float(took[1]) / 1000 if took and took[2] is None else None
            logged.append(Logged(entry.at, entry.session, entry.transaction, said[1], seconds))
        following[entry.session] = entry
    return reversed(logged)


def _waits(found: Sequence[Entry]) -> Iterator[Wait]:
    for entry in found:
        said = _WAIT.match(entry.text) if entry.severity == "LOG" else None
        if said:
            yield Wait(int(said[2]), said[1], float(said[3]) / 1000)


def _errors(found: Sequence[Entry]) -> Iterator[Error]:
    """Yield the errors, each with the statement of the STATEMENT entry that follows it."""
    open_errors: dict[str, Error] = {}
    for entry in found:
        if entry.severity in ("ERROR", "FATAL", "PANIC"):
            if entry.session in open_errors:
                yield open_errors.pop(entry.session)
            open_errors[entry.session] = Error(entry.at, entry.session, entry.sqlstate, entry.text)
        elif entry.severity == "STATEMENT" and entry.session in open_errors:
            yield replace(open_errors.pop(entry.session), sql=entry.text)
    yield from open_errors.values()
