"""Since when a preview is as it is, and what of that is written down: across passes, starts and a lost history."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import NOW, PLATFORM, REPOSITORY, decide, facts, identity, observed, pull_request
from greenroom.controller import events
from greenroom.core.model.status import Reason, Stage, Status
from greenroom.store.rows import Event

EARLIER = NOW - timedelta(hours=5)


def status(stage: Stage = Stage.READY, code: str = "ready", text: str = "All services are up.") -> Status:
    found = decide(facts(pull_request(1), holds=observed(1)), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    return replace(found, stage=stage, reason=Reason(code, text))


def event(kind: str = "ready", code: str = "ready") -> Event:
    return Event(f"{kind}{code}", EARLIER, 7, "shop", 1, kind, "", {"code": code})


def test_an_event_of_a_failure_begins_with_its_cause() -> None:
    failed = replace(status(Stage.FAILED, "failed", "web ended."), log=("Traceback", "KeyError: 'PORT'"))
    found = events.of_status(failed, None, (), NOW)
    assert found is not None
    assert found.text == "KeyError: 'PORT'. web ended."


BEFORE = replace(status(), since=EARLIER)


@pytest.mark.parametrize(
    ("now_is", "before", "known", "since", "written"),
    [
        (status(), BEFORE, (), EARLIER, False),
        (status(text="All services are up, again."), BEFORE, (), EARLIER, True),
        (status(Stage.FAILED, "failed"), BEFORE, (), NOW, True),
        (status(), None, (event(), event("changed", "x")), EARLIER, False),
        (status(), None, (event("changed", "x"), event()), EARLIER, False),
        (status(Stage.FAILED, "failed"), None, (event(),), NOW, True),
        (status(), None, (), None, True),
        (replace(status(Stage.WAITING, "image-missing"), created=None), None, (), NOW, True),
    ],
    ids=[
        "nothing changed",
        "other words for the same",
        "another stage",
        "a start",
        "a start after an action",
        "it failed while nobody looked",
        "the history is lost, so it may be older",
        "a pull request that was just labeled",
    ],
)
def test_a_status_has_its_time_and_is_written_down_once(
    now_is: Status, before: Status | None, known: tuple[Event, ...], since: object, written: bool
) -> None:
    assert events.dated(now_is, before, known, NOW).since == since
    found = events.of_status(now_is, before, known, NOW)
    assert (found is not None) is written
    assert found is None or found.at == NOW
