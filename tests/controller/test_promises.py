"""Who is looked for after the list leaves a pull request out: the newest stage counts, and nobody is looked for forever."""

from __future__ import annotations

from datetime import timedelta

from builders import NOW, PLATFORM, REPOSITORY, decide, facts, identity, pull_request
from greenroom.controller.promises import TRIES, UNREAD_TRIES, Promises
from greenroom.core.model.facts import Facts
from greenroom.store.rows import Event


def event(number: int, kind: str, minutes: int) -> Event:
    at = NOW - timedelta(minutes=minutes)
    return Event(f"{number}{kind}{minutes}", at, identity(number).repository_id, "shop", number, kind, "", {})


def seen(promises: Promises, found: Facts) -> None:
    promises.seen(found, decide(found, PLATFORM, REPOSITORY, NOW))


def test_promises_are_restored_from_the_history() -> None:
    promises = Promises()
    newest_first = [
        event(1, "told", 1),
        event(1, "queued", 2),
        event(2, "ready", 3),
        event(2, "waiting", 4),
        event(3, "blocked", 5),
        event(4, "none", 50),
        event(4, "queued", 55),
        event(5, "none", 70),
    ]
    promises.begin(newest_first)
    assert promises.of(identity().repository_id) == {1, 3, 4}, "4 was told that it is over, and nobody read that back"
    assert promises.of(999) == frozenset()


def test_a_preview_that_started_is_no_open_promise() -> None:
    promises = Promises()
    seen(promises, facts(pull_request(1, draft=True), pull_request(2)))
    assert promises.of(identity().repository_id) == {1}
    seen(promises, facts(pull_request(1)))
    assert promises.of(identity().repository_id) == frozenset()


def test_greenroom_stops_looking_for_a_pull_request_that_github_does_not_show() -> None:
    promises = Promises()
    seen(promises, facts(pull_request(1, draft=True)))
    hidden = facts(confirmed={1: "GitHub returned 404."}, promised=frozenset({1}), hidden=frozenset({1}))
    for tries in range(TRIES):
        assert promises.of(identity().repository_id) == {1}, tries
        seen(promises, hidden)
    assert promises.of(identity().repository_id) == frozenset()


def test_a_pull_request_that_closes_while_github_answers_with_errors_is_looked_for_until_it_is_read() -> None:
    promises = Promises()
    seen(promises, facts(pull_request(1, draft=True)))
    unread = facts(confirmed={1: "GitHub returned 502."}, promised=frozenset({1}))
    for _ in range(UNREAD_TRIES - 1):
        seen(promises, unread)
    assert promises.of(identity().repository_id) == {1}
    seen(promises, unread)
    assert promises.of(identity().repository_id) == frozenset()
