"""Failures of this machine, shown in place of a preview's state until Greenroom succeeds again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from greenroom.core.model.engine import Health
from greenroom.core.planning import backoff
from greenroom.errors import GreenroomError
from greenroom.local import machine
from greenroom.local.machine import SOON, Trouble
from greenroom.local.record_file import RecordFile, public
from greenroom.local.state import PreviewRecord

log = structlog.get_logger(__name__)
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0)  # short, because a `Trouble` may end at any moment


class Troubles:
    """This machine's failures with one preview. They exist only in memory, because the disk may be the cause."""

    def __init__(self, record: RecordFile, disks: tuple[Path, ...], wake: Callable[[], None]) -> None:
        self._record = record
        self._disks = disks
        self._wake = wake
        self._current: PreviewRecord | None = None
        self._failures = 0

    @property
    def shown(self) -> PreviewRecord:
        """Return the state to show: the recorded one, with the text of the current trouble if there is one."""
        trouble, kept = self._current, self._record.kept
        if trouble is None:
            return kept
        return replace(
            kept,
            health=Health.FAILED,
            why=trouble.why,
            fix=trouble.fix,
            log=trouble.log,
            failing="",
            since=trouble.since,
        )

    def explained(self, error: Exception) -> Trouble:
        """Return any error as `Trouble`, with a full disk as its cause if that is the case."""
        found = machine.as_trouble(error)
        return machine.excuse(found, self._disks) or found

    def show(self, error: Exception) -> float:
        """Show an error as trouble. Nothing here may fail. Return the seconds until the retry."""
        found, known = self.explained(error), self._current
        since = known.since if known else datetime.now(UTC)
        current = public(replace(self._record.kept, why=str(found), fix=SOON, log=found.log, since=since))
        self._current = current
        if known is None or known.why != current.why:
            unknown = error if not isinstance(error, GreenroomError | OSError) else None
            log.warning(
                "preview failed because of this machine; trying again",
                preview=str(self._record.identity),
                why=current.why,
                exc_info=unknown,
            )
            self._wake()
        self._failures += 1
        return backoff.pause(BACKOFF_SECONDS, self._failures - 1)

    def clear(self) -> None:
        """Show the recorded state again. A change of the record that follows wakes the loop."""
        self._current = None

    def recover(self) -> None:
        """End the trouble after a success, and wake the loop if one was shown."""
        self._failures = 0
        if self._current is not None:
            self._current = None
            log.info("preview recovered", preview=str(self._record.identity))
            self._wake()
