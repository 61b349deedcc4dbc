"""Expiry of previews, based on human activity.

Activity is a push, comment, review, reopening, marking ready, or a request for review by a person. `updated_at` is not:
bots, label edits and our own comment change it. https://docs.github.com/en/rest/issues/timeline

Each activity counts from the time when it became visible: a review from its submission, a push from the time when we
first saw its head. GitHub does not show when a commit was pushed, only when it was made. That may be days earlier, or
in the future if the author's clock is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from greenroom.core.model.catalog import Lifetime
from greenroom.core.model.github import Activity, CommentState, Kind, PullRequest
from greenroom.core.model.spec import PreviewSpec
from greenroom.core.policy import labels


@dataclass(frozen=True, slots=True)
class Expiry:
    """Time and cause of a preview's expiry (`at` is None for never), and its progress: to be warned of, warned, due."""

    at: datetime | None
    why: str = ""
    warn: bool = False
    warned: bool = False
    due: bool = False


NEVER = Expiry(None)


def last_activity(pull_request: PullRequest, spec: PreviewSpec, me: str) -> datetime:
    """Return the time of a person's last activity, but not earlier than when we first saw the running or waiting
    commit.

    Adding the label counts too, because a person who adds it wants the preview.
    """
    people = (_at(a, pull_request, spec) for a in pull_request.activities if _by_a_person(a, me))
    labeled = (
        e.at
        for e in pull_request.label_events
        if e.added and labels.same(e.label, spec.names.label) and e.actor.kind is Kind.PERSON
    )
    waiting = spec.times.waiting
    pushed: tuple[datetime, ...] = (waiting.since,) if waiting and pull_request.head_sha == waiting.head_sha else ()
    return max((*people, *labeled, *pushed, spec.times.head_since, spec.times.created))


def _by_a_person(activity: Activity, me: str) -> bool:
    return activity.actor.kind is Kind.PERSON and activity.actor.login != me


def _at(activity: Activity, pull_request: PullRequest, spec: PreviewSpec) -> datetime:
    """Return the time from which an activity counts.

    A commit counts at the latest from the time when its head was first seen.
    """
    if activity.kind == "committed" and pull_request.head_sha == spec.build.head_sha:
        return min(activity.at, spec.times.head_since)
    return activity.at


def overdue(spec: PreviewSpec, lifetime: Lifetime, expires: datetime | None, now: datetime) -> bool:
    """Return whether a preview is past its lifetime, by its age or by `expires`, its expiry by activity.

    A held preview never expires, so this is the only way to notice one that is too old.
    """
    aged = lifetime.max_age is not None and now >= spec.times.created + lifetime.max_age
    return aged or (expires is not None and now >= expires)


def expiry(
    pull_request: PullRequest, spec: PreviewSpec, lifetime: Lifetime, memory: CommentState, me: str, now: datetime
) -> Expiry:
    """Return when this preview expires unless a person works on it.

    An expiry is due only if its warning is at least `warn_before` old. A warning counts only for an expiry in whose
    warning window it was given. Activity moves the window, which makes the old warning void.
    """
    waiting = spec.times.waiting
    seen = pull_request.head_sha in (spec.build.head_sha, waiting.head_sha if waiting else "")
    active = last_activity(pull_request, spec, me) if seen else now
    times: list[tuple[datetime, str]] = []
    if lifetime.inactive_after and not labels.carries(pull_request.labels, lifetime.keep_label):
        times.append((active + lifetime.inactive_after, "inactive"))
    if lifetime.max_age:
        times.append((spec.times.created + lifetime.max_age, "age"))
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
