"""Verdicts of `desired` on one pull request: its preview should run, it should be removed, or nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from greenroom.core.model.ci import MissingImages
from greenroom.core.model.engine import Cause
from greenroom.core.model.github import CommentState, PullRequest
from greenroom.core.model.holds import HoldKey
from greenroom.core.model.seeds import SeedBuild
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.core.model.status import Reason, Stage
from greenroom.core.policy.expiry import NEVER, Expiry


@dataclass(frozen=True, slots=True)
class Run:
    """The preview should exist with this spec. `labeled_at` orders the queue.

    `waits` holds the missing images if the spec is prepared, and is None otherwise.
    """

    spec: PreviewSpec
    reason: Reason
    labeled_at: datetime
    note: Reason | None = None
    waits: MissingImages | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing changes: an existing preview stays as it is, and a missing one does not start, because of a gate or
    doubt.

    `hold` is the key of exactly this hold when a person may release the preview, and None otherwise. `spec` is the
    served spec with current links, sleep, data life and pull request, but without a new version or configuration. In
    doubt it is the served spec, made private if the repository is. It is None when no spec is served. `position` is the
    place in the queue of its repository. `missing` holds the images that a waiting preview needs; None if it waits for
    something else. `builds` holds the seed images that it waits for.
    """

    stage: Stage
    reason: Reason
    hold: HoldKey | None = None
    spec: PreviewSpec | None = None
    position: int = 0
    missing: MissingImages | None = None
    builds: tuple[SeedBuild, ...] = ()


@dataclass(frozen=True, slots=True)
class Go:
    """The preview should be removed, confirmed by a by-number read. `since` is the time of the event that requires it.

    `why` is an expiry's cause.
    """

    cause: Cause
    reason: Reason
    by: str
    since: datetime
    why: str = ""


Verdict = Run | Stay | Go


def missing_images(verdict: Verdict) -> MissingImages | None:
    """Return the images that a preview waits for, whether it is prepared or not; None if it waits for none."""
    match verdict:
        case Stay(missing=missing) | Run(waits=missing):
            return missing
    return None


@dataclass(frozen=True, slots=True)
class Desired:
    """The verdict for every pull request of one repository, and for every preview that the engine holds of it.

    `memories` holds the state that each comment should remember. `answers` says why the last command had no effect.
    """

    verdicts: Mapping[Identity, Verdict]
    pull_requests: Mapping[Identity, PullRequest] = field(default_factory=dict)
    expiries: Mapping[Identity, Expiry] = field(default_factory=dict)
    memories: Mapping[Identity, CommentState] = field(default_factory=dict)
    answers: Mapping[Identity, Reason] = field(default_factory=dict)

    def expiry(self, identity: Identity) -> Expiry:
        """Return when that preview expires; `NEVER` when it does not."""
        return self.expiries.get(identity, NEVER)
