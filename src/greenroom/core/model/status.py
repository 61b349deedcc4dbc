"""Status of one pull request: one value for the comment, `explain`, the dashboard and the log.

A `Stage` is the state at a glance. A `Reason` has one sentence that says why, and another one with the next step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from greenroom.core.comment.log_excerpt import telling_line
from greenroom.core.model.engine import Running
from greenroom.core.model.holds import HoldKey
from greenroom.core.model.migration_report import ServiceMigration
from greenroom.core.model.spec import Identity


class Stage(StrEnum):
    """The state at a glance, as one or two words."""

    NONE = "no preview"
    WAITING = "waiting"
    QUEUED = "queued"
    BLOCKED = "blocked"
    STARTING = "starting"
    READY = "ready"
    ASLEEP = "asleep"
    UPDATING = "updating"
    FAILED = "failed"
    EXPIRING = "expiring"
    HELD = "held"
    REMOVING = "removing"
    REMOVED = "removed"


SERVES = (Stage.READY, Stage.EXPIRING)
"""Stages of a ready preview. Only a ready preview can have the stage `EXPIRING`."""
MAY_START = (Stage.WAITING, Stage.QUEUED, Stage.BLOCKED)
"""Stages of a pull request that has no preview yet. Each pass checks again whether the preview may start."""


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason for a stage: `code` for machines and tests, `text` as one sentence for people, `fix` as the next step
    (may be empty).

    Only `core.messages` builds the texts, so that the same reason always has the same words.
    """

    code: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.fix}".rstrip()


@dataclass(frozen=True, slots=True)
class Used:
    """The target of one link, as people see it.

    `name` is the preview's own name (`shop#17`), `staging`, `this preview` or `an address set by hand`. `page` is the
    pull request's address, empty if the target has none. `private` means that its repository is private. `own` means
    that this preview itself answers, and nothing else has to be said about the link.
    """

    service: str
    target: str
    name: str
    why: str
    url: str
    page: str = ""
    private: bool = False
    own: bool = False

    @property
    def explained(self) -> bool:
        """Return whether the reason says more than the target does."""
        return self.why not in ("", self.name) and not self.own


@dataclass(frozen=True, slots=True)
class User:
    """A preview that uses this one, such as `storefront#2`, or that would if this one existed (`misses`).

    `manual_overrides` means that a person set the link in Argo CD.
    """

    name: str
    page: str
    private: bool
    misses: bool = False
    manual_overrides: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """One pull request as people see it. `name` is `catalog#42`. `expires` is the time when it expires, and
    `expires_why` is the rule: `inactive` (activity postpones it) or `age` (nothing does). `kept` means that the keep
    label is on.

    `head_sha` is the commit of the pull request, empty if it is unknown. `serves_head` means that the images of that
    commit are the only ones that serve, in every service.

    `serving` is True while a URL answers, in any stage. `hold` is the key that `greenroom release` needs. `answer` says
    why the last command had no effect. `warning` says when the preview expires, unless `reason` says so already.
    `manual_overrides` names the parameters that people set in Argo CD. `since` is the time when it entered this stage
    for this reason. `position` is the place in its repository's queue, 0 outside of it. Comments leave it out, or one
    closed pull request would rewrite all of them. `overdue` means that the preview is held for a person's decision and
    past its lifetime. `seeds` has a phrase for each database with a seed, and `logins` one for each account.
    `resettable` means that a person can start its data over. `migrations` has the reports of the migrations of
    `head_sha`.
    """

    identity: Identity
    name: str
    repository: str
    slug: str
    title: str
    author: str
    url: str
    stage: Stage
    reason: Reason
    services: tuple[Running, ...] = ()
    links: tuple[Used, ...] = ()
    used_by: tuple[User, ...] = ()
    answer: Reason | None = None
    since: datetime | None = None
    created: datetime | None = None
    expires: datetime | None = None
    expires_why: str = ""
    kept: bool = False
    head_sha: str = ""
    serves_head: bool = False
    serving: bool = False
    log: tuple[str, ...] = ()
    hold: HoldKey | None = None
    warning: Reason | None = None
    manual_overrides: tuple[str, ...] = ()
    position: int = 0
    overdue: bool = False
    seeds: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    resettable: bool = False
    migrations: tuple[ServiceMigration, ...] = ()

    @property
    def ending(self) -> tuple[str, ...]:
        """Return the services of which an earlier version has not stopped yet."""
        return tuple(s.service for s in self.services if s.ending)

    @property
    def cause(self) -> str:
        """Return the log line that names the cause of a failure, or an empty string."""
        return telling_line(self.log)

    @property
    def number(self) -> int:
        """Return the pull request's number."""
        return self.identity.number
