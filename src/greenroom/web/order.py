"""What page and terminal have in common: in which order people want to see previews, and when one goes by itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from greenroom.core.status import Stage, Status

ORDER = (
    Stage.FAILED,
    Stage.HELD,
    Stage.EXPIRING,  # it goes while nobody looks; what is blocked waits
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
    """Return the statuses in that order, by name within a stage. Overdue ones come first: only a person ends them."""
    return sorted(statuses, key=lambda s: (not s.overdue, ORDER.index(s.stage), s.repository, s.number))


def goes(status: Status, now: datetime | None) -> datetime | None:
    """When it goes by itself; None where that is past, waits for a person, or is what the reason says anyway."""
    if status.hold or status.stage in (Stage.HELD, Stage.EXPIRING, Stage.REMOVING, Stage.REMOVED):
        return None
    return status.expires if status.expires and now and status.expires > now else None
