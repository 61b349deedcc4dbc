"""The state folder: one JSON file a preview, one a row set, written whole or not at all. A broken file is doubt.

Row sets hold the ledger of the hour and what people released, so they must survive anything; `fsync` before rename.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from greenroom.core import codec
from greenroom.core.model import Health, Identity, RowSet
from greenroom.core.rows import Row
from greenroom.errors import Doubt, Failed
from greenroom.local import machine

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Process:
    """One process that was started: pid with start time (a pid alone comes round again), port and log.

    `database` is the port of PostgreSQL that it was given; 0 when none, or not known.
    """

    service: str
    name: str
    pid: int
    started: str
    port: int
    log: str
    database: int = 0


@dataclass(frozen=True, slots=True)
class Instance:
    """One version of a preview that runs, or is being started. `key` names what of the row it was made from."""

    key: str
    row: Row
    processes: tuple[Process, ...] = ()
    ready_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one preview. `serving` answers; `starting` is on its way. `failed_key` failed and is not retried
    until the next start: it may not have been its fault.

    `databases` are those that are whole, of this `incarnation`; `secrets` their passwords, which stay. `caches`
    run beside the services, whatever their version. The file is readable by its owner only.
    """

    identity: Identity
    uid: str
    row: Row
    since: datetime
    health: Health = Health.STARTING
    serving: Instance | None = None
    starting: Instance | None = None
    incarnation: int = 0
    databases: tuple[str, ...] = ()
    failed_key: str = ""
    why: str = ""
    fix: str = ""
    log: tuple[str, ...] = ()
    secrets: dict[str, str] = field(default_factory=dict)
    caches: tuple[Process, ...] = ()


class State:
    """The files of one instance. Use `lock` first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("previews", "rows"):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def lock(self) -> int:
        """Take the one writer's place; returns what holds it. Raises `Failed` when another instance has it."""
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise Failed(f"Another Greenroom runs on {self.folder}. Stop it, or set another `state:`.") from None
        return handle

    def rows(self) -> dict[int, RowSet]:
        """Every row set."""
        return {r.repository_id: r for r in self._all("rows", RowSet)}

    def previews(self) -> dict[Identity, Kept]:
        """Every preview."""
        return {k.identity: k for k in self._all("previews", Kept)}

    def write_rows(self, rows: RowSet) -> None:
        """Keep a row set."""
        self._write(self.folder / "rows" / f"{rows.repository_id}.json", rows)

    def write_preview(self, kept: Kept) -> None:
        """Keep a preview."""
        self._write(self._preview(kept.identity), kept)

    def forget_preview(self, identity: Identity) -> None:
        """Forget a preview; the last step of its removal."""
        self._preview(identity).unlink(missing_ok=True)

    def logs(self, identity: Identity, *, make: bool = False) -> Path:
        """The folder of what a preview's processes said; they write there only through what was opened for them."""
        found = self.folder.absolute() / "logs" / f"{identity.repository_id}-{identity.number}"
        if make:
            found.mkdir(parents=True, exist_ok=True, mode=0o700)
        return found

    def empty_logs(self, identity: Identity) -> None:
        """Truncate a preview's logs to free disk space, even while its processes hold them open."""
        for path in self.logs(identity).glob("*.log"):
            with contextlib.suppress(OSError):
                os.truncate(path, 0)

    def _preview(self, identity: Identity) -> Path:
        return self.folder / "previews" / f"{identity.repository_id}-{identity.number}.json"

    def _all(self, folder: str, kind: type[T]) -> list[T]:
        return [_read(path, kind) for path in sorted((self.folder / folder).glob("*.json"))]

    @staticmethod
    def _write(path: Path, value: object) -> None:
        write_whole(path, json.dumps(codec.dumped(value), indent=1))


def write_whole(path: Path, text: str) -> None:
    """Write a file atomically, readable by its owner only.

    Raises `Trouble` when this machine cannot; the old file then stays.
    """
    temporary = path.with_suffix(".new")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # a partial file would take up space on a full disk
            temporary.unlink()
        raise machine.trouble(OSError(error.errno, error.strerror, str(path))) from None


def _read(path: Path, kind: type[T]) -> T:
    try:
        return codec.loaded(kind, json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise Doubt(
            f"{path} cannot be read ({error}); nothing is removed or started. Restore it, or move it away when what it"
            " describes is gone."
        ) from None
