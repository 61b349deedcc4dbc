"""The folder in which a seed is built. The next run removes what a run that was killed left behind."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARENT = Path("/var/tmp")  # noqa: S108 -- on a disk, unlike many a /tmp; names in it cannot be guessed
PREFIX = "greenroom-seed-"
_LOCK = "lock"


@contextmanager
def workfolder(parent: Path = PARENT) -> Iterator[Path]:
    """Create a folder that only this account can list and write to, and remove it at the end."""
    _remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    folder.chmod(0o711)  # another account may work in a folder that it owns in it
    draft = folder / "lock.draft"
    with draft.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        draft.rename(folder / _LOCK)  # nobody sees the lock before it is taken
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of runs that have ended. The lock of a run ends with its process, however that ends."""
    for path in parent.glob(f"{PREFIX}*/{_LOCK}"):
        try:
            with path.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.parent, ignore_errors=True)
        except OSError:  # it runs, or belongs to another account
            continue
