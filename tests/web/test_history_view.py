"""What people read of a preview's history: one entry for each thing that happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from greenroom.store.rows import Event
from greenroom.web.history_view import for_people

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CLOSED = "ada closed the pull request."


def events(*kinds: tuple[str, str, str]) -> list[Event]:
    """Events of (kind, text, code), oldest first in the call, newest first in the answer, a second apart."""
    made = [
        Event(f"{i}", NOW + timedelta(seconds=i), 7, "shop", 1, kind, text, {"code": code})
        for i, (kind, text, code) in enumerate(kinds)
    ]
    return made[::-1]


def test_closed_pull_request_is_one_entry_after_the_verified_removal() -> None:
    found = for_people(
        events(
            ("ready", "All services are up.", "ready"),
            ("withdrawn", CLOSED, "closed"),
            ("removing", CLOSED, "closed"),
            ("removed", CLOSED, "closed"),
            ("concluded", CLOSED, "gone"),
            ("receipt", "All of the preview's resources have been deleted.", ""),
            ("removed", f"{CLOSED} All of the preview's resources have been deleted.", "removed"),
        )
    )
    assert [e.kind for e in found] == ["removed", "ready"]
    assert found[0].text == f"{CLOSED} All of the preview's resources have been deleted."


def test_removal_that_is_under_way_is_shown() -> None:
    found = for_people(
        events(("ready", "Up.", "ready"), ("withdrawn", CLOSED, "closed"), ("removing", CLOSED, "closed"))
    )
    assert [e.kind for e in found] == ["removing", "ready"]


def test_state_that_was_noted_twice_is_one_entry_with_its_first_time() -> None:
    found = for_people(
        events(("failed", "It crashed.", "failed"), ("changed", "x", "retry"), ("failed", "It crashed.", "failed"))
    )
    assert [(e.kind, e.at) for e in found] == [("failed", NOW)]
