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
from greenroom.errors import Failed, GreenroomError
from greenroom.seeds import bake, workfolder
from greenroom.seeds.build import Request, admit, disk_full
from greenroom.seeds.engines import EXTENSION
from greenroom.seeds.programs import postgresql
from greenroom.squawk import lints, squawk

SNAPSHOT = Path(__file__).with_name("report") / "snapshot.sh"
LOG_LIMIT = 64 * 1024 * 1024
"""Maximum bytes to read of the server's log. If the log is longer, the report says that it is incomplete."""
DAY = 86_400
"""Time limit of a rehearsal in seconds. Migrations may take hours."""
_STATEMENTS = {"log_min_error_statement": "error"}
"""Setting that logs failed statements. The bake script turns it off, because a dump's statements contain values."""
_READ_ONLY = "-c default_transaction_read_only=on -c statement_timeout=30s -c lock_timeout=200ms"
_EMPTY, _LEFT, _RIGHT = "from_empty", "compared_empty", "compared_dump"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The report of a rehearsal. `drift` are the lines in which the schema differs from that of an empty database with
    the same migrations; it is None if they were not compared: nobody asked, the migrations failed, or `not_compared`
    says why.
    """

    report: MigrationReport
    drift: tuple[str, ...] | None = None
    not_compared: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the report is complete, without an alarm or drift."""
        return self.report.complete and not (self.report.alarms or self.drift or self.not_compared)


async def rehearse(request: Request, say: bake.Say, *, drift: bool = False) -> Rehearsal:
    """Restore the dump of a request, run its `migrate` command twice, and return the report.

    With `drift`, also migrate an empty database and compare the schemas. Raise `FixConfiguration` for wrong input, and
    `Failed` if the dump is refused or cannot be restored. A migration that fails is in the report.
    """
    content = await asyncio.to_thread(dumpfile.git_blob_id, request.dump)
    folder_of_programs = postgresql(request.version, request.programs).resolve()
    made: list[Rehearsal | GreenroomError] = []

    async def migration(work: Path) -> str:
        server = _Server(work, folder_of_programs, request.migrate, say)
        try:
            made.append(await server.rehearsed(request.extensions if drift else None))
        except GreenroomError as error:  # the script must end first
            made.append(error)
        return "The rehearsal is over."  # so that the script packs nothing

    with workfolder.workfolder(request.work.resolve()) as folder, disk_full(folder):
        dump, work = folder / "dump", folder / "bake"
        began = time.monotonic()
        await asyncio.to_thread(admit, request, content, dump)
        say("check", time.monotonic() - began)
        work.mkdir(mode=0o700)
        await asyncio.to_thread(dumpfile.prepare, dump, work / "dump")
        dump.unlink()
        try:
            recipe = bake.Recipe(folder_of_programs, request.extensions, migration, wait_seconds=DAY)
            await bake.bake(work, recipe, say)
        except Failed:
            if not made:
                raise
    if isinstance(made[0], GreenroomError):
        raise made[0]
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
            raise Failed("The schema of the restored database could not be read.")
        code, seconds = await self._migrated("migrate")
        after = await self._described("after")
        again = again_code = None
        if not code:
            again_code, _ = await self._migrated("again")
            again = (await self._described("again")).database
        log, whole = await asyncio.to_thread(self._lines, mark)
        run = MigrationRun(
            before.database, after.database, log, code, seconds, before.migrations, after.migrations, again, again_code,
            log_complete=whole,
        )  # fmt: skip
        run = replace(run, probed=await self._count(probe(run)))
        made = await asyncio.to_thread(report, run)
        compared = not code and (again is not None or again_code)
        made = replace(made, complete=made.complete and bool(code or compared))
        linted = await asyncio.to_thread(lints, made.statements, before.database.server, squawk())
        found = Rehearsal(with_lints(made, linted))
        if extensions is None or code:
            return found
        try:
            return replace(found, drift=await self._drift(extensions))
        except Failed as error:
            return replace(found, not_compared=str(error))

    async def _migrated(self, phase: str, database: str = "app") -> tuple[int, float]:
        began = time.monotonic()
        code = await bake.run(self.migrate, self.work, database)
        seconds = time.monotonic() - began
        self.say(phase, seconds)
        return code, seconds

    async def _drift(self, extensions: tuple[str, ...]) -> tuple[str, ...]:
        """Return the difference of two schemas that were both dumped and restored, which rewrites expressions."""
        await self._created(_EMPTY, extensions)
        code, _ = await self._migrated("empty", _EMPTY)
        if code:
            raise Failed(f"The migrations fail on an empty database (exit code {code}). Their output is above.")
        left, right = await self._copied(_EMPTY, _LEFT, extensions), await self._copied("app", _RIGHT, extensions)
        return schema_diff(left, right)

    async def _created(self, database: str, extensions: tuple[str, ...]) -> None:
        """Create an empty database like that of a dump."""
        await self._sql("postgres", f"CREATE DATABASE {database} OWNER app")
        await self._sql(database, "ALTER SCHEMA public OWNER TO app")
        for name in extensions:
            given = ("-v", "ON_ERROR_STOP=1", "-v", f"name={name}", "-f", str(EXTENSION))
            if (await self._psql(*given, PGUSER="postgres", PGDATABASE=database))[0]:
                raise Failed(f"The extension {name} could not be created in an empty database.")

    async def _copied(self, database: str, target: str, extensions: tuple[str, ...]) -> Snapshot:
        """Return the snapshot of a copy of a database's schema."""
        await self._created(target, extensions)
        flags = ("--schema-only", "--no-owner", "--no-privileges", "--no-comments")
        code, dumped = await self._output(str(self.programs / "pg_dump"), *flags, database)
        schema = self.work.with_name(f"{target}.sql")
        schema.touch(mode=0o600)
        schema.write_text(dumped)
        if not code:
            given = ("-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", str(schema))
            code, _ = await self._psql(*given, PGDATABASE=target)
        found = (await self._described("after", target)).database
        if code or found is None:
            raise Failed("The schemas were not compared, because one of them could not be copied or read.")
        if found.left_out:
            raise Failed(
                "The schemas were not compared, because one of them has too many tables for a snapshot"
                f" ({found.left_out} left out)."
            )
        return found

    @property
    def _log(self) -> Path:
        return self.work / "server.log"

    def _lines(self, mark: int) -> tuple[list[str], bool]:
        """Return the lines of the log from a position on, and whether these are all."""
        with self._log.open("rb") as file:
            file.seek(mark)
            found = file.read(LOG_LIMIT + 1)
        return found[:LOG_LIMIT].decode(errors="replace").split("\n"), len(found) <= LOG_LIMIT

    async def _prepare(self) -> None:
        """Start the server again with the settings of the report, and give it statistics, as a seed image has them."""
        data = self.work / "pgdata"
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in {**SETTINGS, **_STATEMENTS}.items())
        command = ("-D", str(data), "-l", str(self._log), "-m", "fast", "-w", "-t", "120", "restart")
        if (await self._output(str(self.programs / "pg_ctl"), *command, account=True))[0]:
            raise Failed("PostgreSQL did not restart with the settings that the migration report needs.")
        if (await self._psql("-c", "VACUUM (FREEZE, ANALYZE)"))[0]:  # by app, as it runs expressions of the dump
            raise Failed("VACUUM failed on the restored database.")

    async def _described(self, moment: str, database: str = "app") -> _Described:
        _, output = await self._output("/bin/sh", str(SNAPSHOT), moment, environment={"PGDATABASE": database})
        lines = output.split("\n")
        return _Described(next((found for line in lines if (found := snapshot(line))), None), recorded(lines))

    async def _count(self, query: str) -> int | None:
        """Return the result of a query that counts rows; None if there is none, or it fails."""
        if not query:
            return None
        code, output = await self._psql("-c", query, PGOPTIONS=_READ_ONLY)
        return int(output) if not code and output.strip().isdecimal() else None

    async def _sql(self, database: str, statement: str) -> None:
        """Run a statement as the superuser."""
        safe = {"PGUSER": "postgres", "PGDATABASE": database, "PGOPTIONS": "-c search_path=pg_catalog"}
        if (await self._psql("-c", statement, **safe))[0]:
            raise Failed(f"PostgreSQL refused `{statement}`.")

    async def _psql(self, *given: str, **environment: str) -> tuple[int, str]:
        flags = ("-X", "-q", "-A", "-t", "-w", *given)
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
        try:
            output, _ = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        return await child.wait(), (output or b"").decode(errors="replace")
