"""A run of the script that turns a dump into a data directory, with server programs of this machine.

In a cluster, a container of the stock image runs the same script, and its work folder is a volume.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greenroom.errors import Failed
from greenroom.seeds.engines import ENGINES, POSTGRESQL, Engine

Say = Callable[[str, float], None]
"""Called after each phase with its name and its duration in seconds."""
Migration = Callable[[Path], Awaitable[str]]
"""Called with the work folder once the server has the restored data. Returns why the migration failed, or ""."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "amd64": "amd64"}
_POLL_SECONDS = 0.05
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Report:
    """The script's report: the server's version, the machine's architecture, rows per table, and what `ledgers.sql`
    printed.
    """

    server: str
    architecture: str
    rows: Mapping[str, int]
    seconds: Mapping[str, float]
    ledger: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """The arguments of a bake. `kind` is the kind of need that starts from the data."""

    programs: Path
    extensions: tuple[str, ...] = ()
    migration: Migration | None = None
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    wait_seconds: int = 900
    kind: str = "postgresql"

    @property
    def engine(self) -> Engine:
        """Return the engine of the data."""
        return ENGINES[self.kind]


def architecture(machine: str = os.uname().machine) -> str:
    """Return an image's name for a machine's architecture, as `uname -m` prints it."""
    return _ARCHITECTURES.get(machine, machine)


async def bake(work: Path, recipe: Recipe, say: Say) -> Report:
    """Run the script in a work folder that contains the dump. Root runs it as another account.

    Raise `Failed` with the script's error.
    """
    account = identity()
    path = work / "bake.sh"
    install(path, recipe.engine)
    _hand_over(work, account)
    # The script ends when its standard input does, so it does not outlive this process.
    child = await asyncio.create_subprocess_exec(
        *("sh", str(path), "--work", str(work), "--attached", *_arguments(recipe)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(work)},
        cwd=work,
        start_new_session=True,
        **account,
    )
    try:
        await _followed(child, work, recipe, say)
    finally:
        await _end(child)
    return read_report(work)


def install(script: Path, engine: Engine) -> None:
    """Write the script that restores a dump, and the files that it needs beside it."""
    for file in engine.beside:
        script.with_name(file.name).write_bytes(file.read_bytes())
    draft = script.with_name(f"{script.name}.draft")
    draft.write_bytes(engine.script.read_bytes())
    draft.rename(script)


def read_report(work: Path) -> Report:
    """Return the report of a finished bake. Raise `Failed` with the error in it."""
    try:
        found = json.loads((work / "report.json").read_bytes())
    except (OSError, ValueError):
        raise Failed(
            "The database could not be built: the script wrote no valid report. Check that the disk is not full."
        ) from None
    if "error" in found:
        raise Failed(str(found["error"]))
    ledger = json.dumps(found["ledger"])
    return Report(found["server"], architecture(found["machine"]), found["rows"], found["seconds"], ledger)


def _arguments(recipe: Recipe) -> list[str]:
    arguments = ["--programs", str(recipe.programs), "--jobs", str(recipe.jobs), "--wait", str(recipe.wait_seconds)]
    for name in recipe.extensions:
        arguments += ["--extension", name]
    return [*arguments, *(["--migrate"] if recipe.migration else [])]


async def _followed(child: asyncio.subprocess.Process, work: Path, recipe: Recipe, say: Say) -> None:
    async with asyncio.TaskGroup() as tasks:
        lines = tasks.create_task(_lines(child, say))
        errors = tasks.create_task(_errors(child))
        if recipe.migration:
            tasks.create_task(_migrate(child, work, recipe.migration))
    if child.returncode and not lines.result() and not (work / "report.json").exists():
        raise Failed(f"The database could not be built: {errors.result() or 'the script gave no reason'}.")


async def _lines(child: asyncio.subprocess.Process, say: Say) -> bool:
    """Report each phase. Return whether the script reported an error."""
    assert child.stdout
    failed = False
    async for line in child.stdout:
        event = json.loads(line)
        failed = failed or "error" in event
        if "seconds" in event:
            say(event["phase"], event["seconds"])
    await child.wait()
    return failed


async def _errors(child: asyncio.subprocess.Process) -> str:
    """Return the last line that the shell itself wrote; the script's own errors are in its report."""
    assert child.stderr
    last = ""
    async for line in child.stderr:
        last = line.decode(errors="replace").strip() or last
    return last


async def _migrate(child: asyncio.subprocess.Process, work: Path, migration: Migration) -> None:
    """Run the migration once the dump is restored, and tell the script how it ended."""
    while not (work / "ready").exists():
        if child.returncode is not None:
            return
        await asyncio.sleep(_POLL_SECONDS)
    failed = await migration(work)
    answer = work / "done.draft"
    answer.write_text(f"{failed}\n" if failed else "")
    answer.chmod(0o644)
    answer.rename(work / "done")


def shell(command: str, engine: Engine = POSTGRESQL) -> Migration:
    """Return a migration that runs a shell command, as our own account."""

    async def migrate(work: Path) -> str:
        code = await run(command, work, engine=engine)
        return f"The migration command failed with exit code {code}. Its output is above." if code else ""

    return migrate


async def run(command: str, work: Path, database: str = "app", *, engine: Engine = POSTGRESQL) -> int:
    """Run a shell command that connects to a database in the work folder. Its output goes to standard error."""
    child = await asyncio.create_subprocess_shell(
        command,
        env=_environment(engine, work, database),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        start_new_session=True,  # so that what the shell starts ends with it
    )
    try:
        return await child.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


def _environment(engine: Engine, work: Path, database: str) -> dict[str, str]:
    """Return our environment with the database's address.

    A variable such as PGSERVICE or PGHOSTADDR would lead to another server, so no other variable of the client's
    library is passed on.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith(engine.prefixes)}
    return {**ours, **engine.addresses(work, database)}


def identity() -> dict[str, Any]:
    """Return the arguments for a subprocess that does not run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _hand_over(work: Path, account: Mapping[str, Any]) -> None:
    if not account:
        return
    for path in (work, *work.rglob("*")):
        shutil.chown(path, account["user"], account["group"])


async def _end(child: asyncio.subprocess.Process) -> None:
    """End a script that still runs: it then stops its server."""
    if child.returncode is not None:
        return
    os.killpg(child.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await child.wait()
    except TimeoutError:
        os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
