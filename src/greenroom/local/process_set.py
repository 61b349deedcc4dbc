"""The processes of one preview: those in its record, and those that only their mark identifies.

If a `kill -9` comes between the start of a process and its record, the mark still finds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from greenroom.local import processes
from greenroom.local.record_file import RecordFile
from greenroom.local.state import Process
from greenroom.local.workspace import Workspace


class ProcessSet:
    """The processes of one preview."""

    def __init__(self, record: RecordFile, workspace: Workspace) -> None:
        self._record = record
        self._workspace = workspace

    async def note(self, started: Process, **changes: object) -> None:
        """Record a process that was started. If that fails, end the process: nothing would find it later."""
        try:
            self._record.keep(**changes)
        except BaseException:
            await end((started,), processes.BRIEF_SECONDS)
            raise

    async def end_all(self, keep: tuple[Process, ...]) -> None:
        """End every process except `keep`, whether recorded or only marked."""
        kept = self._record.kept
        noted = [*(kept.serving.processes if kept.serving else ())]
        noted += kept.starting.processes if kept.starting else ()
        noted += (*kept.caches, *kept.ending)
        await end(p for p in noted if p not in keep)
        spared = {p.pid for p in keep}
        for pid in self._workspace.marked():
            started = processes.started(pid)
            if pid not in spared and started:
                await processes.end(pid, started)


async def end(found: Iterable[Process], grace: float = processes.GRACE_SECONDS) -> None:
    """End processes and their sessions at the same time: TERM, then KILL after `grace` seconds."""
    await asyncio.gather(*(processes.end(p.pid, p.started, grace) for p in found))
