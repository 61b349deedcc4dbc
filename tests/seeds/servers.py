"""A PostgreSQL server on a data directory, for as long as a test looks at it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seeds.conftest import account


@dataclass(frozen=True)
class Running:
    programs: Path
    socket: Path
    data: Path

    def sql(self, statement: str, role: str = "app") -> str:
        return self.run("psql", "-X", "-A", "-t", "-U", role, "-d", "app", "-c", statement).decode().strip()

    def run(self, program: str, *arguments: str) -> bytes:
        done = subprocess.run(
            [self.programs / program, "-h", self.socket, *arguments],
            capture_output=True,
            **account(),  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout  # type: ignore[no-any-return]


@contextmanager
def running(data: Path, programs: Path, stop: str = "fast") -> Iterator[Running]:
    """Run a server on a copy-free data directory, and stop it in this mode."""
    control = [programs / "pg_ctl", "-D", data, "-w", "-l", data.parent / "log"]
    socket = data.parent
    subprocess.run(
        [*control, "-o", f"-c unix_socket_directories={socket} -c listen_addresses=", "start"],
        check=True,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        **account(),  # type: ignore[call-overload]
    )
    try:
        yield Running(programs, socket, data)
    finally:
        subprocess.run([*control, "-m", stop, "stop"], stdout=subprocess.DEVNULL, **account())  # type: ignore[call-overload]


def owned_copy(source: Path, target: Path) -> Path:
    """Copy a data directory for the account that runs servers."""
    shutil.copytree(source, target)
    give(target.parent)
    return target


def give(folder: Path) -> None:
    if account():
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")
