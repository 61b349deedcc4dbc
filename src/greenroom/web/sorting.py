"""Rules that the pages and the terminal share: the order of previews, and the time when one expires."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from greenroom.controller.status_store import RepositoryHealth
from greenroom.core import messages
from greenroom.core.model.status import Stage, Status

SHOWN = 3  # names of repositories in one sentence
ORDER = (
    Stage.FAILED,
    Stage.HELD,
    Stage.EXPIRING,  # it is removed even if nobody looks; a blocked one waits
    Stage.BLOCKED,
    Stage.WAITING,
    Stage.QUEUED,
    Stage.STARTING,
    Stage.UPDATING,
    Stage.REMOVING,
    Stage.READY,
    Stage.ASLEEP,
    Stage.REMOVED,
    Stage.NONE,
)


def problems_first(statuses: Iterable[Status]) -> list[Status]:
    """Return the statuses in `ORDER`, by name within a stage. Overdue ones come first: only a person ends them."""
    return sorted(statuses, key=lambda s: (not s.overdue, ORDER.index(s.stage), s.repository, s.number))


@dataclass(frozen=True, slots=True)
class Trouble:
    """One sentence of trouble and the repositories that it concerns, in the order of their names."""

    text: str
    repositories: tuple[str, ...]
    since: datetime | None

    @property
    def many(self) -> bool:
        """Return whether the title counts the repositories instead of naming them."""
        return len(self.repositories) > SHOWN

    @property
    def title(self) -> str:
        """Return the names of up to three repositories, or the number of repositories."""
        return f"{len(self.repositories)} repositories" if self.many else ", ".join(self.repositories)


def troubles(repositories: Iterable[RepositoryHealth]) -> tuple[Trouble, ...]:
    """Group repositories by their trouble: when GitHub is away, all of them have the same one."""
    groups: dict[str, list[RepositoryHealth]] = {}
    for each in sorted(repositories, key=lambda r: r.name):
        if each.trouble:
            groups.setdefault(each.trouble, []).append(each)
    return tuple(
        Trouble(
            text, tuple(r.name for r in group), min((r.trouble_since for r in group if r.trouble_since), default=None)
        )
        for text, group in groups.items()
    )


def upcoming(status: Status, now: datetime | None) -> datetime | None:
    """Return the time of expiry, or None if it has passed, needs a decision, or is in the reason already."""
    if status.hold or status.stage in (Stage.HELD, Stage.EXPIRING, Stage.REMOVING, Stage.REMOVED):
        return None
    return status.expires if status.expires and now and status.expires > now else None


def expiry(status: Status, now: datetime | None) -> str:
    """Return when a preview expires and what would change that, as a sentence; empty if `upcoming` has no time."""
    at = upcoming(status, now)
    return messages.expires(at, status.expires_why) if at else ""
