"""Caches: one process of this machine's Redis (6.2 or newer) or Valkey for each need. Both use the same protocol.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

from greenroom.clock import wait_until
from greenroom.core.model.catalog import Need, Storage
from greenroom.core.model.kinds import KINDS
from greenroom.errors import Failed
from greenroom.local import processes, versions
from greenroom.local.account import Account, environment
from greenroom.local.machine import MissingDependency
from greenroom.local.processes import Command
from greenroom.local.state import Process

ANSWER_SECONDS = 10.0


def server(kind: str) -> str:
    """Return the program that provides a kind. Raise `MissingDependency` when there is none."""
    for name in KINDS[kind].programs:
        if found := shutil.which(name):
            return found
    names = " nor ".join(KINDS[kind].programs)
    raise MissingDependency(f"Neither {names} is on PATH. Install one: apt-get install redis-server.")


def start(need: Need, name: str, password: str, port: int, mark: str, where: tuple[Account, Path, Path]) -> Process:
    """Start a cache on a port. `where` is its account, data folder and log. Its settings are beside the data folder."""
    run_as, folder, log = where
    program = server(need.kind)
    version = versions.of(program)  # before the process starts, so that a failure leaves none unrecorded
    keeps = "yes" if need.storage is Storage.PERSISTENT else "no"
    settings = run_as.own(private(folder.with_suffix(".conf")))
    lines = (
        "bind 127.0.0.1",
        f"port {port}",
        f'dir "{folder}"',
        'save ""',
        f"appendonly {keeps}",
        f"requirepass {password}",
        "set-proc-title no",  # its title would overwrite the environment, which holds our mark
    )
    settings.write_text("\n".join(lines) + "\n")
    given = environment(run_as, {processes.MARK: mark}, folder)
    pid, started = processes.start(Command([program, str(settings)], folder, given, log), run_as)
    return Process("", name, pid, started, port, str(log), version=version)


async def answers(found: Process, password: str) -> None:
    """Wait until a cache answers PING with PONG. Raise `Failed` when it ends or takes too long."""

    async def ponged() -> bool:
        if await pong(found.port, password):
            return True
        if not processes.alive(found.pid, found.started):
            raise _failed(found, "exited during startup")
        return False

    if not await wait_until(ponged, ANSWER_SECONDS):
        raise _failed(found, f"did not answer PING within {ANSWER_SECONDS:.0f} s")


def _failed(cache: Process, why: str) -> Failed:
    return Failed(f"The cache {cache.name} {why}.", log=processes.tail(Path(cache.log)))


def parts(port: int, password: str) -> dict[str, str]:
    """Return the parts of a cache's address that a service may get, by name."""
    url = f"redis://default:{password}@127.0.0.1:{port}/0"
    known = {"host": "127.0.0.1", "port": str(port), "user": "default", "password": password, "database": "0"}
    return {"url": url, **known}


async def pong(port: int, password: str) -> bool:
    """Return whether a server on this port answers a PING with this password."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        async with asyncio.timeout(1):
            writer.write(f"AUTH {password}\r\nPING\r\n".encode())
            await writer.drain()
            return (await reader.readline(), await reader.readline()) == (b"+OK\r\n", b"+PONG\r\n")
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def private(path: Path) -> Path:
    """Create a file that only its owner can read, or close one that exists. Return its path."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    return path
