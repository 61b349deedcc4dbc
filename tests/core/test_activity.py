"""From when what people did counts."""

from __future__ import annotations

from datetime import timedelta

from builders import ADA, ME, NOW, pull_request, row, sha
from greenroom.core.activity import last_activity
from greenroom.core.model import Activity

SEEN = NOW - timedelta(hours=2)


def test_commit_from_the_future_counts_from_when_its_head_was_first_seen() -> None:
    forged = Activity("committed", ADA, NOW)
    assert last_activity(pull_request(1, activities=(forged,)), row(1, head_since=SEEN), ME) == SEEN


def test_commit_that_was_made_days_before_its_push_counts_from_when_its_head_was_first_seen() -> None:
    old = Activity("committed", ADA, NOW - timedelta(days=5))
    assert last_activity(pull_request(1, activities=(old,)), row(1, head_since=SEEN), ME) == SEEN


def test_commit_of_a_head_that_does_not_run_yet_counts_from_its_own_time() -> None:
    new = Activity("committed", ADA, NOW - timedelta(minutes=5))
    pushed = pull_request(1, head_sha=sha(1, 2), activities=(new,))
    assert last_activity(pushed, row(1, head_since=SEEN), ME) == new.at
