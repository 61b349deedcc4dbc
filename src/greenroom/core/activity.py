"""When a preview expires, from what humans did.

Activity is a push, comment, review, reopening, marking ready, or a request for review by a person. `updated_at` is not:
bots, label edits and our own comment move it. https://docs.github.com/en/rest/issues/timeline

Each counts from when it became visible: a review from its submission, a push from when we first saw its head. GitHub
does not show when a commit was pushed, only when it was made. That may be days earlier, or in the future if the
author's clock is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from greenroom.core import labels
from greenroom.core.catalogue import Lifetime
from greenroom.core.model import Activity, Kind, Memory, PullRequest
from greenroom.core.rows import Row


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a preview goes (`at`, None = never), why, and how far that is: to be warned of, warned, due."""

    at: datetime | None
    why: str = ""
    warn: bool = False
    warned: bool = False
    due: bool = False


NEVER = Expiry(None)


def last_activity(pull_request: PullRequest, row: Row, me: str) -> datetime:
    """Return when a person last did something, at the earliest when we first saw the running or waiting commit.

    A person who puts the label on wants the preview: that counts too.
    """
    people = (_at(a, pull_request, row) for a in pull_request.activities if _by_a_person(a, me))
    labelled = (
        e.at
        for e in pull_request.label_events
        if e.added and labels.same(e.label, row.naming.label) and e.actor.kind is Kind.PERSON
    )
    pushed: tuple[datetime, ...] = (
        (row.waiting_since,) if row.waiting_since and pull_request.head_sha == row.waiting_head else ()
    )
    return max((*people, *labelled, *pushed, row.head_since, row.created))


def _by_a_person(activity: Activity, me: str) -> bool:
    return activity.actor.kind is Kind.PERSON and activity.actor.login != me


def _at(activity: Activity, pull_request: PullRequest, row: Row) -> datetime:
    """Return when an activity counts from. A commit counts at the latest from when its head was first seen."""
    if activity.kind == "committed" and pull_request.head_sha == row.head_sha:
        return min(activity.at, row.head_since)
    return activity.at


def overdue(row: Row, lifetime: Lifetime, expires: datetime | None, now: datetime) -> bool:
    """Return whether a preview is past its lifetime, by its age or by `expires`, its expiry by activity.

    A held preview never expires, so this is the only way to notice one that is too old.
    """
    aged = lifetime.max_age is not None and now >= row.created + lifetime.max_age
    return aged or (expires is not None and now >= expires)


def expiry(pull_request: PullRequest, row: Row, lifetime: Lifetime, memory: Memory, me: str, now: datetime) -> Expiry:
    """When this preview goes unless somebody works on it.

    Nothing is due that was not warned of at least `warn_before` ago. A warning is one for this very time only when it
    was given inside the window before it: activity moves the window on, and the old warning is void.
    """
    seen = pull_request.head_sha in (row.head_sha, row.waiting_head)
    active = last_activity(pull_request, row, me) if seen else now
    times: list[tuple[datetime, str]] = []
    if lifetime.inactive_after and not labels.carries(pull_request.labels, lifetime.keep_label):
        times.append((active + lifetime.inactive_after, "inactive"))
    if lifetime.max_age:
        times.append((row.created + lifetime.max_age, "age"))
    if not times:
        return NEVER
    at, why = min(times)
    warned = memory.warned_at is not None and at - lifetime.warn_before <= memory.warned_at <= now
    if warned and memory.warned_at:
        at = max(at, memory.warned_at + lifetime.warn_before)
    return Expiry(
        at,
        why,
        warn=not warned and now >= at - lifetime.warn_before,
        warned=warned,
        due=warned and now >= at,
    )
