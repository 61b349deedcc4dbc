"""One PostgreSQL server for all previews. Each database is cloned from a seeded template and has its own role."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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

    async def template(self, name: str, seed: str) -> None:
        """Create the template database of a seed atomically. Raise `Failed` with the line that is wrong."""
        async with self._templates:
            if await self.exists(name):
                return
            draft = f"{name}_draft"
            async with self._connection() as connection:
                await connection.execute(f'DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)')
                await connection.execute(f'CREATE DATABASE "{draft}"')
            password = secrets.token_hex(16)
            await self._role(SEEDER, password)
            async with self._connection(draft) as connection:
                await connection.execute(f"GRANT ALL ON SCHEMA public TO {SEEDER}")
                await connection.execute(f'GRANT ALL ON DATABASE "{draft}" TO {SEEDER}')
            await self._restore(draft, seed, password)
            async with self._connection() as connection:
                await connection.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')

    async def _restore(self, database: str, seed: str, password: str) -> None:
        """Run a plain SQL dump with psql, as a role that may do nothing else."""
        server = await self.postmaster.server()
        arguments = [str(server.programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d"]
        arguments += [f"postgresql://{SEEDER}@127.0.0.1:{server.port}/{database}", "-f", "-"]
        child = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment(self._account, {"PGPASSWORD": password}, self._account.home),
            cwd=self._account.home,
            start_new_session=True,
            **self._account.identity(),
        )
        _, wrong = await processes.finish(child, seed.encode())
        if child.returncode:
            lines = wrong.decode(errors="replace").strip().splitlines() or ["psql gave no reason"]
            sentence = lines[0].removeprefix("psql:<stdin>:")
            raise Failed(f"The seed could not be restored: line {sentence}", log=tuple(lines[:5]))

    async def clone(self, database: str, template: str, password: str) -> None:
        """Create a database for a preview. Its owner is a role of the same name that owns nothing else."""
        await self._role(database, password)
        async with self._templates, self._connection() as connection:
            await connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" OWNER "{database}"')
            await connection.execute(f'REVOKE CONNECT ON DATABASE "{database}" FROM PUBLIC')
        async with self._connection(database) as connection:
            await connection.execute(f'GRANT ALL ON SCHEMA public TO "{database}"')
            if await self._has_role(SEEDER):
                await connection.execute(f'REASSIGN OWNED BY {SEEDER} TO "{database}"')

    async def drop(self, database: str) -> None:
        """Drop a preview's database and role. Neither has to exist."""
        async with self._connection() as connection:
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
        verb = "ALTER" if await self._has_role(role) else "CREATE"
        async with self._connection() as connection:
            await connection.execute(f"{verb} ROLE \"{role}\" LOGIN NOSUPERUSER NOCREATEDB PASSWORD '{password}'")
