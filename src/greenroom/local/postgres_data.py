"""The data folder of PostgreSQL: its creation, its superuser's password, and the server that runs on it.

Durability is off, because its data belongs to previews.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from greenroom.local import files, processes
from greenroom.local.account import Account, environment
from greenroom.local.machine import Trouble
from greenroom.local.postgres_server import Server
from greenroom.local.state import write_whole

SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
}


class DataFolder:
    """The data folder of one account's server."""

    def __init__(self, run_as: Account) -> None:
        self._path = run_as.home / "postgres"
        self._account = run_as

    def exists(self) -> bool:
        """Return whether databases may exist, even if no server runs on them now."""
        return (self._path / "PG_VERSION").exists()

    def version(self) -> str:
        """Return the version that created the data, such as `PostgreSQL 15`; empty if there is no data yet."""
        try:
            with files.regular(self._path / "PG_VERSION") as note:
                return f"PostgreSQL {note.read().decode().strip()}"
        except (OSError, UnicodeDecodeError):
            return ""

    def server(self, password: str) -> Server | None:
        """Return the server that runs on this folder, with the password that we recorded; None if none runs.

        PostgreSQL's own file has its pid and port. In a copied state folder, that file names the server of the
        original, so only one that runs on our data counts.

        https://www.postgresql.org/docs/current/storage-file-layout.html (postmaster.pid)
        """
        try:
            with files.regular(self._path / "postmaster.pid") as note:
                lines = note.read().decode().splitlines()
            pid, port = int(lines[0]), int(lines[3])
        except (OSError, ValueError, IndexError):
            return None
        started = processes.started(pid)
        program, _, arguments = processes.command(pid).partition(" -D ")
        folder, listens, _ = arguments.partition(f" -p {port} ")
        if not started or Path(program).name != "postgres" or not listens or not _same(Path(folder), self._path):
            return None
        return Server(port, password, pid, started, Path(program).parent)

    def start(self, programs: Path, port: int, password: str, log: Path) -> Server:
        """Start a server on this folder, which has this password. It may not answer yet."""
        arguments = [str(programs / "postgres"), "-D", str(self._path), "-p", str(port), *_settings()]
        given = environment(self._account, {}, self._account.home)
        command = processes.Command(arguments, self._account.home, given, log)
        pid, started = processes.start(command, self._account)
        return Server(port, password, pid, started, programs)

    async def create(self, programs: Path, password: str) -> None:
        """Create the folder atomically.

        Each try has its own draft: the initdb of a run that was killed may still be writing to another one.
        """
        draft = self._path.with_name(f"postgres.draft-{secrets.token_hex(16)}")
        word = draft.with_suffix(".password")
        try:
            draft.mkdir(mode=0o700)
            self._account.own(draft)
            write_whole(word, password)
            self._account.own(word)
            arguments = ["-D", str(draft), "-U", "postgres", "-A", "scram-sha-256", "--no-sync"]
            arguments += [f"--pwfile={word}", "--encoding=UTF8", "--locale=C"]
            await self._run("PostgreSQL could not be set up", [str(programs / "initdb"), *arguments])
            draft.rename(self._path)
        finally:
            word.unlink(missing_ok=True)
            shutil.rmtree(draft, ignore_errors=True)

    async def set_password(self, programs: Path, password: str) -> None:
        """Set the superuser's password while no server runs.

        https://www.postgresql.org/docs/current/app-postgres.html (single-user mode)
        """
        arguments = [str(programs / "postgres"), "--single", "-D", str(self._path), *_settings(), "postgres"]
        statement = f"ALTER ROLE postgres PASSWORD '{password}'\n"
        await self._run("PostgreSQL's password could not be changed", arguments, statement)

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


def _same(one: Path, other: Path) -> bool:
    """Return whether two paths are the same existing folder."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _settings() -> list[str]:
    return [x for key, value in SETTINGS.items() for x in ("-c", f"{key}={value}")]
