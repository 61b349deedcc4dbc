"""The state of one preview and its file. The file changes first, so that memory never claims what was not written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from greenroom.core.model.engine import Health
from greenroom.core.model.spec import Identity
from greenroom.errors import Failed
from greenroom.local.machine import ASKED_AGAIN, AT_THE_NEXT_START, SOON, MissingDependency, Trouble
from greenroom.local.processes import NotStarted
from greenroom.local.state import Instance, PreviewRecord, State
from greenroom.local.worktrees import NotFetched
from greenroom.logs import hide, scrub

WELL: Mapping[str, object] = {"why": "", "fix": "", "log": (), "failing": ""}


class RecordFile:
    """The state of one preview. `kept` matches the file, except for a new preview (`noted=False`).

    The file of a new preview is written with the first change. `wake` is called when people see a change.
    """

    def __init__(self, state: State, kept: PreviewRecord, wake: Callable[[], None], *, noted: bool) -> None:
        self._state = state
        self._kept = public(kept)
        self._wake = wake
        self._noted = noted

    @property
    def kept(self) -> PreviewRecord:
        """Return the state."""
        return self._kept

    @property
    def identity(self) -> Identity:
        """Return the identity of the preview."""
        return self._kept.identity

    @property
    def starting(self) -> Instance:
        """Return the version that is being started. Raise `Failed` if there is none."""
        if self._kept.starting is None:
            raise Failed("The version that was starting no longer exists.")
        return self._kept.starting

    def keep(self, **changes: object) -> None:
        """Change the state, the file first. If the file cannot be written, raise `Trouble` and change nothing."""
        before = self._kept
        kept = public(replace(before, **changes))  # type: ignore[arg-type]  # the names are the record's own
        if kept.health is not before.health or kept.why != before.why:
            kept = replace(kept, since=datetime.now(UTC))
        if kept != before or not self._noted:
            self._state.write_preview(kept)
            self._kept, self._noted = kept, True
        if _seen(kept) != _seen(before):
            self._wake()

    def fail(self, error: Failed, **changes: object) -> None:
        """Record a failure that people see, together with other changes."""
        failure = {"why": str(error), "fix": _fix(error), "log": error.log, "failing": error.service}
        self.keep(health=Health.FAILED, **failure, **changes)

    def forget(self) -> None:
        """Delete the file. This is the last step of a removal."""
        self._state.forget_preview(self.identity)


def _seen(kept: PreviewRecord) -> tuple[object, ...]:
    """Return the parts of a state that a pass must read soon: people, or a script, wait for their change."""
    return kept.health, kept.why, kept.serving, kept.ending


def public(kept: PreviewRecord) -> PreviewRecord:
    """Return the state without secrets in the texts that people read. From now on, its passwords count as secrets.

    A process may print its whole environment before it ends.
    """
    for password in kept.secrets.values():
        hide(password)
    return replace(kept, why=scrub(kept.why), log=tuple(scrub(line) for line in kept.log))


def _fix(error: Failed) -> str:
    """Return the fix for failures that a push cannot fix."""
    if isinstance(error, Trouble):
        return SOON
    if isinstance(error, NotFetched):
        return ASKED_AGAIN
    if isinstance(error, NotStarted):
        return error.fix
    return AT_THE_NEXT_START if isinstance(error, MissingDependency) else ""
