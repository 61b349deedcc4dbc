"""A read that is older than a hint or than our own write is stale; three looks, then it is let go."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from builders import NOW, REPOSITORY, facts, pull_request
from greenroom.controller.executor import effect
from greenroom.controller.freshness import HINT_KEPT, MARK_KEPT, Freshness
from greenroom.core.model.actions import Remove
from greenroom.core.model.engine import Watermark
from greenroom.core.model.github import Comment
from greenroom.core.model.status import Reason
from greenroom.errors import Doubt


class Monotonic:
    def __init__(self) -> None:
        self.value = 0.0

    def __call__(self) -> float:
        return self.value


@pytest.fixture
def clock() -> Monotonic:
    return Monotonic()


@pytest.fixture
def fresh(clock: Monotonic) -> Freshness:
    return Freshness(clock)


def test_a_hint_bounds_reads_from_below(fresh: Freshness, clock: Monotonic) -> None:
    read = pull_request(1)
    fresh.hinted(read.identity, read.updated_at + timedelta(seconds=1))
    assert fresh.stale(read)
    later = replace(read, updated_at=read.updated_at + timedelta(seconds=1))
    assert not fresh.stale(later)
    fresh.hinted(read.identity, read.updated_at + timedelta(days=1))
    assert fresh.stale(read)
    clock.value = HINT_KEPT + 1  # a wrong bound cannot stop a pull request for ever
    assert not fresh.stale(read)


def test_our_own_comment_must_come_back(fresh: Freshness) -> None:
    read = pull_request(1)
    fresh.wrote_comment(read.identity, 1, "ours\nnew")
    assert fresh.stale(replace(read, comment=None))
    assert fresh.stale(replace(read, comment=Comment(1, "ours\nold", trusted=True)))
    assert not fresh.stale(replace(read, comment=Comment(1, "ours\r\nnew", trusted=True)))
    assert not fresh.stale(replace(read, comment=Comment(1, "somebody else's", trusted=False)))


def test_a_label_that_we_took_off_is_off(fresh: Freshness) -> None:
    read = replace(pull_request(1), labels=frozenset({"preview"}))
    at = max(e.at for e in read.label_events)
    fresh.took_label_off(read.identity, "preview", at)
    assert fresh.stale(read)
    assert not fresh.stale(replace(read, labels=frozenset()))
    again = tuple(replace(e, at=at + timedelta(seconds=1)) for e in read.label_events)
    assert not fresh.stale(replace(read, label_events=again))


def test_waits_grow_and_start_over(fresh: Freshness) -> None:
    assert [fresh.wait(7, stale=True) for _ in range(4)] == [2.0, 10.0, 60.0, 60.0]
    assert fresh.wait(7, stale=False) is None
    assert fresh.wait(7, stale=True) == 2.0


def test_what_the_list_does_not_show_is_asked_three_times(fresh: Freshness) -> None:
    read = pull_request(1)
    fresh.hinted(read.identity, read.updated_at)
    assert not fresh.unseen(read.identity.repository_id, [1])
    assert [fresh.unseen(read.identity.repository_id, []) for _ in range(4)] == [True, True, True, False]


def test_hint_that_the_list_never_showed_stays_a_bound(fresh: Freshness) -> None:
    read = pull_request(1)
    fresh.hinted(read.identity, read.updated_at + timedelta(seconds=1))
    for _ in range(4):
        fresh.unseen(read.identity.repository_id, [])
    assert fresh.stale(read)


def test_hint_outlives_a_read_that_is_older_than_it(fresh: Freshness) -> None:
    read = pull_request(1)
    fresh.hinted(read.identity, read.updated_at + timedelta(seconds=1))
    fresh.keep(read.identity.repository_id, {1: Watermark(read.updated_at)})
    assert fresh.stale(read)


def test_answer_older_than_one_that_was_read_is_stale_after_the_hint_has_done_its_work(fresh: Freshness) -> None:
    read = pull_request(1)
    later = read.updated_at + timedelta(seconds=2)
    fresh.hinted(read.identity, later)
    fresh.keep(read.identity.repository_id, {1: Watermark(later)})
    assert fresh.stale(read)
    assert not fresh.stale(replace(read, updated_at=later))
    assert not fresh.stale(pull_request(2))


def test_hour_of_a_hint_does_not_end_what_was_read(fresh: Freshness, clock: Monotonic) -> None:
    read = pull_request(1)
    later = read.updated_at + timedelta(seconds=2)
    fresh.keep(read.identity.repository_id, {1: Watermark(later)})
    for _ in range(10):  # each pass reads it again
        clock.value += MARK_KEPT / 2
        assert fresh.stale(read)
        fresh.keep(read.identity.repository_id, fresh.marks(read.identity.repository_id))


def test_hint_from_githubs_future_is_a_hint_of_now(fresh: Freshness) -> None:
    read = pull_request(1)
    fresh.hinted(read.identity, NOW + timedelta(days=365))
    fresh.cap(read.identity.repository_id, NOW)
    assert fresh.stale(replace(read, updated_at=NOW - timedelta(seconds=1)))
    assert not fresh.stale(replace(read, updated_at=NOW))


async def test_what_github_spoke_of_since_the_read_is_not_acted_on() -> None:
    read = pull_request(1)
    fresh = Freshness()
    made: Any = SimpleNamespace(freshness=fresh)
    target: Any = SimpleNamespace(facts=facts(read), repository=REPOSITORY)
    calls: list[str] = []

    async def remove(identity: object, uid: str) -> None:
        calls.append(uid)

    engine: Any = SimpleNamespace(remove=remove, writing=nullcontext)
    action = Remove(read.identity, "uid", Reason("gone", "It was closed."))
    fresh.hinted(read.identity, read.updated_at + timedelta(seconds=1))
    assert isinstance((await effect(engine, made, target, action)).error, Doubt)
    assert calls == []
    target.facts = facts(replace(read, updated_at=read.updated_at + timedelta(seconds=1)))
    assert (await effect(engine, made, target, action)).error is None
    assert calls == ["uid"]
