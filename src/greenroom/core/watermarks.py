"""Watermarks: the newest state of each pull request that was ever read. What is older is doubt, never a removal.

GitHub answers from replicas that lag, and a lagging answer looks like any other. Only `updated_at` tells that it is
older than one that was read before. The marks live in memory; the row set keeps them across a restart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from greenroom.core import labels
from greenroom.core.catalogue import Platform
from greenroom.core.desired import held, label_of
from greenroom.core.gates import last_event
from greenroom.core.model import Confirmation, Facts, PullRequest, RowSet, State, Watermark

AHEAD = timedelta(minutes=1)
"""How far the servers of one GitHub may differ."""


def raised(old: Watermark | None, new: Watermark) -> Watermark:
    """The higher of two marks."""
    if old is None:
        return new
    asked = [at for at in (old.asked_at, new.asked_at) if at]
    return Watermark(max(old.updated_at, new.updated_at), max(asked, default=None))


def plausible(pull_request: PullRequest, now: datetime) -> bool:
    """Whether a read is not from GitHub's future. A mark that lay there would make every later read older than it."""
    return pull_request.updated_at <= now + AHEAD


def read(facts: Facts, platform: Platform) -> dict[int, Watermark]:
    """The marks of everything that this pass has read."""
    found: dict[int, Watermark] = {}
    for pull_request in _pull_requests(facts):
        if plausible(pull_request, facts.listing.read_at):
            number = pull_request.identity.number
            mark = Watermark(pull_request.updated_at, _asked_at(pull_request, facts, platform))
            found[number] = raised(found.get(number), mark)
    return found


def noted(rows: RowSet, facts: Facts, starts: Collection[int] = ()) -> RowSet:
    """The row set with what is known of its pull requests now, and without what is known of others.

    `starts` are those whose preview starts now. What only asks for a preview has none that could be removed, and
    thousands may ask: their marks would fill the annotation that the rows need.
    """
    kept = {i.number for i in held(facts)}.union(starts)
    marks = dict(rows.watermarks)
    for number, mark in facts.watermarks.items():
        marks[number] = raised(marks.get(number), mark)
    ids = dict(rows.comments) | {p.identity.number: p.comment.id for p in _pull_requests(facts) if p.comment}
    return replace(
        rows,
        watermarks={n: mark for n, mark in sorted(marks.items()) if n in kept},
        comments={n: comment for n, comment in sorted(ids.items()) if n in kept},
    )


def due(before: RowSet, after: RowSet, facts: Facts) -> bool:
    """Whether what was noted must be written although no row changes.

    A removal needs a read by number that is not older than the last event that asked for the preview: the label was put
    on, or the pull request reopened. So a mark that is older than such an event must not be the one that a restart
    finds. What else raises marks, comments and pushes, cannot turn a preview that was not asked for into one that is,
    and waits for the next change of a row. The id of our comment changes once, when it is made.
    """
    if any(before.comments.get(n) != after.comments.get(n) for n in before.rows):
        return True
    nothing = Watermark(facts.listing.read_at)
    return any(
        before.watermarks.get(i.number, nothing).asked_at != after.watermarks.get(i.number, nothing).asked_at
        for i in held(facts)
    )


def _asked_at(pull_request: PullRequest, facts: Facts, platform: Platform) -> datetime | None:
    """When the preview was asked for last, as far as GitHub shows it; None when it is not asked for."""
    if not _asks(pull_request, facts, platform):
        return None
    event = last_event(pull_request.label_events, _label(pull_request, facts, platform))
    reopened = [a.at for a in pull_request.activities if a.kind == "reopened"]
    return max([*reopened, *([event.at] if event and event.added else [])], default=None)


def _asks(pull_request: PullRequest, facts: Facts, platform: Platform) -> bool:
    label = _label(pull_request, facts, platform)
    return pull_request.state is State.OPEN and labels.carries(pull_request.labels, label)


def _label(pull_request: PullRequest, facts: Facts, platform: Platform) -> str:
    preview = facts.observed.previews.get(pull_request.identity)
    row = facts.observed.row(pull_request.identity) or (preview.row if preview else None)
    return label_of(pull_request, row, platform)


def _pull_requests(facts: Facts) -> Iterable[PullRequest]:
    by_number = (c.pull_request for c in facts.confirmed.values() if isinstance(c, Confirmation))
    return (*facts.listing.pull_requests, *by_number)
