"""What changes a row without a push: the data's lives, tries after a refusal, sleep. Pure.

An ephemeral database begins at its seed again whenever what holds its data does: its container, or the pod with its
volume. That is a new incarnation: the services start again and migrate. https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from greenroom.core.model import ObservedPreview
from greenroom.core.rows import Row

_TRIES = (5, 10, 30, 60, 120, 300)


@dataclass(frozen=True, slots=True)
class Data:
    """Which life a preview's data is in: `lives` pairs each need with the container that holds its data."""

    incarnation: int = 1
    lives: tuple[tuple[str, str], ...] = ()
    renewed: datetime | None = None


def data(row: Row | None, preview: ObservedPreview | None, now: datetime) -> Data:
    """The data's life now. A container seen for the first time begins nothing anew, unless services overtook it."""
    if row is None:
        return Data()
    known = dict(row.lives)
    begun = False
    for life in preview.lives if preview else ():
        begun = begun or known.get(life.need, life.container) != life.container
        begun = begun or (life.need not in known and life.overtaken)
        known[life.need] = life.container
    lives = tuple(sorted(known.items()))
    return Data(row.incarnation + 1, lives, now) if begun else Data(row.incarnation, lives, row.renewed)


def try_again_in(row: Row, preview: ObservedPreview | None) -> timedelta | None:
    """How long until Argo CD is asked to apply the same row again; None when it did not refuse it.

    It never tries a failed sync of an unchanged source again by itself.
    https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/#automated-sync-semantics
    """
    if preview is None or preview.refused_for is None or preview.row != row:
        return None
    return timedelta(seconds=_TRIES[min(row.nonce, len(_TRIES) - 1)]) - preview.refused_for


def nonce(row: Row | None, preview: ObservedPreview | None, same_head: bool) -> int:
    """The number of the try: one more when its time has come, from zero with each push."""
    if row is None or not same_head:
        return 0
    wait = try_again_in(row, preview)
    return row.nonce + 1 if wait is not None and wait <= timedelta(0) else row.nonce
