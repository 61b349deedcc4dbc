"""Which commits of a pull request are known to have been its head before another one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from builders import NOW, identity, pull_request
from greenroom.controller.heads import KEPT, Heads
from greenroom.core.model.github import PullRequest

OLD, NEW = "a" * 40, "b" * 40


def read(head: str, minutes: float, number: int = 1) -> PullRequest:
    return replace(pull_request(number), head_sha=head, updated_at=NOW + timedelta(minutes=minutes))


def test_earlier_head_is_superseded_by_a_later_one() -> None:
    heads = Heads()
    heads.note([read(OLD, 1)])
    heads.note([read(NEW, 2), read(NEW, 2, number=2)])
    assert heads.superseded_by(identity(1), NEW) == {OLD}
    assert heads.superseded_by(identity(2), NEW) == frozenset()


def test_read_that_is_older_than_the_push_supersedes_nothing() -> None:
    """A replica that lags answers after the one that knew the push."""
    heads = Heads()
    for each in (read(OLD, 1), read(NEW, 2), read(OLD, 1.5)):
        heads.note([each])
    assert heads.superseded_by(identity(1), OLD) == frozenset()
    assert heads.superseded_by(identity(1), NEW) == {OLD}


def test_two_heads_of_one_second_supersede_nothing_until_a_later_read() -> None:
    heads = Heads()
    heads.note([read(OLD, 1), read(NEW, 1)])
    assert heads.superseded_by(identity(1), NEW) == frozenset()
    heads.note([read(NEW, 2)])
    assert heads.superseded_by(identity(1), NEW) == {OLD}


def test_commit_that_is_pushed_again_is_the_head_once_more() -> None:
    heads = Heads()
    for each in (read(OLD, 1), read(NEW, 2), read(OLD, 3)):
        heads.note([each])
    assert heads.superseded_by(identity(1), OLD) == {NEW}
    assert heads.superseded_by(identity(1), NEW) == frozenset()


def test_commit_that_was_never_read_is_not_known_to_be_superseded() -> None:
    heads = Heads()
    heads.note([read(NEW, 2)])
    assert heads.superseded_by(identity(1), NEW) == frozenset()
    assert heads.superseded_by(identity(1), OLD) == frozenset()
    assert heads.superseded_by(identity(1), "") == frozenset()


def test_memory_is_bounded_and_ends_with_what_is_shown() -> None:
    heads = Heads()
    for number in range(KEPT + 20):
        heads.note([read(f"{number:040x}", number)])
    last = f"{KEPT + 19:040x}"
    assert len(heads.superseded_by(identity(1), last)) == KEPT - 1
    heads.keep({identity(2)})
    assert heads.superseded_by(identity(1), last) == frozenset()
