"""The state folder: one JSON file per preview and per preview set, written atomically. A broken file raises `Doubt`.

Preview sets hold the ledger of the hour and what people released, so they must survive anything: `fsync` before rename.
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

from greenroom.core.model import codec
from greenroom.core.model.engine import Health, PreviewSet
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.errors import Doubt, Failed
from greenroom.local import machine

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Process:
    """One process that was started: its pid and start time (pids are reused), its port and its log.

    `database` is the port of PostgreSQL that it was given; 0 if there is none or it is unknown. Only caches have a
    `version`.
    """

    service: str
    name: str
    pid: int
    started: str
    port: int
    log: str
    database: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """One version of a preview that runs, or is being started. `key` is the `key_of` of its spec."""

    key: str
    spec: PreviewSpec
    processes: tuple[Process, ...] = ()
    ready_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PreviewRecord:
    """The stored state of one preview. Only the owner of its file can read it.

    `serving` is the version that answers, and `starting` the one that is being started. `ending` are the processes of
    the version that served before: they may still answer requests that they have. The version with `failed_key` failed.
    It is retried at the next start and not before, as it may not have been the cause. `failing` is the service whose
    image failed.

    `databases` are the complete ones of this data generation. `secrets` holds the passwords, which stay the same.
    `caches` run beside the services, whatever their version.
    """

    identity: Identity
    uid: str
    spec: PreviewSpec
    since: datetime
    health: Health = Health.STARTING
    serving: Instance | None = None
    starting: Instance | None = None
    data_generation: int = 0
    databases: tuple[str, ...] = ()
    failed_key: str = ""
    why: str = ""
    fix: str = ""
    log: tuple[str, ...] = ()
    failing: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    caches: tuple[Process, ...] = ()
    ending: tuple[Process, ...] = ()


class State:
    """The files of one instance. Call `lock` first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("previews", "rows"):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def lock(self) -> int:
        """Lock the folder for its only writer. Return the lock's handle. Raise `Failed` if another instance has it."""
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise Failed(
                f"Another Greenroom is using {self.folder}. Stop it, or set `state:` to another folder."
            ) from None
        return handle

    def is_locked_by(self, handle: int) -> bool:
        """Return whether the lock with this handle is still the folder's."""
        file = self.folder / "lock"
        return file.exists() and os.path.samestat(os.fstat(handle), file.stat())

    def preview_sets(self) -> dict[int, PreviewSet]:
        """Return every preview set, by repository id."""
        return {r.repository_id: r for r in self._all("rows", PreviewSet)}

    def previews(self) -> dict[Identity, PreviewRecord]:
        """Return every preview, by identity."""
        return {k.identity: k for k in self._all("previews", PreviewRecord)}

    def write_specs(self, preview_set: PreviewSet) -> None:
        """Store a preview set."""
        self._write(self.folder / "rows" / f"{preview_set.repository_id}.json", preview_set)

    def write_preview(self, kept: PreviewRecord) -> None:
        """Store a preview."""
        self._write(self._preview(kept.identity), kept)

    def forget_preview(self, identity: Identity) -> None:
        """Delete the file of a preview. This is the last step of its removal."""
        self._preview(identity).unlink(missing_ok=True)

    def logs(self, identity: Identity, *, make: bool = False) -> Path:
        """Return a preview's log folder. Its processes write there only through files that we open for them."""
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

    Raise `Trouble` when this machine cannot; the old file then stays.
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
            f"{path} cannot be read ({error}). Greenroom will not start or remove anything. Restore the file, or"
            " move it away once the previews that it describes no longer exist."
        ) from None
