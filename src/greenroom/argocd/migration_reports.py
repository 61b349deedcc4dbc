"""The reports of a preview's migrations, made in the background from the logs of its pods.

A report that cannot be made is left out. It explains a pull request, and nothing depends on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from greenroom import logs
from greenroom.argocd.client import Kube, LogText, Object
from greenroom.argocd.migration_runs import AFTER, BEFORE, EndedRun, ended_runs
from greenroom.background import Tasks
from greenroom.core.migration_report.report import MigrationRun, report, with_lints
from greenroom.core.migration_report.server_log import reaches
from greenroom.core.migration_report.snapshot import recorded, snapshot
from greenroom.core.model.migration_report import MigrationReport, ServiceMigration
from greenroom.core.model.schema_snapshot import Snapshot
from greenroom.core.model.spec import PreviewSpec
from greenroom.squawk import lints, squawk

log = structlog.get_logger(__name__)

LOG_LIMIT = 1024 * 1024
"""Maximum bytes to read of the server's log. If the log is longer, the report says that it is incomplete.

A pull request's code decides what is in the log, and a megabyte of the worst DDL takes about 20 s to parse.
"""
SNAPSHOT_LIMIT = 4 * 1024 * 1024
"""Maximum bytes to read of a snapshot. The snapshot of 1,000 tables has less than a million."""
AT_ONCE = 1
"""Number of reports to build at the same time. When Greenroom starts, it builds the reports of all previews."""
PAUSES = (2.0, 5.0)
"""Seconds to wait before reading an incomplete log again: the kubelet may receive the last lines a moment late."""


@dataclass(frozen=True, slots=True)
class ReportReader:
    """Reads what a run left in the logs of its pods, and makes the report. All previews of a cluster share one."""

    previews: Kube
    pauses: tuple[float, ...] = PAUSES
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def report(self, namespace: str, run: EndedRun) -> MigrationReport | None:
        """Return the report of a run, or None if its first snapshot is unavailable."""
        found = None
        for pause in (0.0, *self.pauses):
            await asyncio.sleep(pause)
            async with self.turn:
                found = await self._read(namespace, run)
            if found and found.log_complete and (found.after or run.exit_code):
                break
        return await self._made(found) if found else None

    async def _read(self, namespace: str, run: EndedRun) -> MigrationRun | None:
        begun = await self._lines(namespace, run, BEFORE)
        ended = await self._lines(namespace, run, AFTER) if run.exit_code == 0 else []
        before, after = _snapshot(begun), _snapshot(ended)
        if before is None:
            return None
        server = await self.previews.log_since(namespace, run.database, run.container, run.since, LOG_LIMIT)
        found = server or LogText("")
        lines = found.text.split("\n")  # splitlines() would also split at characters that a statement may contain
        complete = not found.cut and await asyncio.to_thread(reaches, lines, before.at, after.began if after else None)
        known, new = recorded(begun), recorded(ended)
        return MigrationRun(before, after, lines, run.exit_code, run.seconds, known, new, log_complete=complete)

    async def _lines(self, namespace: str, run: EndedRun, container: str) -> list[str]:
        found = await self.previews.log_since(namespace, run.pod, container, "", SNAPSHOT_LIMIT)
        return found.text.split("\n") if found and not found.cut else []

    async def _made(self, run: MigrationRun) -> MigrationReport:
        async with self.turn:
            made = await asyncio.to_thread(report, run)
            linted = await asyncio.to_thread(lints, made.statements, run.before.server, squawk())
        return _clean(with_lints(made, linted))


class MigrationReports:
    """The reports of one preview. Each is made once, and `changed` is called when it is there."""

    def __init__(self, reader: ReportReader, tasks: Tasks, changed: Callable[[], None]) -> None:
        self._reader = reader
        self._tasks = tasks
        self._changed = changed
        self._made: dict[tuple[str, bool], ServiceMigration | None] = {}

    def of(self, pods: list[Object], spec: PreviewSpec) -> tuple[ServiceMigration, ...]:
        """Return the reports that belong to the pods of this spec, and start to make those that are missing."""
        runs = ended_runs(pods, spec)
        self._made = {run.key: self._made[run.key] for run in runs if run.key in self._made}
        for run in runs:
            if run.key not in self._made:
                self._made[run.key] = None  # one try for each pod
                self._tasks.start(f"{run.pod} migration report", self._make(spec.names.namespace, run))
        return tuple(found for run in runs if (found := self._made[run.key]))

    async def _make(self, namespace: str, run: EndedRun) -> None:
        try:
            made = await self._reader.report(namespace, run)
        except Exception as error:
            log.debug("a migration report could not be made", pod=run.pod, error=type(error).__name__)
            return
        if made is None:
            log.debug("a migration has no report because its first snapshot is missing", pod=run.pod)
        elif run.key in self._made:  # otherwise its pod is gone
            self._made[run.key] = ServiceMigration(run.service, run.need, made)
            self._changed()


def _snapshot(lines: list[str]) -> Snapshot | None:
    return next((s for line in lines if (s := snapshot(line))), None)


def _clean(found: MigrationReport) -> MigrationReport:
    """Return a report without what only the linter may read, and without text that looks like a secret."""
    ran = tuple(replace(s, text=logs.scrub(s.text), raw="") for s in found.statements)
    return replace(found, statements=ran, diff=tuple(logs.scrub(line) for line in found.diff))
