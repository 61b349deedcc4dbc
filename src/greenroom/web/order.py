"""The order in which people want to see previews, on the page and in the terminal: problems first, then what runs."""

from __future__ import annotations

from collections.abc import Iterable

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
    """The same statuses in that order; within a stage by name."""
    return sorted(statuses, key=lambda s: (ORDER.index(s.stage), s.repository, s.number))
