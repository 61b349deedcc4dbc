"""As whom previews run, and where their files are. Root's previews run as `nobody`, in a folder that nobody owns.

No account is made and no mode is changed outside that folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenroom.errors import Failed
from greenroom.local.state import write_whole

HOMES = Path("/var/tmp")  # noqa: S108 -- what is made in it has a name that nobody can guess
PREFIX, MARK = "greenroom-", ".state"


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs previews: None means as ourselves. `home` is the folder for everything that runs."""

    home: Path
    user: int | None = None
    group: int | None = None

    def identity(self) -> dict[str, Any]:
        """Arguments for a subprocess that runs as this account."""
        return {} if self.user is None else {"user": self.user, "group": self.group, "extra_groups": []}

    def own(self, path: Path) -> Path:
        """Give a path to this account; returns it."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)
        return path

    def folder(self, *parts: str) -> Path:
        """A folder below home that this account owns, made when missing."""
        path = self.home
        for part in parts:
            path = path / part
            if not path.exists():
                path.mkdir(mode=0o755)
                self.own(path)
        return path

    def reads(self, path: Path) -> bool:
        """Whether this account can reach and read (or enter) a path, by the modes of it and of its parents."""
        if self.user is None:
            return os.access(path, os.R_OK)
        try:
            real = path.resolve(strict=True)
            return all(p.stat().st_mode & 0o001 for p in real.parents) and bool(real.stat().st_mode & 0o004)
        except OSError:
            return False


def account(state: Path) -> Account:
    """The account for a state folder; the same each time."""
    if os.geteuid() != 0:
        home = state / "run"
        home.mkdir(parents=True, exist_ok=True)
        return Account(home.absolute())
    nobody = pwd.getpwnam("nobody")
    note = state / "home.json"
    noted = _noted(note)
    known = noted or _marked(state)
    if known is None or not known.is_dir():
        known = Path(tempfile.mkdtemp(prefix=PREFIX, dir=HOMES))
        (known / MARK).write_text(str(state.resolve()))  # now or never: nobody's own processes can make links in it
    if known != noted:
        write_whole(note, json.dumps({"home": str(known)}))
    known.chmod(0o755)
    made = Account(known, nobody.pw_uid, nobody.pw_gid)
    made.own(known)
    return made


def _noted(note: Path) -> Path | None:
    """The folder that the state folder names; None where it names none, or was cut off in the middle of a write."""
    try:
        return Path(json.loads(note.read_text())["home"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _marked(state: Path) -> Path | None:
    """The folder that names this state folder itself: data of previews may be in it. Only root's own word counts."""
    for mark in sorted(HOMES.glob(f"{PREFIX}*/{MARK}")):
        with contextlib.suppress(OSError, ValueError):
            if not mark.is_symlink() and mark.stat().st_uid == 0 and mark.read_text() == str(state.resolve()):
                return mark.parent
    return None


def interpreter(run_as: Account) -> str:
    """A Python that this account can run. Raises `Failed` when there is none."""
    candidates = [sys.executable, getattr(sys, "_base_executable", ""), "/usr/bin/python3", "/usr/local/bin/python3"]
    for candidate in candidates:
        path = Path(candidate)
        if candidate and path.exists() and run_as.reads(path) and run_as.reads(_library(path)):
            return candidate
    raise Failed("There is no Python that the user nobody can run. Install one for all users: apt-get install python3.")


def _library(python: Path) -> Path:
    """Where an interpreter's own library is: beside the real one."""
    real = python.resolve()
    return real.parent.parent


def environment(run_as: Account, given: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment of a service: what is listed here and what it was given, nothing else of ours."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **given,
    }


def forget(run_as: Account) -> None:
    """Remove the folder of everything that ran; call it when nothing runs any more."""
    shutil.rmtree(run_as.home, ignore_errors=True)
