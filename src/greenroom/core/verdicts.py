"""What `desired` says of one pull request: it should run, it should go, or everything stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from greenroom.core.activity import NEVER, Expiry
from greenroom.core.model import Cause, Identity, Memory, PullRequest
from greenroom.core.rows import Row
from greenroom.core.status import Reason, Stage


@dataclass(frozen=True, slots=True)
class Run:
    """The preview should exist with this row. `labelled_at` orders the queue."""

    row: Row
    reason: Reason
    labelled_at: datetime
    note: Reason | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """Whatever exists stays as it is, and what does not exist does not start: a gate, or doubt.

    `hold` is not empty when a person may let the preview go: the key of exactly this hold. `row` is the served row
    with current links, sleep, data life and pull request, but without a new version or configuration. In doubt it is
    the served row, made private if the repository is. None when no row is served. `position` is the place in the queue
    of its repository.
    """

    stage: Stage
    reason: Reason
    hold: str = ""
    row: Row | None = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class Go:
    """The preview should go, confirmed by a by-number read. `since` is the event that says so.

    `why` is an expiry's cause.
    """

    cause: Cause
    reason: Reason
    by: str
    since: datetime
    why: str = ""


Verdict = Run | Stay | Go


@dataclass(frozen=True, slots=True)
class Desired:
    """For every pull request of one repository, and every preview that the engine holds of it, what should be.

    `memories` are what its comment should remember; `answers` why its last command did nothing.
    """

    verdicts: Mapping[Identity, Verdict]
    pull_requests: Mapping[Identity, PullRequest] = field(default_factory=dict)
    expiries: Mapping[Identity, Expiry] = field(default_factory=dict)
    memories: Mapping[Identity, Memory] = field(default_factory=dict)
    answers: Mapping[Identity, Reason] = field(default_factory=dict)

    def expiry(self, identity: Identity) -> Expiry:
        """When that preview goes by itself; `NEVER` when it does not."""
        return self.expiries.get(identity, NEVER)
