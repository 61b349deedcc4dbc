"""Start, find and end processes. One is known by pid and start time, so that a reused pid is never ours."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from greenroom.errors import Failed
from greenroom.local import files, machine
from greenroom.local.account import Account

GRACE_SECONDS = 3.0
BRIEF_SECONDS = 1.0  # for what nobody uses yet
MARK = "GREENROOM_PREVIEW"


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: arguments, folder, environment, and the file for its output."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path


_children: dict[int, subprocess.Popen[bytes]] = {}


def reap() -> None:
    """Let go of children that ended while nobody looked, so that none stays a zombie."""
    for pid in tuple(_children):
        started(pid)


def start(command: Command, run_as: Account) -> tuple[int, str]:
    """Start a process in a session of its own; returns pid and start time.

    Raises `Failed` with one sentence; `Trouble` when this machine is the cause.
    """
    reap()
    with machine.errors_as_trouble():
        output = open(command.log, "ab", opener=_private)  # noqa: SIM115 -- an error here is not the command's
    try:
        with output:
            child = subprocess.Popen(
                list(command.arguments),
                cwd=command.folder,
                env=dict(command.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o022,
                **run_as.identity(),
            )
    except OSError as error:
        if machine.blames_machine(error):
            raise machine.trouble(error) from None
        raise Failed(f"`{' '.join(command.arguments)}` could not be started: {error.strerror}.") from None
    _children[child.pid] = child
    return child.pid, started(child.pid) or ""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def started(pid: int) -> str | None:
    """The start time of a live process, in the system's own form; None when it does not run (or only as a zombie).

    Raises `OSError` when it cannot be read: with too many open files, a live process must not count as dead.
    """
    if (child := _children.get(pid)) and child.poll() is not None:
        del _children[pid]
        return None
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return _started_by_ps(pid)
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def _started_by_ps(pid: int) -> str | None:
    """Where there is no /proc."""
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def command(pid: int) -> str:
    """The command line of a process, empty when it cannot be read."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        done = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return done.stdout.strip()


def alive(pid: int, start_time: str) -> bool:
    """Whether that very process runs."""
    return bool(start_time) and started(pid) == start_time


async def end(pid: int, start_time: str, grace: float = GRACE_SECONDS) -> None:
    """End that very process and its session: TERM, and KILL after the grace."""
    if not alive(pid, start_time):
        return
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        deadline = asyncio.get_running_loop().time() + seconds if seconds else math.inf
        while asyncio.get_running_loop().time() < deadline:
            if not alive(pid, start_time):
                return
            await asyncio.sleep(0.02)


def marked(mark: str, older: str = "", folder: Path | None = None) -> list[int]:
    """Processes whose environment carries our mark of one preview; needs /proc.

    Raises `OSError` when the search fails: a process that was not seen may still run.

    `older` is a mark that others may have written too: it counts only on what has its HOME below `folder`.
    """
    return [pid for pid, found in _environments() if _ours(found, mark, older, folder) and started(pid)]


def _environments() -> Iterator[tuple[int, frozenset[bytes]]]:
    if not Path("/proc/self").exists():
        return
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if folder.name.isdigit():
                yield int(folder.name), frozenset((folder / "environ").read_bytes().split(b"\0"))


def _ours(environment: frozenset[bytes], mark: str, older: str, folder: Path | None) -> bool:
    if f"{MARK}={mark}".encode() in environment:
        return True
    if not older or folder is None or f"{MARK}={older}".encode() not in environment:
        return False
    homes = [Path(os.fsdecode(v.removeprefix(b"HOME="))).resolve() for v in environment if v.startswith(b"HOME=")]
    return any(home.is_relative_to(folder.resolve()) for home in homes)


async def run(command: Command, run_as: Account, seconds: float | None) -> int | None:
    """Run to the end; the exit code, or None when it took longer than it may. Ended in time, or with us."""
    pid, start_time = start(command, run_as)
    child = _children[pid]
    deadline = asyncio.get_running_loop().time() + seconds if seconds else math.inf
    try:
        while child.poll() is None:
            if asyncio.get_running_loop().time() > deadline:
                return None
            await asyncio.sleep(0.02)
    finally:
        await end(pid, start_time, BRIEF_SECONDS)
    _children.pop(pid, None)
    return child.returncode


async def finish(child: asyncio.subprocess.Process, given: bytes | None = None) -> tuple[bytes, bytes]:
    """Wait for a tool that leads a session of its own; what it said on stdout and stderr. Ended if we are cancelled."""
    try:
        return await child.communicate(given)
    finally:
        if child.returncode is None:
            await _ended(child)


async def _ended(child: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BRIEF_SECONDS):
                await child.wait()
                return


def tail(log: Path, lines: int = 15) -> tuple[str, ...]:
    """The last lines of a log; empty when there is none."""
    try:
        with files.regular(log) as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16_384))
            return tuple(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ()
