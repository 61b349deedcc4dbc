"""Our note of PostgreSQL's password and port: the password stays the same, and services keep their connections."""

from __future__ import annotations

import json
from pathlib import Path

from greenroom.local.state import write_whole
from greenroom.logs import hide


def read(note: Path) -> tuple[str, int]:
    """Return the recorded password and port; empty and 0 if they are not known."""
    try:
        known = json.loads(note.read_text())
        password, port = known.get("password", ""), known.get("port", 0)
    except (OSError, ValueError, AttributeError):
        return "", 0
    if not isinstance(password, str) or not isinstance(port, int):
        return "", 0
    hide(password)
    return password, port


def write(note: Path, password: str, port: int) -> None:
    """Record the password and port. Raise `Trouble` when that is impossible."""
    write_whole(note, json.dumps({"password": password, "port": port}))
