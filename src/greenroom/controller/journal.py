"""The history as passes read and write it. Losing it costs reports, never a preview, so its errors end no pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from greenroom.core.model.spec import Identity
from greenroom.errors import Failed
from greenroom.store.rows import Deployment, Event

log = structlog.get_logger(__name__)

KEPT = 500
"""Maximum number of events to keep while the history cannot store them, and to read from the history after a start."""
REJECTED = 3


class Record(Protocol):
    """Destination of the history. Losing it costs reports, never a preview."""

    async def record(self, *events: Event) -> int:
        """Append events. Store known ones only once."""

    async def record_deployments(self, *deployments: Deployment) -> int:
        """Append deployments. Store known ones only once."""

    async def events(self, identity: Identity | None = None, limit: int = 50) -> tuple[Event, ...]:
        """Return the latest events of one preview, newest first. After a start, they show since when its status has
        lasted.
        """


@dataclass(slots=True)
class Journal:
    """Reader and writer of the history, with the events that it could not store yet."""

    history: Record
    _unrecorded: list[tuple[Event, int]] = field(default_factory=list)  # with how often each was rejected

    @property
    def waiting(self) -> int:
        """Return how many events the history could not store yet."""
        return len(self._unrecorded)

    async def latest(self) -> tuple[Event, ...]:
        """Return the latest events of all previews; none if the history cannot be read."""
        try:
            return await self.history.events(limit=KEPT)
        except Failed as error:
            log.warning(
                "history could not be read; comments on pull requests that closed during downtime may be out of date",
                why=str(error),
            )
            return ()

    async def of(self, identities: Iterable[Identity]) -> dict[Identity, tuple[Event, ...]]:
        """Return the events of these previews; none at all if the history cannot be read."""
        try:
            return {i: await self.history.events(i, limit=20) for i in identities}
        except Failed as error:
            log.warning("history could not be read; the start times of states are missing", why=str(error))
            return {}

    async def write(self, events: Iterable[Event], deployments: Iterable[Deployment]) -> None:
        """Append what a pass did and found. Keep what cannot be stored for a later pass."""
        try:
            await self._record(tuple(events))
            await self.history.record_deployments(*deployments)
        except Failed as error:
            log.warning("history could not be written; previews are not affected", why=str(error))

    async def _record(self, new: tuple[Event, ...]) -> None:
        """Append events to the history, then those that it could not store before: promises are rebuilt from them.

        Drop an old event that it rejects `REJECTED` times although it stores others.
        """
        try:
            await self.history.record(*new)
        except Failed:
            self._unrecorded = [*self._unrecorded, *((event, 0) for event in new)][-KEPT:]
            raise
        waiting, self._unrecorded = self._unrecorded, []
        for place, (event, rejected) in enumerate(waiting):
            try:
                await self.history.record(event)
            except Failed:
                rejected += bool(new or place)  # it stored others, so this event may be at fault
                again = [(event, rejected)] if rejected < REJECTED else []
                self._unrecorded = [*self._unrecorded, *waiting[place + 1 :], *again][-KEPT:]
                raise
