"""Functions that start, find and end processes. Pid and start time identify a process, because pids are reused."""

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

from greenroom.clock import wait_until
from greenroom.core.comment.log_excerpt import excerpt
from greenroom.errors import Failed
from greenroom.local import files, machine
from greenroom.local.account import Account

GRACE_SECONDS = 3.0
BRIEF_SECONDS = 1.0  # for processes that nobody uses yet
MARK = "GREENROOM_PREVIEW"
BEGINS = b"--- Greenroom starts this process ---\n"


class NotStarted(Failed):
    """A program that does not exist, or that may not be run. `fix` says what to do, once it is known what needs it."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Command:
    """A command to run: arguments, folder, environment, and the file for its output."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path


_children: dict[int, subprocess.Popen[bytes]] = {}


def reap() -> None:
    """Reap children that have ended, so that none stays a zombie."""
    for pid in tuple(_children):
        started(pid)


def start(command: Command, run_as: Account) -> tuple[int, str]:
    """Start a process in its own session. Return its pid and start time.

    Raise `Failed` with one sentence; `Trouble` when this machine is the cause.
    """
    reap()
    with machine.errors_as_trouble():
        output = open(command.log, "ab", opener=_private)  # noqa: SIM115 -- an error here is not the command's
    try:
        with output:
            with contextlib.suppress(OSError):  # a full disk must not keep a process from starting again
                os.write(output.fileno(), BEGINS)
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
        who = (
            " as user nobody, which runs previews when Greenroom runs as root"
            if isinstance(error, PermissionError) and run_as.user
            else ""
        )
        why = f"`{' '.join(command.arguments)}` could not be started{who}: {error.strerror}."
        raise NotStarted(why) from None
    _children[child.pid] = child
    return child.pid, started(child.pid) or ""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def started(pid: int) -> str | None:
    """Return the start time of a live process, in the system's own form; None when it does not run or is a zombie.

    Raise `OSError` when it cannot be read: with too many open files, a live process must not count as dead.
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
    """Return the start time from ps, on systems without /proc."""
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def command(pid: int) -> str:
    """Return the command line of a process; empty when it cannot be read."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        done = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return done.stdout.strip()


def alive(pid: int, start_time: str) -> bool:
    """Return whether the process with this pid and start time runs."""
    return bool(start_time) and started(pid) == start_time


async def end(pid: int, start_time: str, grace: float = GRACE_SECONDS) -> None:
    """End the process with this pid and start time, and its session: TERM, then KILL after the grace period."""
    if not alive(pid, start_time):
        return
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        if await ended(pid, start_time, seconds):
            return


async def ended(pid: int, start_time: str, seconds: float) -> bool:
    """Wait until a process ends. Return whether it ended within these seconds."""

    async def is_gone() -> bool:
        return not alive(pid, start_time)

    return await wait_until(is_gone, seconds)


def marked(mark: str, older: str = "", folder: Path | None = None) -> list[int]:
    """Return the pids of processes that have the mark of one preview in their environment. This needs /proc.

    Raise `OSError` when the search fails: a process that was not seen may still run.

    `older` is a mark that other instances may use too: it counts only for processes with a HOME below `folder`.
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
    """Run a command. Return its exit code, or None if it took too long. End it then, and when we are canceled."""
    pid, start_time = start(command, run_as)
    child = _children[pid]

    async def has_exited() -> bool:
        return child.poll() is not None

    try:
        if not await wait_until(has_exited, seconds or math.inf):
            return None
    finally:
        await end(pid, start_time, BRIEF_SECONDS)
    _children.pop(pid, None)
    return child.returncode


async def finish(child: asyncio.subprocess.Process, given: bytes | None = None) -> tuple[bytes, bytes]:
    """Wait for a tool that leads its own session. Return its stdout and stderr. End it when we are canceled."""
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
    """Return the last lines of the latest start, with the line that names the cause of its end; empty if none."""
    try:
        with files.regular(log) as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16_384))
            latest = file.read().rpartition(BEGINS)[2]
            return excerpt(latest.decode(errors="replace").splitlines(), lines)
    except OSError:
        return ()
