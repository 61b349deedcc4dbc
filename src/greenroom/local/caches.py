"""Redis (6.2 or newer) or Valkey of this machine, one process for each need; both speak the same protocol.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

from greenroom.core.catalogue import Need, Storage
from greenroom.errors import Failed
from greenroom.local import processes
from greenroom.local.account import Account, environment
from greenroom.local.machine import Lacks
from greenroom.local.processes import Command
from greenroom.local.state import Process

SERVERS = {"redis": ("redis-server", "valkey-server"), "valkey": ("valkey-server", "redis-server")}
ANSWER_SECONDS = 10.0


def server(kind: str) -> str:
    """The program that offers this kind. Raises `Lacks` where there is none."""
    for name in SERVERS[kind]:
        if found := shutil.which(name):
            return found
    names = " nor ".join(SERVERS[kind])
    raise Lacks(f"There is neither {names} on PATH. Install one: apt-get install redis-server.")


def start(need: Need, name: str, password: str, port: int, mark: str, where: tuple[Account, Path, Path]) -> Process:
    """Start one on that port, its settings beside the folder of its data. `where`: account, that folder, the log."""
    run_as, folder, log = where
    program = server(need.kind)
    keeps = "yes" if need.storage is Storage.PERSISTENT else "no"
    settings = run_as.own(_private(folder.with_suffix(".conf")))
    lines = (
        "bind 127.0.0.1",
        f"port {port}",
        f'dir "{folder}"',
        'save ""',
        f"appendonly {keeps}",
        f"requirepass {password}",
        "set-proc-title no",  # its title would be written over the environment, which holds our mark
    )
    settings.write_text("\n".join(lines) + "\n")
    given = environment(run_as, {processes.MARK: mark}, folder)
    pid, started = processes.start(Command([program, str(settings)], folder, given, log), run_as)
    return Process("", name, pid, started, port, str(log))


async def answers(found: Process, password: str) -> None:
    """Wait until it answers PING with PONG. Raises `Failed` when it does not in time."""
    deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
    while not await _pong(found.port, password):
        ended = not processes.alive(found.pid, found.started)
        if ended or asyncio.get_running_loop().time() > deadline:
            why = "ended while it started" if ended else f"does not answer PING after {ANSWER_SECONDS:.0f} s"
            raise Failed(f"The cache {found.name} {why}.", log=processes.tail(Path(found.log)))
        await asyncio.sleep(0.02)


def parts(port: int, password: str) -> dict[str, str]:
    """What a service may be given of its address, by the part's name."""
    url = f"redis://default:{password}@127.0.0.1:{port}/0"
    known = {"host": "127.0.0.1", "port": str(port), "user": "default", "password": password, "database": "0"}
    return {"url": url, **known}


async def _pong(port: int, password: str) -> bool:
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


def _private(path: Path) -> Path:
    path.touch(mode=0o600)
    path.chmod(0o600)
    return path
