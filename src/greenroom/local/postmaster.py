"""PostgreSQL's server of one state folder: found again after a restart, started when it is needed, on the port it had.

Data here is a preview's: durability is off.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from greenroom.errors import Failed
from greenroom.local import files, processes
from greenroom.local.account import Account, environment
from greenroom.local.machine import Trouble
from greenroom.local.programs import programs
from greenroom.local.state import write_whole
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
OURS = "greenroom"
"""The `application_name` of the superuser's sessions."""
SESSIONS_SECONDS = 20.0
STOP_SECONDS = 5.0


class Refused(Failed):
    """The server does not take the password that we noted."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and the superuser's password, empty where it is not known any more."""

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


class Postmaster:
    """The one server. `server` is asked each time: one that died is started again."""

    def __init__(self, state: Path, run_as: Account) -> None:
        self._note = state / "postgres.json"
        self._log = state / "postgres.log"
        self._data = run_as.home / "postgres"
        self._account = run_as
        self._server: Server | None = None
        self._coming: asyncio.Task[Server] | None = None

    async def server(self) -> Server:
        """The running server; starts it. Raises `Failed` with what to install or where to look.

        All wait for the same start, and none who gives up stops it.
        """
        if self._server is None or not processes.alive(self._server.pid, self._server.started):
            if self._coming is None or self._coming.done():
                self._coming = asyncio.create_task(self._find_or_start(), name="postgres")
                self._coming.add_done_callback(_heard)
            self._server = await asyncio.shield(self._coming)
        return self._server

    def found(self) -> Server | None:
        """The server that an earlier run started, if it still runs: by PostgreSQL's own note of pid and port.

        https://www.postgresql.org/docs/current/storage-file-layout.html (postmaster.pid)
        """
        try:
            with files.regular(self._data / "postmaster.pid") as note:
                lines = note.read().decode().splitlines()
            pid, port = int(lines[0]), int(lines[3])
        except (OSError, ValueError, IndexError):
            return None
        started = processes.started(pid)
        program, _, arguments = processes.command(pid).partition(" -D ")
        if not started or Path(program).name != "postgres" or f" -p {port} " not in arguments:
            return None
        return Server(port, self._noted()[0], pid, started, Path(program).parent)

    def has_data(self) -> bool:
        """Whether there may be databases, whether or not a server runs on them now."""
        return (self._data / "PG_VERSION").exists()

    async def leave(self) -> None:
        """Wait no more for a server that is being started; one that runs goes on."""
        if self._coming:
            self._coming.cancel()
            await asyncio.wait((self._coming,))

    async def stop(self) -> None:
        """Stop the server, if it runs or is being started."""
        await self.leave()
        for server in (self.found(), self._server):
            if server:
                await _stop(server)
        self._server = None

    # --- starting ---

    async def _find_or_start(self) -> Server:
        """Find it, wherever in its own start it is: an earlier run may have been killed right after starting it."""
        try:
            server = self.found()
            return await (self._adopt(server) if server else self._started())
        except Refused:
            return await self._with_another_password()
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
                    raise Trouble(
                        "PostgreSQL is still busy with what a run that was killed had asked. Start Greenroom again."
                    )
                await asyncio.sleep(0.02)
        return server

    async def _with_another_password(self) -> Server:
        """Start it with a password that we know: our note was lost or damaged, the data was not."""
        port = self._noted()[1]
        if server := self.found():
            port = server.port
            await _stop(server)
        self._write("", port)
        return await self._started()

    async def _started(self) -> Server:
        """Start it, on the port that services know already if nobody took it meanwhile."""
        found = await asyncio.to_thread(programs, self._account)
        known, port = self._noted()
        password, port = known or secrets.token_hex(16), port if _is_free(port) else free_port()
        hide(password)
        if not self.has_data():
            self._write(password, port)
            await self._init(found, password)
        elif not known:
            await self._set_password(found, password)
        self._write(password, port)
        arguments = [str(found / "postgres"), "-D", str(self._data), "-p", str(port), *_settings()]
        given = environment(self._account, {}, self._account.home)
        command = processes.Command(arguments, self._account.home, given, self._log)
        pid, started = processes.start(command, self._account)
        self._server = Server(port, password, pid, started, found)
        return await self._answers(self._server)

    async def _answers(self, server: Server) -> Server:
        """Wait until it takes connections. Raises `Refused`, or `Failed` with its last lines."""
        import psycopg

        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while asyncio.get_running_loop().time() < deadline and processes.alive(server.pid, server.started):
            if not server.password:
                raise Refused("The password of PostgreSQL is not known.")
            try:
                async with await psycopg.AsyncConnection.connect(server.url("postgres"), connect_timeout=2):
                    return server
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise Refused("PostgreSQL does not take the password that was noted.") from None
                await asyncio.sleep(0.05)
        raise Trouble("PostgreSQL did not start.", log=processes.tail(self._log))

    async def _init(self, found: Path, password: str) -> None:
        """Make the data folder, whole or not at all.

        Each try has a draft of its own: the initdb of a run that was killed may still be writing into another one.
        """
        draft = self._data.with_name(f"postgres.draft-{secrets.token_hex(16)}")
        word = draft.with_suffix(".password")
        try:
            draft.mkdir(mode=0o700)
            self._account.own(draft)
            write_whole(word, password)
            self._account.own(word)
            arguments = ["-D", str(draft), "-U", "postgres", "-A", "scram-sha-256", "--no-sync"]
            arguments += [f"--pwfile={word}", "--encoding=UTF8", "--locale=C"]
            await self._run("PostgreSQL could not be set up", [str(found / "initdb"), *arguments])
            draft.rename(self._data)
        finally:
            word.unlink(missing_ok=True)
            shutil.rmtree(draft, ignore_errors=True)

    async def _set_password(self, found: Path, password: str) -> None:
        """Set the superuser's password while no server runs.

        https://www.postgresql.org/docs/current/app-postgres.html (single-user mode)
        """
        arguments = [str(found / "postgres"), "--single", "-D", str(self._data), *_settings(), "postgres"]
        statement = f"ALTER ROLE postgres PASSWORD '{password}'\n"
        await self._run("PostgreSQL could not be given another password", arguments, statement)

    async def _run(self, failed: str, arguments: Sequence[str], given: str = "") -> None:
        child = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment(self._account, {}, self._account.home),
            cwd=self._account.home,
            start_new_session=True,
            **self._account.identity(),
        )
        _, said = await processes.finish(child, given.encode())
        if child.returncode:
            lines = said.decode(errors="replace").strip().splitlines() or [f"exit code {child.returncode}"]
            wrong = next((line for line in lines if "error" in line), lines[-1])
            raise Trouble(f"{failed}: {wrong.removeprefix('initdb: error: ').rstrip('.')}.", log=tuple(lines))

    # --- our note ---

    def _noted(self) -> tuple[str, int]:
        """Password and port; empty and 0 where the note does not say."""
        try:
            known = json.loads(self._note.read_text())
            password, port = known.get("password", ""), known.get("port", 0)
        except (OSError, ValueError, AttributeError):
            return "", 0
        if not isinstance(password, str) or not isinstance(port, int):
            return "", 0
        hide(password)
        return password, port

    def _write(self, password: str, port: int) -> None:
        write_whole(self._note, json.dumps({"password": password, "port": port}))


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does: old connections do not count
        with contextlib.suppress(OSError, OverflowError):
            probe.bind(("127.0.0.1", port))
            return port > 0
    return False


def _settings() -> list[str]:
    return [x for key, value in SETTINGS.items() for x in ("-c", f"{key}={value}")]


async def _stop(server: Server) -> None:
    """End its sessions and it: a fast shutdown, and KILL for what does not take it.

    https://www.postgresql.org/docs/current/server-shutdown.html
    """
    if processes.alive(server.pid, server.started):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(server.pid, signal.SIGINT)
    deadline = asyncio.get_running_loop().time() + STOP_SECONDS
    while processes.alive(server.pid, server.started) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
    await processes.end(server.pid, server.started)


def _heard(task: asyncio.Task[Server]) -> None:
    """Who waited for it is told; that nobody waits any more is no error."""
    if not task.cancelled():
        task.exception()
