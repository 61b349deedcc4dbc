"""How what belongs to one preview is called on this machine: the mark of its processes, its folder, its databases."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from greenroom.core.model import Identity
from greenroom.local.account import Account


def mark_of(installation: str, state: Path, identity: Identity) -> str:
    """The value in the environment of each process of one preview.

    It tells state folders apart: two instances may have one name, and number their pull requests alike.
    """
    folder = hashlib.sha256(os.path.realpath(state).encode()).hexdigest()[:8]
    return f"{installation}-{folder}/{identity}"


def older_mark(installation: str, identity: Identity) -> str:
    """What it was before it told state folders apart: whose such a process is, only its home says."""
    return f"{installation}/{identity}"


def folder_of(run_as: Account, identity: Identity) -> Path:
    """The folder of one preview's files."""
    return run_as.home / "previews" / f"{identity.repository_id}-{identity.number}"


def database_prefix(identity: Identity) -> str:
    """How the names of one preview's databases and roles begin."""
    return f"gr_{identity.repository_id}_{identity.number}_"
