"""Bounded reads of files that may turn out to be a device, a pipe or huge."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotRegular(OSError):
    """The path is a device, a pipe or a socket: reading it could block or never end."""


def regular(path: Path, limit: int) -> bytes:
    """Return up to `limit` + 1 bytes of a regular file or a link to one.

    Raise `OSError` when the file cannot be read, and `NotRegular` for a device, a pipe or a socket.
    """
    # O_NONBLOCK: opening a pipe without a writer would block forever.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "Is a directory", str(path))
        if not stat.S_ISREG(mode):
            raise NotRegular("it is not a regular file")
        return file.read(limit + 1)


def stream(path: Path, limit: int) -> bytes:
    """Return up to `limit` + 1 bytes of anything readable, including a pipe."""
    with path.open("rb") as file:
        return file.read(limit + 1)
