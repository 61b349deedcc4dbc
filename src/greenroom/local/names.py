"""Names of one preview's resources on this machine: the mark of its processes, its folder, its databases."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from greenroom.core.model.spec import Identity
from greenroom.local.account import Account


def mark_of(installation: str, state: Path, identity: Identity) -> str:
    """Return the mark in the environment of each process of one preview.

    It includes the state folder: two instances may have the same name, and pull requests with the same numbers.
    """
    folder = hashlib.sha256(os.path.realpath(state).encode()).hexdigest()[:8]
    return f"{installation}-{folder}/{identity}"


def older_mark(installation: str, identity: Identity) -> str:
    """Return the mark from before it included the state folder. Only its HOME shows which instance a process is of."""
    return f"{installation}/{identity}"


def folder_of(run_as: Account, identity: Identity) -> Path:
    """Return the folder of one preview's files."""
    return run_as.home / "previews" / f"{identity.repository_id}-{identity.number}"


def database_prefix(identity: Identity) -> str:
    """Return the prefix of the names of one preview's databases and roles."""
    return f"gr_{identity.repository_id}_{identity.number}_"
