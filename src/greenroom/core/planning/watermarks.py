"""Watermarks: the newest state ever read of each pull request. An older answer is doubt, never a reason for a removal.

GitHub answers from replicas that lag, and a lagging answer looks like any other. Only `updated_at` shows that it is
older than an earlier one. The watermarks live in memory; the preview set keeps them across a restart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from greenroom.core.model.catalog import Platform
from greenroom.core.model.engine import EngineState, PreviewSet, Watermark
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import Confirmation, Listing, PullRequest, State
from greenroom.core.planning.desired import label_of
from greenroom.core.policy import labels
from greenroom.core.policy.gates import last_event

AHEAD = timedelta(minutes=1)
"""Maximum expected difference between the clocks of GitHub's servers."""


def raised(old: Watermark | None, new: Watermark) -> Watermark:
    """Return the higher of two watermarks."""
    if old is None:
        return new
    asked = [at for at in (old.asked_at, new.asked_at) if at]
    return Watermark(max(old.updated_at, new.updated_at), max(asked, default=None))


def plausible(pull_request: PullRequest, now: datetime) -> bool:
    """Return whether a read is not from the future. A watermark from the future would make all later reads stale."""
    return pull_request.updated_at <= now + AHEAD


def read(
    pull_requests: Iterable[PullRequest], read_at: datetime, observed: EngineState, platform: Platform
) -> dict[int, Watermark]:
    """Return the watermarks of these pull requests, which were listed at `read_at` or read by number after it."""
    found: dict[int, Watermark] = {}
    for pull_request in pull_requests:
        if plausible(pull_request, read_at):
            number = pull_request.identity.number
            mark = Watermark(pull_request.updated_at, _asked_at(pull_request, observed, platform))
            found[number] = raised(found.get(number), mark)
    return found


def noted(preview_set: PreviewSet, facts: Facts, starts: Collection[int] = ()) -> PreviewSet:
    """Return the preview set with the watermarks and comment ids of the pull requests that matter now, and no others.

    `starts` holds those whose preview starts now. A pull request that only requests a preview has nothing to remove.
    Thousands may request one, and each watermark would need a `Preview` object.
    """
    kept = {i.number for i in facts.observed.held(facts.listing.repository_id)}.union(starts)
    marks = dict(preview_set.watermarks)
    for number, mark in facts.watermarks.items():
        marks[number] = raised(marks.get(number), mark)
    read = all_read(facts.listing, facts.confirmed)
    ids = dict(preview_set.comments) | {p.identity.number: p.comment.id for p in read if p.comment}
    return replace(
        preview_set,
        watermarks={n: mark for n, mark in sorted(marks.items()) if n in kept},
        comments={n: comment for n, comment in sorted(ids.items()) if n in kept},
    )


def due(before: PreviewSet, after: PreviewSet, facts: Facts) -> bool:
    """Return whether the preview set must be written for its watermarks although no spec changes.

    A removal needs a read that is not older than the last event that requested the preview: the label was added, or the
    pull request was reopened. So the stored watermark must never be older than such an event, or a restart could accept
    an outdated read. Comments and pushes raise watermarks too, but never request a preview, so they wait for the next
    change of a spec. The id of our comment is written once, when the comment is created.
    """
    if any(before.comments.get(n) != after.comments.get(n) for n in before.specs):
        return True
    held = facts.observed.held(facts.listing.repository_id)
    return any(_stored(before, i.number) != _stored(after, i.number) for i in held)


def _stored(preview_set: PreviewSet, number: int) -> datetime | None:
    mark = preview_set.watermarks.get(number)
    return mark.asked_at if mark else None


def _asked_at(pull_request: PullRequest, observed: EngineState, platform: Platform) -> datetime | None:
    """Return when the preview was last requested, as far as GitHub shows it; None when it is not requested."""
    label = label_of(pull_request, observed.last_spec(pull_request.identity), platform)
    if pull_request.state is not State.OPEN or not labels.carries(pull_request.labels, label):
        return None
    event = last_event(pull_request.label_events, label)
    reopened = [a.at for a in pull_request.activities if a.kind == "reopened"]
    return max([*reopened, *([event.at] if event and event.added else [])], default=None)


def all_read(listing: Listing, confirmed: Mapping[int, Confirmation | str]) -> tuple[PullRequest, ...]:
    """Return every read of a pull request in a pass: those of the list, then those by number."""
    by_number = (c.pull_request for c in confirmed.values() if isinstance(c, Confirmation))
    return (*listing.pull_requests, *by_number)
