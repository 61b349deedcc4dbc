"""The PostgreSQL server of one state folder. We find it after a restart, and start it on demand on its last port."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from greenroom.errors import Failed
from greenroom.local import postgres_note, postgres_server
from greenroom.local.account import Account
from greenroom.local.ports import free_port, is_free
from greenroom.local.postgres_data import DataFolder
from greenroom.local.postgres_server import Refused, Server
from greenroom.local.programs import programs
from greenroom.logs import hide


class Postmaster:
    """The manager of the one server. Call `server` each time, because it restarts a server that died."""

    def __init__(self, state: Path, run_as: Account) -> None:
        self._note = state / "postgres.json"
        self._log = state / "postgres.log"
        self._data = DataFolder(run_as)
        self._account = run_as
        self._server: Server | None = None
        self._coming: asyncio.Task[Server] | None = None

    async def server(self) -> Server:
        """Return the server; start it unless it runs. Raise `Failed` with what to install or where to look.

        All callers wait for the same start. A caller that gives up does not stop it.
        """
        if self._server is None or not self._server.alive:
            if self._coming is None or self._coming.done():
                self._coming = asyncio.create_task(self._find_or_start(), name="postgres")
                self._coming.add_done_callback(_heard)
            self._server = await asyncio.shield(self._coming)
        return self._server

    def found(self) -> Server | None:
        """Return the server of an earlier run, if it still runs."""
        return self._data.server(postgres_note.read(self._note)[0])

    def has_data(self) -> bool:
        """Return whether databases may exist, even if no server runs on them now."""
        return self._data.exists()

    def version(self) -> str:
        """Return the version that created the data, such as `PostgreSQL 15`; empty if there is no data yet."""
        return self._data.version()

    async def leave(self) -> None:
        """Stop waiting for a server that is being started. A running server keeps running."""
        if self._coming:
            self._coming.cancel()
            await asyncio.wait((self._coming,))

    async def stop(self) -> None:
        """Stop the server, if it runs or is being started."""
        await self.leave()
        for server in (self.found(), self._server):
            if server:
                await postgres_server.stop(server)
        self._server = None

    async def _find_or_start(self) -> Server:
        """Find the server or start it. It may still be starting, if an earlier run was killed right after a start."""
        try:
            server = self.found()
            return await (self._adopt(server) if server else self._started())
        except Refused:
            return await self._with_another_password()
        except Failed:
            await asyncio.sleep(1)  # a server that had not yet written its file made ours fail
            if server := self.found():
                return await self._adopt(server)
            raise

    async def _adopt(self, server: Server) -> Server:
        """Take over a server of an earlier run, and end the sessions of that run."""
        await postgres_server.answers(server, self._log)
        await postgres_server.end_sessions(server)
        return server

    async def _with_another_password(self) -> Server:
        """Start the server with a new password: our file with the old one was lost or damaged, the data was not."""
        port = postgres_note.read(self._note)[1]
        if server := self.found():
            port = server.port
            await postgres_server.stop(server)
        postgres_note.write(self._note, "", port)
        return await self._started()

    async def _started(self) -> Server:
        """Start the server, on the port that services already know unless that port is in use."""
        found = await asyncio.to_thread(programs, self._account)
        known, port = postgres_note.read(self._note)
        password, port = known or secrets.token_hex(16), port if is_free(port) else free_port()
        hide(password)
        if not self._data.exists():
            postgres_note.write(self._note, password, port)
            await self._data.create(found, password)
        elif not known:
            await self._data.set_password(found, password)
        postgres_note.write(self._note, password, port)
        self._server = self._data.start(found, port, password, self._log)
        return await postgres_server.answers(self._server, self._log)


def _heard(task: asyncio.Task[Server]) -> None:
    """Retrieve the error of a start, so that asyncio does not report it. Callers that still wait receive it."""
    if not task.cancelled():
        task.exception()
