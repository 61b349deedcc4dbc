"""The account that previews run as, and the folder of their files. Root's previews run as `nobody`, which owns it.

Greenroom creates no account, and changes no mode outside that folder.
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

HOMES = Path("/var/tmp")  # noqa: S108 -- folders in it get names that nobody can guess
PREFIX, MARK = "greenroom-", ".state"


@dataclass(frozen=True, slots=True)
class Account:
    """An account that runs previews; a `user` of None is our own. `home` is the folder for everything that runs."""

    home: Path
    user: int | None = None
    group: int | None = None

    def identity(self) -> dict[str, Any]:
        """Return the arguments for a subprocess that runs as this account."""
        return {} if self.user is None else {"user": self.user, "group": self.group, "extra_groups": []}

    def own(self, path: Path) -> Path:
        """Make this account the owner of a path, and return the path."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)
        return path

    def folder(self, *parts: str) -> Path:
        """Return a folder below home that this account owns. Create it if it is missing."""
        path = self.home
        for part in parts:
            path = path / part
            if not path.exists():
                path.mkdir(mode=0o755)
                self.own(path)
        return path

    def reads(self, path: Path) -> bool:
        """Return whether this account can reach and read (or enter) a path, by its mode and its parents' modes."""
        if self.user is None:
            return os.access(path, os.R_OK)
        try:
            real = path.resolve(strict=True)
            return all(p.stat().st_mode & 0o001 for p in real.parents) and bool(real.stat().st_mode & 0o004)
        except OSError:
            return False


def account(state: Path) -> Account:
    """Return the account for a state folder. It is the same each time."""
    if os.geteuid() != 0:
        home = state / "run"
        home.mkdir(parents=True, exist_ok=True)
        return Account(home.absolute())
    note = state / "home.json"
    noted = _noted(note)
    if noted and _is_of_original(noted, state):
        noted = None
    known = noted or _marked(state)
    if known is None or not known.is_dir():
        known = Path(tempfile.mkdtemp(prefix=PREFIX, dir=HOMES))
        (known / MARK).write_text(str(state.resolve()))  # only root can write here yet, so this is not a link
    if known != noted:
        write_whole(note, json.dumps({"home": str(known)}))
    known.chmod(0o755)
    made = whose(known)
    made.own(known)
    return made


def whose(home: Path) -> Account:
    """Return the account that owns the files in a folder. The folder does not have to exist."""
    if os.geteuid() != 0:
        return Account(home)
    nobody = pwd.getpwnam("nobody")
    return Account(home, nobody.pw_uid, nobody.pw_gid)


def _noted(note: Path) -> Path | None:
    """Return the folder that the state folder's note names; None if there is no complete note."""
    try:
        return Path(json.loads(note.read_text())["home"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _marked(state: Path) -> Path | None:
    """Return the folder whose mark names this state folder. Data of previews may be in it."""
    homes = (mark.parent for mark in sorted(HOMES.glob(f"{PREFIX}*/{MARK}")))
    return next((home for home in homes if _mark(home) == str(state.resolve())), None)


def _mark(home: Path) -> str:
    """Return the state folder that a folder names; empty if it names none. Only a mark that root owns counts."""
    mark = home / MARK
    with contextlib.suppress(OSError, ValueError):
        if not mark.is_symlink() and mark.stat().st_uid == 0:
            return mark.read_text()
    return ""


def _is_of_original(home: Path, state: Path) -> bool:
    """Return whether this state folder is a copy, and another one uses the folder that its note names.

    The mark alone does not show that: after a state folder is moved, the mark still names its old path.
    """
    other = _mark(home)
    return other not in ("", str(state.resolve())) and _noted(Path(other) / "home.json") == home


def interpreter(run_as: Account) -> str:
    """Return a Python that this account can run. Raise `Failed` when there is none."""
    candidates = [sys.executable, getattr(sys, "_base_executable", ""), "/usr/bin/python3", "/usr/local/bin/python3"]
    for candidate in candidates:
        path = Path(candidate)
        if candidate and path.exists() and run_as.reads(path) and run_as.reads(_library(path)):
            return candidate
    raise Failed(
        "The user `nobody` cannot run any installed Python interpreter. Install one for all users: apt-get install"
        " python3."
    )


def _library(python: Path) -> Path:
    """Return the folder with an interpreter's own library, found from the real path of the interpreter."""
    real = python.resolve()
    return real.parent.parent


def environment(run_as: Account, given: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the environment of a service: the variables listed here and those given, and no others of our own."""
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
    """Remove the folder of everything that ran. Call this only when nothing runs anymore."""
    shutil.rmtree(run_as.home, ignore_errors=True)
