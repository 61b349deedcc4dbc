"""Bounded reads of files that somebody else may have replaced by a device, a pipe or something huge."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotRegular(OSError):
    """A path that leads to a device, a pipe or a socket: reading it could block or never end."""


def regular(path: Path, limit: int) -> bytes:
    """Return the first `limit` bytes and one more, if there are, of a regular file or a link to one.

    Raises `OSError`; `NotRegular` for everything that is not a file with an end.
    """
    # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "Is a directory", str(path))
        if not stat.S_ISREG(mode):
            raise NotRegular("it is not a regular file")
        return file.read(limit + 1)


def stream(path: Path, limit: int) -> bytes:
    """Return the first `limit` bytes and one more, if there are, of anything that can be read, also of a pipe."""
    with path.open("rb") as file:
        return file.read(limit + 1)
