"""File that stores the simulated GitHub, so that pull requests survive a restart."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

from greenroom.errors import Failed
from greenroom.simulator.world import World

OURS = {
    "greenroom.simulator.world": {
        "User",
        "Item",
        "Comment",
        "Deployment",
        "PullRequest",
        "Repository",
        "WorkflowRun",
        "CheckRun",
    },
    "datetime": {"datetime", "timedelta", "timezone"},
}


class _Unpickler(pickle.Unpickler):
    """Creates only values of these classes, so that a file from elsewhere cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class that the file may name."""
        if name not in OURS.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in this file")
        return super().find_class(module, name)


class Kept:
    """The file of one world."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = b""

    def resume(self, world: World) -> None:
        """Restore a new world from the file. Raise `Failed` if the file cannot be read."""
        try:
            self._last = self._path.read_bytes()
            world.resume(_Unpickler(io.BytesIO(self._last)).load())
        except FileNotFoundError:
            return
        except Exception as error:  # a file of another version may fail in any way
            how = (
                "To start with an empty GitHub, delete the file. Greenroom then holds the existing previews; to remove"
                " one, run `greenroom release REPO#N`."
            )
            raise Failed(f"{self._path} cannot be read ({error}). {how}") from None

    def keep(self, world: World) -> None:
        """Write the world to the file atomically if it changed."""
        now = pickle.dumps(world.kept())
        if now == self._last:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(now)
        draft.replace(self._path)
        self._last = now
