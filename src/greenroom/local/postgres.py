"""One PostgreSQL server for all previews. Each database is cloned from a seeded template and has its own role."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenroom.errors import Failed
from greenroom.local import processes
from greenroom.local.account import Account, environment
from greenroom.local.machine import Trouble
from greenroom.local.postgres_server import OURS
from greenroom.local.postmaster import Postmaster
from greenroom.logs import hide

SEEDER = "greenroom_seeder"
_CHANGES = 0x67726E72  # the advisory lock; any number would do
# Dumps contain COMMENT ON EXTENSION, which only the owner of an extension may run, and CREATE EXTENSION names no owner.
_OWN_EXTENSIONS = (
    """
INSERT INTO pg_shdepend (dbid, classid, objid, objsubid, refclassid, refobjid, deptype)
  SELECT d.oid, 'pg_extension'::regclass, e.oid, 0, 'pg_authid'::regclass, %(role)s::text::regrole, 'o'
  FROM pg_extension e, pg_database d
  WHERE e.extname <> 'plpgsql' AND e.extowner <> %(role)s::text::regrole AND d.datname = current_database()
""",
    "UPDATE pg_extension SET extowner = %(role)s::text::regrole WHERE extname <> 'plpgsql'",
)
_VALUE = re.compile(r': "[^"]*"$')


@dataclass(frozen=True, slots=True)
class Dump:
    """A decompressed dump: a file of SQL, or an archive of pg_dump, which may be a folder."""

    path: Path
    archive: bool
    extensions: tuple[str, ...] = ()


class Postgres:
    """The databases of one state folder, on the server that `postmaster` manages."""

    def __init__(self, state: Path, run_as: Account) -> None:
        self.postmaster = Postmaster(state, run_as)
        self._account = run_as
        self._templates = asyncio.Lock()

    @asynccontextmanager
    async def _connection(self, database: str = "postgres") -> AsyncIterator[Any]:
        """Open a superuser session. Raise `Trouble` when the server fails: no statement comes from the commit."""
        import psycopg

        server = await self.postmaster.server()
        try:
            async with await psycopg.AsyncConnection.connect(
                server.url(database), autocommit=True, application_name=OURS
            ) as connection:
                yield connection
        except psycopg.OperationalError as error:
            why = (str(error).strip().splitlines() or ["it gave no reason"])[0]
            raise Trouble(f"PostgreSQL is not responding: {why.rstrip('.')}.") from None

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[Any]:
        """Open a session that changes databases or roles. Wait for one that is doing so already.

        The server may go on with a statement whose task was cancelled, beside the next attempt. Two sessions that drop
        or create the same name fail with "tuple concurrently deleted" or a duplicate key.
        """
        async with self._connection() as connection:
            await connection.execute("SELECT pg_advisory_lock(%s)", (_CHANGES,))
            yield connection

    async def template(self, name: str, seed: Dump) -> None:
        """Create the template database of a seed atomically. Raise `Failed` with what is wrong."""
        async with self._templates:
            if await self.exists(name):
                return
            draft = f"{name}_draft"
            async with self._change() as connection:
                await connection.execute(f'DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)')
                await connection.execute(f'CREATE DATABASE "{draft}"')
            password = secrets.token_hex(16)
            await self._role(SEEDER, password)
            async with self._connection(draft) as connection:
                await connection.execute(f"GRANT ALL ON SCHEMA public TO {SEEDER}")
                await connection.execute(f'GRANT ALL ON DATABASE "{draft}" TO {SEEDER}')
                await _extend(connection, seed.extensions)
            await self._restore(draft, seed, password)
            async with self._change() as connection:
                await connection.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')

    async def _restore(self, database: str, seed: Dump, password: str) -> None:
        """Restore a dump, as a role that may do nothing else. Stop at the first error."""
        server = await self.postmaster.server()
        url = f"postgresql://{SEEDER}@127.0.0.1:{server.port}/{database}"
        if seed.archive:
            tool, options = "pg_restore", ["--exit-on-error", "--no-owner", "--no-privileges", "-d", url]
        else:
            tool, options = "psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"]
        folder = seed.path.is_dir()
        # A file is opened here and not by the program, so that it is never in the memory of either.
        with contextlib.nullcontext(asyncio.subprocess.DEVNULL) if folder else seed.path.open("rb") as given:
            child = await asyncio.create_subprocess_exec(
                *(str(server.programs / tool), *options, *([str(seed.path)] if folder else [])),
                stdin=given,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=environment(self._account, {"PGPASSWORD": password}, self._account.home),
                cwd=self._account.home,
                start_new_session=True,
                **self._account.identity(),
            )
            _, wrong = await processes.finish(child)
        if child.returncode:
            raise _not_restored(tool, wrong.decode(errors="replace"))

    async def clone(self, database: str, template: str, password: str) -> None:
        """Create a database for a preview. Its owner is a role of the same name that owns nothing else."""
        await self._role(database, password)
        async with self._templates, self._change() as connection:
            await connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" OWNER "{database}"')
            await connection.execute(f'REVOKE CONNECT ON DATABASE "{database}" FROM PUBLIC')
        async with self._connection(database) as connection:
            await connection.execute(f'GRANT ALL ON SCHEMA public TO "{database}"')
            if await self._has_role(SEEDER):
                await connection.execute(f'REASSIGN OWNED BY {SEEDER} TO "{database}"')

    async def drop(self, database: str) -> None:
        """Drop a preview's database and role. Neither has to exist."""
        async with self._change() as connection:
            await connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
            await connection.execute(f'DROP ROLE IF EXISTS "{database}"')

    async def exists(self, database: str) -> bool:
        """Return whether a database exists."""
        async with self._connection() as connection:
            found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            return await found.fetchone() is not None

    async def named(self, prefix: str) -> list[str]:
        """Return the databases and roles whose names begin with a prefix."""
        query = "SELECT datname FROM pg_database WHERE starts_with(datname::text, %s)"
        query += " UNION SELECT rolname FROM pg_roles WHERE starts_with(rolname::text, %s)"
        async with self._connection() as connection:
            found = await connection.execute(query, (prefix, prefix))
            return [str(spec[0]) for spec in await found.fetchall()]

    async def _has_role(self, role: str) -> bool:
        async with self._connection() as connection:
            found = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
            return await found.fetchone() is not None

    async def _role(self, role: str, password: str) -> None:
        hide(password)  # the server logs a failed statement in full
        async with self._change() as connection:
            verb = "ALTER" if await self._has_role(role) else "CREATE"
            await connection.execute(f"{verb} ROLE \"{role}\" LOGIN NOSUPERUSER NOCREATEDB PASSWORD '{password}'")


async def _extend(connection: Any, extensions: tuple[str, ...]) -> None:
    """Create the extensions that a seed needs, as the superuser. Raise `Failed` if this machine lacks one."""
    for name in extensions:
        known = await connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = %s", (name,))
        if await known.fetchone() is None:
            raise Failed(f"The seed needs the extension {name}, which PostgreSQL on this machine does not have.")
        await connection.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}" WITH SCHEMA public CASCADE')
    for statement in _OWN_EXTENSIONS if extensions else ():
        await connection.execute(statement, {"role": SEEDER})


def _not_restored(tool: str, wrong: str) -> Failed:
    """Return the error for the output of a program. That of pg_restore may contain rows, so only its cause is shown."""
    lines = wrong.strip().splitlines() or [f"{tool} gave no reason"]
    if tool == "psql":
        sentence = lines[0].removeprefix("psql:<stdin>:")
        return Failed(f"The seed could not be restored: line {sentence}", log=tuple(lines[:5]))
    cause = _VALUE.sub("", lines[0].removeprefix("pg_restore: error: "))
    return Failed(f"The seed could not be restored: {cause}")
