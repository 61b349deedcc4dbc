"""Watermarks: what is older than an earlier read is doubt, across a restart and whoever wrote the preview set."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from builders import NOW, PLATFORM, REPOSITORY_ID, confirmation, facts, identity, labeled, observed, pull_request
from greenroom.core.model import codec
from greenroom.core.model.engine import EngineState, PreviewSet, Watermark
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import Activity, Actor, Comment, PullRequest, State
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.records import joined, records
from greenroom.core.model.verdicts import Go, Stay
from greenroom.core.planning import watermarks
from greenroom.core.policy.removal import removal

SECOND = timedelta(seconds=1)
AT = NOW - timedelta(hours=2)  # when `pull_request` was labeled


def holding(marks: dict[int, Watermark], *numbers: int) -> tuple[EngineState, PreviewSet]:
    holds = observed(*numbers)
    preview_set = replace(holds.sets[REPOSITORY_ID], watermarks=marks)
    return replace(holds, sets={REPOSITORY_ID: preview_set}), preview_set


def read(found: Facts) -> dict[int, Watermark]:
    reads = watermarks.all_read(found.listing, found.confirmed)
    return watermarks.read(reads, found.listing.read_at, found.observed, PLATFORM)


def written(marks: dict[int, Watermark], *pull_requests: PullRequest) -> tuple[bool, PreviewSet]:
    """Whether the preview set is written for its watermarks alone, and what it is then."""
    holds, preview_set = holding(marks, 1)
    found = facts(*pull_requests, holds=holds)
    found = replace(found, watermarks=read(found))
    noted = watermarks.noted(preview_set, found)
    return watermarks.due(preview_set, noted, found), noted


@pytest.mark.parametrize(
    ("kept", "changes", "due"),
    [
        (None, {}, True),
        (Watermark(AT, AT), {}, False),
        (Watermark(AT), {}, True),
        (Watermark(AT - SECOND, AT - SECOND), {}, True),
        (Watermark(AT, AT), {"activities": (Activity("commented", Actor("ada"), NOW),)}, False),
        (Watermark(AT, AT), {"activities": (Activity("reopened", Actor("ada"), AT + SECOND),)}, True),
        (Watermark(AT - SECOND, AT - SECOND), {"labels": frozenset()}, False),
        (Watermark(AT - SECOND, AT - SECOND), {"state": State.CLOSED}, False),
        (Watermark(AT, AT), {"label_events": (labeled(), labeled(NOW, label="bug"))}, False),
    ],
    ids=[
        "an older version wrote the row set",
        "the label is known",
        "the mark is of a time without the label",
        "the label was put on again",
        "a comment",
        "reopened",
        "unlabeled",
        "closed",
        "another label",
    ],
)
def test_specs_are_written_for_a_watermark_when_an_event_that_asks_is_newer(
    kept: Watermark | None, changes: dict[str, object], due: bool
) -> None:
    assert written({1: kept} if kept else {}, pull_request(1, **changes))[0] is due


def test_watermark_that_was_written_is_not_written_again() -> None:
    due, noted = written({}, pull_request(1))
    assert due
    assert not written(dict(noted.watermarks), pull_request(1))[0]


def test_id_of_our_comment_is_written_once() -> None:
    holds, preview_set = holding({1: Watermark(NOW, AT)}, 1)
    found = facts(pull_request(1, comment=Comment(77, "ours")), holds=holds)
    noted = watermarks.noted(preview_set, found)
    assert noted.comments == {1: 77}
    assert watermarks.due(preview_set, noted, found)
    assert not watermarks.due(noted, noted, found)


def test_watermarks_of_pull_requests_that_are_none_of_ours_are_not_kept() -> None:
    holds, preview_set = holding({1: Watermark(NOW), 9: Watermark(NOW)}, 1)
    others = (pull_request(2, labels=frozenset()), pull_request(3), pull_request(4))
    found = facts(pull_request(1), *others, holds=holds)
    found = replace(found, watermarks=read(found))
    assert set(watermarks.noted(preview_set, found, starts=[3]).watermarks) == {1, 3}


def test_pull_requests_that_wait_for_a_place_store_nothing() -> None:
    holds, preview_set = holding({}, 1)
    queue = [pull_request(n, updated_at=NOW - n * SECOND, comment=Comment(2**40 + n, "")) for n in range(2, 3000)]
    found = facts(pull_request(1), *queue, holds=holds)
    found = replace(found, watermarks=read(found))
    assert records(watermarks.noted(preview_set, found)).keys() == records(preview_set).keys()


def test_read_from_githubs_future_raises_no_watermark() -> None:
    found = facts(pull_request(1, updated_at=NOW + timedelta(days=1)), pull_request(2, updated_at=NOW + SECOND))
    assert read(found) == {2: Watermark(NOW + SECOND, AT)}


def closed_with(mark: Watermark | None, at: datetime) -> Go | Stay:
    """The verdict on one that was closed at that time, with this watermark."""
    closed = pull_request(1, state=State.CLOSED, closed_at=at, updated_at=at)
    found: Facts = facts(holds=observed(1), confirmed={1: confirmation(closed)})
    return removal(identity(1), "preview", replace(found, watermarks={1: mark} if mark else {}), None)


@pytest.mark.parametrize(
    ("mark", "at", "goes"),
    [
        (None, NOW, True),
        (Watermark(NOW, NOW), NOW, False),
        (Watermark(NOW, NOW - SECOND), NOW, True),
        (Watermark(NOW), NOW, True),
        (Watermark(NOW - timedelta(hours=1), NOW - timedelta(hours=1)), NOW - timedelta(hours=1), True),
    ],
    ids=["never asked", "reopened then", "commented then", "unlabeled then", "an hour ago"],
)
def test_closing_read_in_the_second_of_a_reopening_waits_an_hour(
    mark: Watermark | None, at: datetime, goes: bool
) -> None:
    assert isinstance(closed_with(mark, at), Go) is goes


def test_removal_in_the_second_of_a_request_waits_for_a_person_and_an_older_one_does_not() -> None:
    same, older = closed_with(Watermark(NOW, NOW), NOW), closed_with(Watermark(NOW, NOW), NOW - SECOND)
    assert isinstance(same, Stay)
    assert isinstance(older, Stay)
    assert (same.reason.code, same.hold) == ("same-second", HoldKey(HoldKind.SAME_SECOND, since=NOW))
    assert (older.reason.code, older.hold) == ("stale", None)


def test_preview_sets_keep_watermarks_and_comments_in_both_engines() -> None:
    _, preview_set = holding({1: Watermark(NOW, AT)}, 1)
    preview_set = replace(preview_set, comments={1: 2**40})
    assert codec.loaded(PreviewSet, json.loads(json.dumps(codec.dumped(preview_set)))) == preview_set
    again = joined(preview_set.repository_id, preview_set.repository, preview_set.generation, records(preview_set))
    assert again == preview_set


def test_preview_set_of_an_older_version_knows_no_watermark() -> None:
    old = codec.dumped(observed(1).sets[REPOSITORY_ID])
    del old["watermarks"], old["comments"]
    assert codec.loaded(PreviewSet, old) == observed(1).sets[REPOSITORY_ID]
