"""Files that others had a hand in, opened as ourselves: what a commit or its processes put there leads nowhere else.

Greenroom may run as root and previews as `nobody`; even where both are you, what is read may end up in a comment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from greenroom.errors import Failed
from greenroom.local.account import Account


def of_commit(tree: Path, name: str) -> bytes:
    """The content of a regular file of a commit. A link within its tree is followed, no other.

    Raises `Failed` with a sentence that begins with the name.
    """
    root = Path(os.path.realpath(tree))
    real = Path(os.path.realpath(root / name))
    if not real.is_relative_to(root):
        raise Failed(f"{name} leads out of the commit. Commit the file itself, not a link.")
    parts = real.relative_to(root).parts
    if not parts:
        raise Failed(f"{name} is no file of the commit.")
    with contextlib.ExitStack() as stack:
        try:
            folder = _descend(root, stack)
            for part in parts[:-1]:
                folder = _descend(part, stack, folder)
            with regular(parts[-1], folder) as file:
                return file.read()
        except IsADirectoryError:
            raise Failed(f"{name} is no file of the commit.") from None
        except OSError as error:
            raise Failed(f"{name} cannot be read from the commit ({error.strerror}).") from None


def regular(path: Path | str, folder: int | None = None) -> BinaryIO:
    """Open a regular file for reading. `OSError` for anything else that stands there: a link, a pipe, a device."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return os.fdopen(handle, "rb")


def ours(run_as: Account, *parts: str) -> Path:
    """A folder below home in which we alone write, made when missing; who runs previews may look into it.

    As root, each step is taken back from whoever has it: an earlier version gave such folders to `nobody`. Raises
    `Failed` when there is a link.
    """
    path = run_as.home
    for part in parts:
        path = path / part
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o755)
        if run_as.user is not None:
            _take(path)
    return path


def _take(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        raise Failed(f"{path} is a link where a folder of ours should be. Remove it.") from None
    try:
        os.fchown(handle, os.geteuid(), os.getegid())
        os.fchmod(handle, 0o755)
    finally:
        os.close(handle)


def _descend(part: Path | str, stack: contextlib.ExitStack, folder: int | None = None) -> int:
    handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    stack.callback(os.close, handle)
    return handle
