"""One preview with its history, for the pages and the terminal. A failed read of the history costs only the events.

A preview that was removed before the last start is known from the history alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from greenroom import logs
from greenroom.controller.events import STAGES
from greenroom.controller.status_store import Board
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Reason, Stage, Status
from greenroom.errors import Failed
from greenroom.store.rows import Event

STEPS = 8  # events that the history keeps for one change


class Past(Protocol):
    """The source of events."""

    async def events(self, identity: Identity | None = None, limit: int = 50) -> tuple[Event, ...]:
        """Return the latest events, newest first. Raise `Failed` when they cannot be read."""

    async def named(self, repository: str, number: int, limit: int = 50) -> tuple[Event, ...]:
        """Return the latest events of `repository#number`, newest first. Raise `Failed` when they cannot be read."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The known facts about a preview. `status` is None if it is unknown. `wrong` says why there are no events.

    `events` are for people. `last` is the latest state or step that was noted.
    """

    name: str
    status: Status | None
    events: tuple[Event, ...] = ()
    wrong: str = ""
    last: Event | None = None

    @property
    def unknown(self) -> str:
        """Return the text to show below the name when there is no status."""
        if last := self.last:
            then = f"The last recorded state, at {last.at:%Y-%m-%d %H:%M} UTC: {last.text}"
            return f"Greenroom has not seen this pull request since it started. {then}"
        return f"Greenroom has not seen this pull request. Is it open? {self.wrong}".rstrip()


async def seen(board: Board, past: Past, repository: str, number: int, limit: int) -> Seen:
    """Return the known facts about `repository#number`, with its latest events."""
    status = board.find(repository, number)
    name = status.name if status else f"{repository}#{number}"
    try:
        if status:
            return Seen(name, status, for_people(await past.events(status.identity, limit=limit * STEPS))[:limit])
        events = await past.named(repository, number, limit=limit * STEPS)
    except Failed as error:
        return Seen(name, status, wrong=logs.scrub(str(error)))
    last = _last(events)
    return Seen(name, _removed(name, last), for_people(events)[:limit], last=last)


def for_people(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return one event for each change of a preview, newest first as given.

    The history also keeps each of Greenroom's own steps (withdrawn, deleted, concluded, receipt) with the same
    sentence. People read the states; of a verified removal they read only the end.
    """
    shown: list[Event] = []
    for event in events:
        last = shown[-1] if shown else None
        if not _is_state(event) or (event.kind == "removing" and last and last.kind == "removed"):
            continue
        if last and (last.kind, last.text) == (event.kind, event.text):
            shown[-1] = event  # the state began with the earlier event
        else:
            shown.append(event)
    return tuple(shown)


def _is_state(event: Event) -> bool:
    """Return whether an event is a state that people saw. The step of deleting is called `removed`, as a state is."""
    return event.kind in STAGES and (event.kind != "removed" or event.data.get("code") == "removed")


def _last(events: Iterable[Event]) -> Event | None:
    """Return the latest state. Events are newest first."""
    return next((e for e in events if e.kind in STAGES), None)


def _removed(name: str, last: Event | None) -> Status | None:
    """Return the status of a preview whose removal was proved; None for any other."""
    if last is None or last.kind != "removed" or not _is_state(last):
        return None
    identity = Identity(last.repository_id, last.number)
    reason = Reason("removed", last.text)
    return Status(identity, name, last.repository, "", "", "", "", Stage.REMOVED, reason, since=last.at)
