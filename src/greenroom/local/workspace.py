"""Names and folders of one preview's resources on this machine."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from greenroom.core.model.spec import Identity
from greenroom.local import files, processes
from greenroom.local.account import Account
from greenroom.local.names import database_prefix, folder_of, mark_of, older_mark
from greenroom.local.state import State


@dataclass(frozen=True, slots=True)
class Workspace:
    """The place of one preview: the mark of its processes, its folders, its logs and the names of its databases."""

    identity: Identity
    installation: str
    state: State
    run_as: Account

    @property
    def mark(self) -> str:
        """Return the mark in the environment of its processes."""
        return mark_of(self.installation, self.state.folder, self.identity)

    def marked(self) -> list[int]:
        """Return the pids of its running processes, recorded or not, including those with an older mark."""
        return processes.marked(self.mark, older_mark(self.installation, self.identity), self.path)

    @property
    def path(self) -> Path:
        """Return its folder, which may not exist."""
        return folder_of(self.run_as, self.identity)

    def folder(self, *parts: str) -> Path:
        """Return its folder, or one below it, in which only Greenroom writes. Create it if it is missing."""
        path = self.path.joinpath(*parts)
        return files.ours(self.run_as, *path.relative_to(self.run_as.home).parts)

    def owned(self, *parts: str) -> Path:
        """Return a folder below its own in which its processes write. Create it if it is missing."""
        path = self.folder(*parts[:-1]) / parts[-1]
        return self.run_as.folder(*path.relative_to(self.run_as.home).parts)

    def log(self, name: str) -> Path:
        """Return the path of one process's log. Create the folder if it is missing."""
        return self.state.logs(self.identity, make=True) / f"{name}.log"

    def empty_logs(self) -> None:
        """Truncate its logs to free disk space, even while its processes hold them open."""
        self.state.empty_logs(self.identity)

    def remove_logs(self) -> None:
        """Remove the folder of its logs."""
        shutil.rmtree(self.state.logs(self.identity), ignore_errors=True)

    @property
    def database_prefix(self) -> str:
        """Return the prefix of the names of its databases and roles."""
        return database_prefix(self.identity)

    def database(self, service: str, need: str) -> str:
        """Return the name of the database or cache of one need."""
        digest = hashlib.sha256(f"{service}/{need}".encode()).hexdigest()[:8]
        return f"{self.database_prefix}{digest}"
