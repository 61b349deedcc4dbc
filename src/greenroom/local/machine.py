"""Failures that are this machine's fault, not the commit's: something is not installed, or the disk is full.

No push fixes them. Greenroom retries after a `Trouble`; a missing program (`MissingDependency`) needs a restart.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from greenroom.errors import Failed, GreenroomError

AT_THE_NEXT_START = "No push is needed. Greenroom retries when it restarts."
ASKED_AGAIN = "No push is needed. Greenroom retries with increasing delays, up to about a minute."
SOON = "No push is needed. Greenroom retries every few seconds."
ENOUGH = 64 * 1024
"""Free bytes below which a failure is attributed to a full disk."""
_DISK = {
    errno.ENOSPC: ("The disk is full", "Free some space."),
    errno.EDQUOT: ("The disk quota is used up", "Free some space or raise the quota."),
    errno.EROFS: ("The disk is mounted read-only", "Make it writable."),
    errno.EIO: ("The disk reports an input/output error", "Check the disk."),
}
_SHORT = re.compile(r"wrote only \d+ of \d+ bytes")
"""PostgreSQL's error when the disk fills up in the middle of a page: the system reports a short write, not an error."""
_CAUSES = {
    **_DISK,
    errno.EMFILE: ("Greenroom has too many files open", "Raise its limit (ulimit -n)."),
    errno.ENFILE: ("This machine has too many files open", "Raise its limit (fs.file-max)."),
    errno.ENOMEM: ("This machine is out of memory", "Close some programs."),
    errno.EAGAIN: ("This machine cannot start another process", "Raise the limit (ulimit -u)."),
}


class MissingDependency(Failed):
    """A program or setting that a person has to provide is missing here. The message names it, and how to get it."""


class Trouble(Failed):
    """This machine cannot do something now. Greenroom retries until it works."""


def blames_machine(error: OSError) -> bool:
    """Return whether a system error means that a resource of this machine is exhausted or broken."""
    return error.errno in _CAUSES


def trouble(error: OSError) -> Trouble:
    """Return a system error as `Trouble` with a sentence: the cause, the place, and the remedy."""
    reason = error.strerror or type(error).__name__
    cause, remedy = _CAUSES.get(error.errno or 0, ("The operating system refused", ""))
    where = f"{os.fsdecode(error.filename)} could not be used" if error.filename else "an operation failed"
    return Trouble(f"{cause}: {where} ({reason}). {remedy}".rstrip())


def as_trouble(error: Exception) -> Trouble:
    """Return any error as `Trouble`. An unexpected error is not the commit's fault either."""
    if isinstance(error, Trouble):
        return error
    if isinstance(error, OSError):
        return trouble(error)
    if isinstance(error, GreenroomError):
        return Trouble(str(error), log=error.log if isinstance(error, Failed) else ())
    return Trouble(f"Something went wrong on our side ({type(error).__name__}). See Greenroom's log for details.")


@contextlib.contextmanager
def errors_as_trouble() -> Iterator[None]:
    """Convert system errors into `Trouble`."""
    try:
        yield
    except OSError as error:
        raise trouble(error) from error


def excuse(error: Failed, folders: Iterable[Path]) -> Trouble | None:
    """Return the `Trouble` behind the failure of a program; None when this machine is not to blame.

    Programs report disk errors only in their output. While a disk is full, a program that could not write its log is
    excused.
    """
    known = error if isinstance(error, Trouble) else None
    if isinstance(error, MissingDependency) or any(str(error).startswith(cause) for cause, _ in _CAUSES.values()):
        return known
    said = "\n".join((str(error), *error.log))
    found = next((number for number in _DISK if _names(said, number)), None)
    if found is None and any(_is_full(folder) for folder in folders):
        found = errno.ENOSPC
    if found is None:
        return known
    cause, remedy = _DISK[found]
    return Trouble(f"{cause}, so this failed: {error} {remedy}", log=error.log)


def disk_error_or_last(lines: Sequence[str]) -> str:
    """Return the line of a program's output that names a disk error, else the last line."""
    return next((line for line in lines if any(_names(line, number) for number in _DISK)), lines[-1])


def _names(said: str, number: int) -> bool:
    return os.strerror(number) in said or (number == errno.ENOSPC and _SHORT.search(said) is not None)


def _is_full(folder: Path) -> bool:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ENOUGH or (disk.f_files > 0 and disk.f_favail == 0)
