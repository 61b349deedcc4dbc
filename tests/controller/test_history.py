"""Events that the history could not store are stored later, and one that it rejects keeps out no other."""

from __future__ import annotations

import pytest

from builders import NOW
from greenroom.controller.journal import REJECTED, Journal
from greenroom.core.model.spec import Identity
from greenroom.errors import Failed
from greenroom.store.rows import Deployment, Event


class History:
    """Store events, except for those in `rejected`; the calls with a number in `fails` fail as a whole."""

    def __init__(self, *, rejected: str = "", fails: tuple[int, ...] = ()) -> None:
        self.stored: list[str] = []
        self.calls = 0
        self._rejected = rejected
        self._fails = fails

    async def record_deployments(self, *deployments: Deployment) -> int:
        return len(deployments)

    async def events(self, identity: Identity | None = None, limit: int = 50) -> tuple[Event, ...]:
        return ()

    async def record(self, *events: Event) -> int:
        self.calls += bool(events)
        if events and (self.calls in self._fails or self._rejected in [e.key for e in events]):
            raise Failed("The history cannot be written.")
        self.stored += [e.key for e in events]
        return len(events)


def event(key: str) -> Event:
    return Event(key, NOW, 1, "shop", 1, "waiting", key, {})


async def recorded(history: History, *batches: list[str]) -> Journal:
    journal = Journal(history)
    for batch in batches:
        await journal.write([event(key) for key in batch], [])
    return journal


async def test_an_event_that_is_rejected_keeps_out_no_other_and_is_dropped() -> None:
    history = History(rejected="wrong")
    journal = await recorded(history, ["wrong", "promise"], *([f"later {n}"] for n in range(REJECTED + 1)))
    assert set(history.stored) == {"promise", *(f"later {n}" for n in range(REJECTED + 1))}
    assert journal.waiting == 0


@pytest.mark.parametrize("fails", [(1,), (1, 3), (1, 2), (1, 3, 5)])
async def test_a_short_outage_loses_nothing(fails: tuple[int, ...]) -> None:
    history = History(fails=fails)
    await recorded(history, ["one", "two"], ["three"], ["four"], ["five"], ["six"])
    assert sorted(history.stored) == ["five", "four", "one", "six", "three", "two"]
