"""From when what people did counts."""

from __future__ import annotations

from datetime import timedelta

from builders import ADA, ME, NOW, pull_request, sha, spec
from greenroom.core.model.catalog import Lifetime
from greenroom.core.model.github import Activity, CommentState
from greenroom.core.model.spec import WaitingPush
from greenroom.core.policy.expiry import expiry, last_activity

SEEN = NOW - timedelta(hours=2)


def test_commit_from_the_future_counts_from_when_its_head_was_first_seen() -> None:
    forged = Activity("committed", ADA, NOW)
    assert last_activity(pull_request(1, activities=(forged,)), spec(1, head_since=SEEN), ME) == SEEN


def test_commit_that_was_made_days_before_its_push_counts_from_when_its_head_was_first_seen() -> None:
    old = Activity("committed", ADA, NOW - timedelta(days=5))
    assert last_activity(pull_request(1, activities=(old,)), spec(1, head_since=SEEN), ME) == SEEN


def test_commit_of_a_head_that_does_not_run_yet_counts_from_its_own_time() -> None:
    new = Activity("committed", ADA, NOW - timedelta(minutes=5))
    pushed = pull_request(1, head_sha=sha(1, 2), activities=(new,))
    assert last_activity(pushed, spec(1, head_since=SEEN), ME) == new.at


def test_head_that_was_never_seen_before_was_pushed_just_now() -> None:
    """Whatever the time that its commits give, and before anything remembers it."""
    lifetime = Lifetime(inactive_after=timedelta(days=3), max_age=None, warn_before=timedelta(days=1))
    begun, warned = NOW - timedelta(days=5), CommentState(warned_at=NOW - timedelta(days=2))
    quiet = pull_request(1, label_events=())
    idle = spec(1, head_since=begun, created=begun)
    assert expiry(quiet, idle, lifetime, warned, ME, NOW).due
    pushed = pull_request(1, label_events=(), head_sha=sha(1, 2))
    assert expiry(pushed, idle, lifetime, warned, ME, NOW).at == NOW + timedelta(days=3)
    waiting = spec(1, head_since=begun, created=begun, waiting=WaitingPush(sha(1, 2), NOW - timedelta(days=1)))
    assert expiry(pushed, waiting, lifetime, warned, ME, NOW).at == NOW + timedelta(days=2)
