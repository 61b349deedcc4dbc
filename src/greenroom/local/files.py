"""Safe access to files that a commit or its processes can change: no link leads us out of the folder.

Greenroom may run as root and previews as `nobody`. Even when both run as you, a comment may show what we read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from greenroom.errors import Failed
from greenroom.local.account import Account


def of_commit(tree: Path, name: str) -> bytes:
    """Return the content of a regular file of a commit, as `opened` reads it."""
    with opened(tree, name) as file:
        return file.read()


@contextlib.contextmanager
def opened(tree: Path, name: str) -> Iterator[BinaryIO]:
    """Open a regular file of a commit. Follow a link only within the commit's tree.

    Raise `Failed` with a sentence that begins with the name.
    """
    root = Path(os.path.realpath(tree))
    real = Path(os.path.realpath(root / name))
    if not real.is_relative_to(root):
        raise Failed(f"{name} points outside the commit. Commit the file itself, not a symlink.")
    parts = real.relative_to(root).parts
    if not parts:
        raise Failed(f"{name} is not a file in the commit.")
    with contextlib.ExitStack() as stack:
        try:
            folder = _descend(root, stack)
            for part in parts[:-1]:
                folder = _descend(part, stack, folder)
            file = stack.enter_context(regular(parts[-1], folder))
        except IsADirectoryError:
            raise Failed(f"{name} is not a file in the commit.") from None
        except OSError as error:
            raise Failed(f"{name} cannot be read from the commit ({error.strerror}).") from None
        yield file


def regular(path: Path | str, folder: int | None = None) -> BinaryIO:
    """Open a regular file for reading. Raise `OSError` for anything else: a link, a pipe, a device."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return os.fdopen(handle, "rb")


def ours(run_as: Account, *parts: str) -> Path:
    """Return a folder below home in which only we write and which previews can read. Create it if it is missing.

    As root, take the ownership of each folder on the way: an earlier version gave such folders to `nobody`. Raise
    `Failed` when one of them is a link.
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
        raise Failed(f"{path} is a symlink, but Greenroom needs a folder there. Remove the symlink.") from None
    try:
        os.fchown(handle, os.geteuid(), os.getegid())
        os.fchmod(handle, 0o755)
    finally:
        os.close(handle)


def _descend(part: Path | str, stack: contextlib.ExitStack, folder: int | None = None) -> int:
    handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    stack.callback(os.close, handle)
    return handle
