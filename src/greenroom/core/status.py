"""What people are told about one pull request: one value for the comment, `explain`, the dashboard and the log.

A `Stage` is the state at a glance; a `Reason` says why in one sentence and what to do next in another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from greenroom.core.model import Identity, Running


class Stage(StrEnum):
    """The state at a glance, by word first."""

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


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: `code` for machines and tests, `text` one sentence for people, `fix` the next step (may be empty).

    The words are built in `core.reasons` only, so that the same thing is said in the same words everywhere.
    """

    code: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.fix}".rstrip()


@dataclass(frozen=True, slots=True)
class Used:
    """Where one link leads, as people see it: `name` is `payments#17`, `staging`, `this preview` or `by hand`.

    `page` is the pull request's address, empty for what is none; `private` says that its repository is.
    """

    service: str
    target: str
    name: str
    why: str
    url: str
    page: str = ""
    private: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """A preview that uses this one, `storefront#2`, or that would if this one existed (`misses`)."""

    name: str
    page: str
    private: bool
    misses: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """One pull request as people see it. `name` is `catalog#42`. `expires` is when it expires, `expires_why` is why:
    `inactive` (activity moves it) or `age` (nothing does). `kept` says that the keep label is on.

    `serving` is True while a URL answers, whatever else goes on. `hold` is the key that `greenroom release` needs;
    `answer` says why the last command did nothing, `warning` when the preview goes by itself unless the reason does,
    and `by_hand` names what people set in Argo CD. `since` is when it came to this stage for this reason. `position` is
    the place in its repository's queue, 0 outside of it. Comments leave it out, or one closed pull request would
    rewrite all of them. `overdue` means that the preview is held for a person's decision and past its lifetime.
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
    serving: bool = False
    log: tuple[str, ...] = ()
    hold: str = ""
    warning: Reason | None = None
    by_hand: tuple[str, ...] = ()
    position: int = 0
    overdue: bool = False

    @property
    def number(self) -> int:
        """The pull request's number."""
        return self.identity.number
