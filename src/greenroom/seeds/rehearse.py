"""A rehearsal: a dump is restored, the migrations run on it twice, and the report says what they did."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from greenroom import dumpfile
from greenroom.argocd.squawk import lints, squawk
from greenroom.core.migration_report.report import MigrationRun, probe, report, with_lints
from greenroom.core.migration_report.server_log import SETTINGS
from greenroom.core.migration_report.snapshot import recorded, snapshot
from greenroom.core.model.migration_report import MigrationReport
from greenroom.core.model.schema_snapshot import Snapshot
from greenroom.errors import Failed
from greenroom.seeds import bake, workfolder
from greenroom.seeds.build import Request, admit, disk_full
from greenroom.seeds.programs import programs

SNAPSHOT = Path(__file__).with_name("report") / "snapshot.sh"
_STATEMENTS = {"log_min_error_statement": "error"}
"""The script leaves out the statements of errors, because those of a dump contain values."""
_READ_ONLY = "-c default_transaction_read_only=on -c statement_timeout=30s -c lock_timeout=200ms"


async def rehearse(request: Request, say: bake.Say) -> MigrationReport:
    """Restore the dump of a request, run its `migrate` command twice, and return the report.

    Raise `FixConfiguration` for wrong input, and `Failed` if the dump is refused or cannot be restored. A migration
    that fails is in the report.
    """
    content = await asyncio.to_thread(dumpfile.git_blob_id, request.dump)
    folder_of_programs = programs(request.version, request.programs)
    made: list[MigrationReport] = []

    async def migration(work: Path) -> str:
        made.append(await _Server(work, folder_of_programs).rehearsed(request.migrate, say))
        return "The rehearsal is over."  # so the script packs nothing

    with workfolder.workfolder(request.work) as folder, disk_full(folder):
        dump, work = folder / "dump", folder / "bake"
        began = time.monotonic()
        await asyncio.to_thread(admit, request, content, dump)
        say("check", time.monotonic() - began)
        work.mkdir()
        await asyncio.to_thread(dumpfile.prepare, dump, work / "dump")
        try:
            await bake.bake(work, bake.Recipe(folder_of_programs, request.extensions, migration), say)
        except Failed:
            if not made:
                raise
    return made[0]


class _Server:
    """The server in a work folder, with the restored data. `app` owns the database."""

    def __init__(self, work: Path, folder: Path) -> None:
        self._work = work
        self._programs = folder

    async def rehearsed(self, command: str, say: bake.Say) -> MigrationReport:
        await self._prepare()
        mark = self._log.stat().st_size
        begun, ended, again = await self._snapshot("before"), list[str](), list[str]()
        began = time.monotonic()
        code = await bake.run(command, self._work)
        seconds = time.monotonic() - began
        say("migrate", seconds)
        ended = await self._snapshot("after")
        again_code = None
        if not code:
            began = time.monotonic()
            again_code = await bake.run(command, self._work)
            say("again", time.monotonic() - began)
            again = await self._snapshot("again")
        before = _read(begun)
        if before is None:
            raise Failed("The database could not be described: snapshot.sh printed nothing that can be read.")
        log = await asyncio.to_thread(self._lines, mark)
        run = MigrationRun(
            before, _read(ended), log, code, seconds, recorded(begun), recorded(ended), _read(again), again_code
        )
        run = replace(run, probed=await self._count(probe(run)))
        made = await asyncio.to_thread(report, run)
        return with_lints(made, await asyncio.to_thread(lints, made.statements, before.server, squawk()))

    @property
    def _log(self) -> Path:
        return self._work / "server.log"

    def _lines(self, mark: int) -> list[str]:
        with self._log.open("rb") as file:
            file.seek(mark)
            return file.read().decode(errors="replace").split("\n")

    async def _prepare(self) -> None:
        """Start the server again with the settings of the report, and give it statistics, as a seed image has them."""
        data = self._work / "pgdata"
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in {**SETTINGS, **_STATEMENTS}.items())
        command = ("-D", str(data), "-l", str(self._log), "-m", "fast", "-w", "-t", "120", "restart")
        code, _ = await self._output("pg_ctl", *command, account=True)
        if not code:
            code, _ = await self._output("psql", "-X", "-q", "-U", "postgres", "-c", "VACUUM (FREEZE, ANALYZE)")
        if code:
            raise Failed("PostgreSQL did not start again with the settings of the report.")

    async def _snapshot(self, moment: str) -> list[str]:
        child = await asyncio.create_subprocess_exec(
            *("/bin/sh", str(SNAPSHOT), moment), env=self._environment, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await child.communicate()
        return output.decode(errors="replace").split("\n")

    async def _count(self, query: str) -> int | None:
        """Return the result of a query that counts rows; None if there is none, or it fails."""
        if not query:
            return None
        code, output = await self._output("psql", "-X", "-q", "-A", "-t", "-w", "-c", query, PGOPTIONS=_READ_ONLY)
        return int(output) if not code and output.strip().isdecimal() else None

    async def _output(self, program: str, *arguments: str, account: bool = False, **more: str) -> tuple[int, str]:
        child = await asyncio.create_subprocess_exec(
            *(str(self._programs / program), *arguments),
            env=self._environment | more,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL
            if account
            else asyncio.subprocess.PIPE,  # the server would keep a pipe open
            stderr=asyncio.subprocess.DEVNULL,
            cwd=self._work,
            start_new_session=True,
            **(bake.identity() if account else {}),
        )
        output, _ = await child.communicate()
        return await child.wait(), (output or b"").decode(errors="replace")

    @property
    def _environment(self) -> dict[str, str]:
        path = f"{self._programs}:{os.environ.get('PATH', os.defpath)}"
        return {"PATH": path, "PGHOST": str(self._work / "socket"), "PGUSER": "app", "PGDATABASE": "app"}


def _read(lines: Iterable[str]) -> Snapshot | None:
    return next((found for line in lines if (found := snapshot(line))), None)
