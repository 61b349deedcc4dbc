"""One small tree of errors, named by what the caller does next, not by what went wrong.

    GreenroomError
    ├── Doubt                a read that is not whole, not fresh or not understood: change nothing, read again
    │   └── RetryLater       the other side is away or asks us to wait: read again after `after`
    ├── FixCredentials       a person must mend a token, a key or a permission
    ├── FixConfiguration     a person must mend greenroom.yaml or services/*.yaml
    └── Failed               the thing itself failed (a migration, a seed): tell it on the preview
        ├── Full             there is no room for so much: serve less, so that what goes can go
        └── Refused          GitHub rejects writes to one pull request: others continue

Every message is one sentence for a person: what, where, how to fix it. No message contains a secret.
"""

from __future__ import annotations

from dataclasses import dataclass


class GreenroomError(Exception):
    """The base: everything that Greenroom raises on purpose."""

    exit_code = 1


class Doubt(GreenroomError):
    """An answer that cannot be trusted to be whole. Never read as "there is nothing"."""


class RetryLater(Doubt):
    """The other side is away, slow, or asks us to come back.

    `after` is in seconds; None leaves the wait to the loop's own back-off.
    """

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class FixCredentials(GreenroomError):
    """A token, key or permission is wrong; retrying fast cannot help."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in the configuration: where it stands and how to mend it."""

    file: str
    path: str
    message: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.path}" if self.path else self.file
        return " ".join(f"{where}: {self.message} {self.fix}".split())


class FixConfiguration(GreenroomError):
    """The configuration is wrong. `mistakes` holds all of them, not only the first; `warnings` what is only unwise."""

    exit_code = 2

    def __init__(self, message: str, mistakes: tuple[Mistake, ...] = (), warnings: tuple[Mistake, ...] = ()) -> None:
        super().__init__(message)
        self.mistakes = mistakes
        self.warnings = warnings


class Failed(GreenroomError):
    """One preview's own thing failed; others go on. `log` holds the lines that matter, already scrubbed."""

    def __init__(self, message: str, *, log: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.log = log


class Full(Failed):
    """There is no room for all of it; less of it may fit."""


class Refused(Failed):
    """GitHub rejects a write to one pull request, such as a comment in a locked conversation."""
