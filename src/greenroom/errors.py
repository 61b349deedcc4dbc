"""One small tree of errors, named after the caller's next step and not after the cause.

    GreenroomError
    ├── Doubt                a read that is incomplete, stale or not understood: change nothing, read again
    │   └── RetryLater       the other side is unavailable or asks us to wait: read again after `after`
    ├── FixCredentials       a person must fix a token, a key or a permission
    ├── FixConfiguration     a person must fix greenroom.yaml or services/*.yaml
    └── Failed               the operation itself failed (a migration, a seed): report it on the preview
        ├── TooLarge         a spec is too large for the engine: serve the other ones
        ├── NotStored        the engine may not store one preview's data: serve the other ones
        └── Refused          GitHub rejects writes to one pull request: others continue

Every message is one sentence for a person: the problem, its place, and the fix. No message contains a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


class GreenroomError(Exception):
    """The base class of all errors that Greenroom raises on purpose."""

    exit_code = 1


class Doubt(GreenroomError):
    """An answer that may be incomplete. Callers never read it as "there is nothing"."""


class RetryLater(Doubt):
    """The other side is unavailable, slow, or asks us to come back.

    `after` is in seconds; None leaves the wait to the loop's own back-off.
    """

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class FixCredentials(GreenroomError):
    """A token, key or permission is wrong; retrying fast cannot help."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in the configuration: its place and its fix."""

    file: str
    path: str
    message: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.path}" if self.path else self.file
        return " ".join(f"{where}: {self.message} {self.fix}".split())


class FixConfiguration(GreenroomError):
    """The configuration is wrong.

    `mistakes` holds all mistakes, not only the first. `warnings` holds what is only unwise.
    """

    exit_code = 2

    def __init__(self, message: str, mistakes: tuple[Mistake, ...] = (), warnings: tuple[Mistake, ...] = ()) -> None:
        super().__init__(message)
        self.mistakes = mistakes
        self.warnings = warnings


class Renamed(FixConfiguration):
    """GitHub shows a repository under another name. `seen` pairs its pull requests, by GitHub's id of the repository
    and their number, with the times of their last changes: later reads may come from a server that is behind.
    """

    def __init__(self, message: str, seen: Mapping[tuple[int, int], datetime]) -> None:
        super().__init__(message)
        self.seen = seen


class Failed(GreenroomError):
    """An operation of one preview failed; others continue. `log` holds the lines that matter, already scrubbed.

    `service` is the service whose image failed, if one did.
    """

    def __init__(self, message: str, *, log: tuple[str, ...] = (), service: str = "") -> None:
        super().__init__(message)
        self.log = log
        self.service = service


class TooLarge(Failed):
    """The specs of these previews, by pull request number, are larger than the engine can store."""

    def __init__(self, message: str, numbers: frozenset[int]) -> None:
        super().__init__(message)
        self.numbers = numbers


class NotStored(Failed):
    """The cluster rejects the new data of these previews, by pull request number."""

    def __init__(self, message: str, numbers: frozenset[int]) -> None:
        super().__init__(message)
        self.numbers = numbers


class Refused(Failed):
    """GitHub rejects a write to one pull request, such as a comment in a locked conversation."""
