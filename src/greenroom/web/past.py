"""One preview with its history, for those who look. A history that cannot be read costs its own part, nothing else.

Who was removed before a start is known from the history alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from greenroom import logs
from greenroom.controller.board import Board
from greenroom.controller.events import STAGES
from greenroom.core.model import Identity
from greenroom.core.status import Reason, Stage, Status
from greenroom.errors import Failed
from greenroom.store.rows import Event

STEPS = 8  # events that history keeps of one thing that happened


class Past(Protocol):
    """Where events are read."""

    async def events(self, identity: Identity | None = None, limit: int = 50) -> tuple[Event, ...]:
        """The latest events, newest first. Raises `Failed`."""

    async def named(self, repository: str, number: int, limit: int = 50) -> tuple[Event, ...]:
        """The latest events of `repository#number`, newest first. Raises `Failed`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A preview as it is known; `status` is None when it is not. `wrong` says why there are no events.

    `events` are for people, `last` is the latest state or step that was noted.
    """

    name: str
    status: Status | None
    events: tuple[Event, ...] = ()
    wrong: str = ""
    last: Event | None = None

    @property
    def unknown(self) -> str:
        """What to say where there is no status."""
        if last := self.last:
            then = f"The last that it noted, at {last.at:%Y-%m-%d %H:%M} UTC: {last.text}"
            return f"{self.name}: Greenroom has not seen this pull request since it started. {then}"
        return f"{self.name}: Greenroom has not seen this pull request; is it open? {self.wrong}".rstrip()


async def seen(board: Board, past: Past, repository: str, number: int, limit: int) -> Seen:
    """What is known of `repository#number`, with its latest events."""
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
    """Return one event for each thing that happened to a preview, newest first as given.

    History also keeps every step of ours (row withdrawn, deleted, concluded, receipt), each with the same sentence.
    People read the states; of a removal that was verified its end.
    """
    shown: list[Event] = []
    for event in events:
        last = shown[-1] if shown else None
        if not _is_state(event) or (event.kind == "removing" and last and last.kind == "removed"):
            continue
        if last and (last.kind, last.text) == (event.kind, event.text):
            shown[-1] = event  # it has been so since the earlier one
        else:
            shown.append(event)
    return tuple(shown)


def _is_state(event: Event) -> bool:
    """Whether an event is a state that people saw. The step of deleting has the name of the state `removed`."""
    return event.kind in STAGES and (event.kind != "removed" or event.data.get("code") == "removed")


def _last(events: Iterable[Event]) -> Event | None:
    """The latest state; events are newest first."""
    return next((e for e in events if e.kind in STAGES), None)


def _removed(name: str, last: Event | None) -> Status | None:
    """The state of a preview whose removal was proved."""
    if last is None or last.kind != "removed" or not _is_state(last):
        return None
    identity = Identity(last.repository_id, last.number)
    reason = Reason("removed", last.text)
    return Status(identity, name, last.repository, "", "", "", "", Stage.REMOVED, reason, since=last.at)
