"""Checks of this machine: whether the local engine can run what a configuration asks for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import assert_never

from greenroom.config.folder import Folder, Found, near
from greenroom.config.needs import NeedModel
from greenroom.core.model.kinds import KINDS, LocalServer
from greenroom.errors import Mistake
from greenroom.local import caches, programs, versions
from greenroom.local.account import whose
from greenroom.local.machine import MissingDependency

MAIN = "greenroom.yaml"


def mistakes(folder: Folder, found: Sequence[Found], home: Path) -> Iterator[Mistake]:
    """Yield the mistakes in `local.checkouts`, whose paths are relative to `home`."""
    if folder.platform.engine != "local" or not folder.says("engine", "local"):
        return
    checkouts = folder.platform.local.checkouts
    slugs = {f.model.repository for f in found if "repository" not in f.dropped}
    for slug in sorted(slugs - checkouts.keys()):
        fix = near(slug, checkouts.keys() - slugs, f"Add `{slug}: PATH`, where PATH is the path of a clone.")
        yield Mistake(MAIN, "local.checkouts", f"has no path for {slug}, so its previews cannot start.", fix)
    for slug, written in sorted(checkouts.items()):
        path = home / written
        if wrong := _no_repository(path):
            where = f"Clone {slug} there, or set the path of an existing clone."
            yield Mistake(MAIN, f"local.checkouts.{slug}", f"{os.path.normpath(path)} {wrong}.", where)


def warnings(folder: Folder, found: Iterable[Found]) -> Iterator[Mistake]:
    """Yield the needs whose version this machine does not have, so that previews would run another one."""
    if folder.platform.engine != "local" or not folder.says("engine"):
        return
    here: dict[str, str] = {}
    for service in found:
        for index, need in enumerate(service.model.needs):
            if not isinstance(need, NeedModel) or not need.version or need.kind not in KINDS:
                continue
            if need.kind not in here:
                here[need.kind] = _offered(need.kind, folder)
            offered = here[need.kind]
            if offered and not versions.serves(offered, KINDS[need.kind].title, need.version):
                title = f"{KINDS[need.kind].title} {need.version}"
                message = f"this machine has {offered}, so local previews run that instead of {title}."
                yield Mistake(service.file, f"needs.{index}.version", message, f"Install {title}, or change `version`.")


def _no_repository(path: Path) -> str:
    """Return why a path is not the top folder of a git repository; empty when it is."""
    if not path.exists():
        return "does not exist"
    if not path.is_dir():
        return "is not a folder"
    # In a git hook, GIT_DIR names the hook's repository, and git would use it for every path.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-c", f"safe.directory={path.resolve()}", "-C", str(path), "rev-parse", "--show-cdup"]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError:
        return "cannot be checked, because git is not installed"
    if done.returncode:
        return "is not a git repository"
    return "is a folder inside another git repository" if done.stdout.strip() else ""


def _offered(kind: str, folder: Folder) -> str:
    """Return this machine's server for a kind, such as `PostgreSQL 15.14`; empty if there is none."""
    try:
        match KINDS[kind].local:
            case LocalServer.REDIS:
                return versions.of(caches.server(kind))
            case LocalServer.POSTGRESQL:
                return versions.of(str(programs.found(whose(Path(folder.platform.state))) / "postgres"))
            case None:
                return ""
            case other:
                assert_never(other)
    except MissingDependency:  # the preview says what to install
        return ""
