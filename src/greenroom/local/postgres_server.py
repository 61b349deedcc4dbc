"""A running PostgreSQL server: its address, its first answer, and its end."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from greenroom.clock import wait_until
from greenroom.errors import Failed
from greenroom.local import processes
from greenroom.local.machine import Trouble

OURS = "greenroom"
"""The `application_name` of the superuser's sessions."""
START_SECONDS = 30.0
SESSIONS_SECONDS = 20.0
STOP_SECONDS = 5.0


class Refused(Failed):
    """The server does not accept the password that we recorded."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and the superuser's password, which is empty if it is no longer known."""

    port: int
    password: str = field(repr=False)
    pid: int
    started: str
    programs: Path

    def url(self, database: str, role: str = "postgres", password: str = "") -> str:
        """Return a connection URL, which includes the password."""
        return f"postgresql://{role}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def parts(self, database: str, role: str, password: str) -> dict[str, str]:
        """Return the parts of a database's address that a service may get, by name."""
        return {
            "url": self.url(database, role, password),
            "host": "127.0.0.1",
            "port": str(self.port),
            "user": role,
            "password": password,
            "database": database,
        }

    @property
    def alive(self) -> bool:
        """Return whether its process runs."""
        return processes.alive(self.pid, self.started)


async def answers(server: Server, log: Path) -> Server:
    """Wait until a server accepts connections, and return it.

    Raise `Refused`, or `Trouble` with the last lines of its log.
    """

    async def accepts() -> bool:
        if not server.alive:
            raise _not_started(log)
        return await _accepts(server)

    if not await wait_until(accepts, START_SECONDS, every=0.05):
        raise _not_started(log)
    return server


async def end_sessions(server: Server) -> None:
    """End the superuser's sessions of a run that was killed, and wait until they are gone.

    Each session lives until its statement ends: its `CREATE DATABASE` would conflict with ours. The lock on the state
    folder guarantees that no other run is alive.
    """
    import psycopg

    others = "FROM pg_stat_activity WHERE application_name = %s AND usename = 'postgres' AND pid <> pg_backend_pid()"
    async with await psycopg.AsyncConnection.connect(server.url("postgres"), autocommit=True) as connection:
        await connection.execute(f"SELECT pg_terminate_backend(pid) {others}", (OURS,))

        async def are_gone() -> bool:
            return await (await connection.execute(f"SELECT 1 {others}", (OURS,))).fetchone() is None

        if not await wait_until(are_gone, SESSIONS_SECONDS):
            raise Trouble("PostgreSQL still has open sessions from an earlier Greenroom process. Restart Greenroom.")


async def stop(server: Server) -> None:
    """Stop a server and its sessions with a fast shutdown, or with TERM and KILL when that takes too long.

    https://www.postgresql.org/docs/current/server-shutdown.html
    """
    if server.alive:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(server.pid, signal.SIGINT)
    await processes.ended(server.pid, server.started, STOP_SECONDS)
    await processes.end(server.pid, server.started)


async def _accepts(server: Server) -> bool:
    import psycopg

    if not server.password:
        raise Refused("PostgreSQL's password is unknown.")
    try:
        async with await psycopg.AsyncConnection.connect(server.url("postgres"), connect_timeout=2):
            return True
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise Refused("PostgreSQL does not accept the saved password.") from None
        return False


def _not_started(log: Path) -> Trouble:
    return Trouble("PostgreSQL did not start.", log=processes.tail(log))
