"""A rehearsal: a dump is restored, the migrations run on it twice, and the report says what they did."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from greenroom import dumpfile
from greenroom.core.migration_report.report import MigrationRun, probe, report, with_lints
from greenroom.core.migration_report.schema_diff import schema_diff
from greenroom.core.migration_report.server_log import SETTINGS
from greenroom.core.migration_report.snapshot import recorded, snapshot
from greenroom.core.model.migration_report import MigrationReport
from greenroom.core.model.schema_snapshot import Snapshot
from greenroom.errors import Failed
from greenroom.seeds import bake, workfolder
from greenroom.seeds.build import Request, admit, disk_full
from greenroom.seeds.programs import programs
from greenroom.squawk import lints, squawk

SNAPSHOT = Path(__file__).with_name("report") / "snapshot.sh"
_STATEMENTS = {"log_min_error_statement": "error"}
"""The script leaves out the statements of errors, because those of a dump contain values."""
_READ_ONLY = "-c default_transaction_read_only=on -c statement_timeout=30s -c lock_timeout=200ms"
_EMPTY = "from_empty"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The report of a rehearsal. `drift` are the lines in which the schema differs from that of an empty database with
    the same migrations; it is None if none was made, because nobody asked or the migrations failed.
    """

    report: MigrationReport
    drift: tuple[str, ...] | None = None

    @property
    def ok(self) -> bool:
        """Return whether there is no alarm and no drift."""
        return not self.report.alarms and not self.drift


async def rehearse(request: Request, say: bake.Say, *, drift: bool = False) -> Rehearsal:
    """Restore the dump of a request, run its `migrate` command twice, and return the report.

    With `drift`, also migrate an empty database and compare the schemas. Raise `FixConfiguration` for wrong input, and
    `Failed` if the dump is refused or cannot be restored, or the migrations fail on the empty database only. A
    migration that fails on the dump is in the report.
    """
    content = await asyncio.to_thread(dumpfile.git_blob_id, request.dump)
    folder_of_programs = programs(request.version, request.programs)
    made: list[Rehearsal] = []

    async def migration(work: Path) -> str:
        server = _Server(work, folder_of_programs, request.migrate, say)
        made.append(await server.rehearsed(request.extensions if drift else None))
        return "The rehearsal is over."  # so that the script packs nothing

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


@dataclass(frozen=True, slots=True)
class _Described:
    """The output of `snapshot.sh`: the database, and the migrations that its tool has recorded."""

    database: Snapshot | None
    migrations: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class _Server:
    """The server in a work folder, with the restored data. `app` owns the database."""

    work: Path
    programs: Path
    migrate: str
    say: bake.Say

    async def rehearsed(self, extensions: tuple[str, ...] | None) -> Rehearsal:
        """Run the migrations. `extensions` are those of an empty database to compare with; None for no comparison."""
        await self._prepare()
        mark = self._log.stat().st_size
        before = await self._described("before")
        if before.database is None:
            raise Failed("The restored database could not be described.")
        code, seconds = await self._migrated("migrate")
        after = await self._described("after")
        again = again_code = None
        if not code:
            again_code, _ = await self._migrated("again")
            again = (await self._described("again")).database
        log = await asyncio.to_thread(self._lines, mark)
        run = MigrationRun(
            before.database, after.database, log, code, seconds, before.migrations, after.migrations, again, again_code
        )
        run = replace(run, probed=await self._count(probe(run)))
        made = await asyncio.to_thread(report, run)
        linted = await asyncio.to_thread(lints, made.statements, before.database.server, squawk())
        drift = await self._drift(after.database, extensions) if extensions is not None and not code else None
        return Rehearsal(with_lints(made, linted), drift)

    async def _migrated(self, phase: str, database: str = "app") -> tuple[int, float]:
        began = time.monotonic()
        code = await bake.run(self.migrate, self.work, database)
        seconds = time.monotonic() - began
        self.say(phase, seconds)
        return code, seconds

    async def _drift(self, migrated: Snapshot | None, extensions: tuple[str, ...]) -> tuple[str, ...]:
        await self._sql("postgres", f"CREATE DATABASE {_EMPTY} OWNER app")
        await self._sql(_EMPTY, "ALTER SCHEMA public OWNER TO app")
        for name in extensions:
            quoted = name.replace('"', '""')
            await self._sql(_EMPTY, f'CREATE EXTENSION IF NOT EXISTS "{quoted}" CASCADE')
        code, _ = await self._migrated("empty", _EMPTY)
        if code:
            raise Failed(f"The migrations fail on an empty database (exit code {code}). Their output is above.")
        empty = (await self._described("after", _EMPTY)).database
        if migrated is None or empty is None:
            raise Failed("The two databases could not be described, so their schemas were not compared.")
        return schema_diff(empty, migrated)

    @property
    def _log(self) -> Path:
        return self.work / "server.log"

    def _lines(self, mark: int) -> list[str]:
        with self._log.open("rb") as file:
            file.seek(mark)
            return file.read().decode(errors="replace").split("\n")

    async def _prepare(self) -> None:
        """Start the server again with the settings of the report, and give it statistics, as a seed image has them."""
        data = self.work / "pgdata"
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in {**SETTINGS, **_STATEMENTS}.items())
        command = ("-D", str(data), "-l", str(self._log), "-m", "fast", "-w", "-t", "120", "restart")
        if (await self._output(str(self.programs / "pg_ctl"), *command, account=True))[0]:
            raise Failed("PostgreSQL did not start again with the settings of the report.")
        await self._sql("app", "VACUUM (FREEZE, ANALYZE)")

    async def _described(self, moment: str, database: str = "app") -> _Described:
        _, output = await self._output("/bin/sh", str(SNAPSHOT), moment, environment={"PGDATABASE": database})
        lines = output.split("\n")
        return _Described(next((found for line in lines if (found := snapshot(line))), None), recorded(lines))

    async def _count(self, query: str) -> int | None:
        """Return the result of a query that counts rows; None if there is none, or it fails."""
        if not query:
            return None
        code, output = await self._psql(query, PGOPTIONS=_READ_ONLY)
        return int(output) if not code and output.strip().isdecimal() else None

    async def _sql(self, database: str, statement: str) -> None:
        """Run a statement as the superuser."""
        if (await self._psql(statement, PGUSER="postgres", PGDATABASE=database))[0]:
            raise Failed(f"PostgreSQL refused `{statement}`.")

    async def _psql(self, statement: str, **environment: str) -> tuple[int, str]:
        flags = ("-X", "-q", "-A", "-t", "-w", "-c", statement)
        return await self._output(str(self.programs / "psql"), *flags, environment=environment)

    async def _output(
        self, *command: str, account: bool = False, environment: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, str]:
        """Run a program, as the account that may run a server if `account` is set. Return its exit code and output."""
        path = f"{self.programs}:{os.environ.get('PATH', os.defpath)}"
        place = {"PATH": path, "PGHOST": str(self.work / "socket"), "PGUSER": "app", "PGDATABASE": "app"}
        child = await asyncio.create_subprocess_exec(
            *command,
            env={**place, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL
            if account
            else asyncio.subprocess.PIPE,  # a server would keep a pipe open
            stderr=asyncio.subprocess.DEVNULL,
            cwd=self.work,
            start_new_session=True,
            **(bake.identity() if account else {}),
        )
        output, _ = await child.communicate()
        return await child.wait(), (output or b"").decode(errors="replace")
