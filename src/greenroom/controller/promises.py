"""Pull requests whose comment promises a preview. If one closes before its preview starts, the comment must be updated.

GitHub's list shows open pull requests only, so Greenroom reads these by number once the list leaves them out. Like a
webhook, this is a hint where to look: a wrong entry costs one read, and no decision depends on it. After a restart it
is rebuilt from the history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from greenroom.controller.events import STAGES
from greenroom.core.model.actions import UpdateComment
from greenroom.core.model.facts import Facts
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import MAY_START, Stage
from greenroom.core.planning.decision import Decision
from greenroom.store.rows import Event

_PROMISING = frozenset(stage.name.lower() for stage in MAY_START)
_OVER = Stage.NONE.name.lower()
RECENT = timedelta(hours=1)
"""A comment that was updated this long before the newest event in the history may not have been read back."""
TRIES = 10
"""Number of times that Greenroom tries to read a pull request that GitHub does not show."""
UNREAD_TRIES = 100
"""Number of times that Greenroom tries to read a pull request when the reads fail. The attempts are a minute apart, so
they continue through an outage of an hour or two.
"""


@dataclass(slots=True)
class Promises:
    """Open promises of one running instance, with the number of failed reads of each."""

    _tries: dict[Identity, int] = field(default_factory=dict)

    def begin(self, known: Iterable[Event]) -> None:
        """Add the promises of the history. Its events come newest first; the newest of each pull request counts.

        A comment that was updated shortly before the restart may not have been read back, so it is looked at once more.
        """
        seen: set[Identity] = set()
        known = tuple(known)
        recent = known[0].at - RECENT if known else None
        for event in known:
            identity = Identity(event.repository_id, event.number)
            if event.kind not in STAGES or identity in seen:
                continue
            seen.add(identity)
            updated = event.kind == _OVER and recent is not None and event.at >= recent
            if event.kind in _PROMISING or updated:
                self._tries.setdefault(identity, 0)

    def of(self, repository_id: int) -> frozenset[int]:
        """Return the numbers of one repository whose promise is open."""
        return frozenset(i.number for i in self._tries if i.repository_id == repository_id)

    def seen(self, facts: Facts, decision: Decision) -> None:
        """Add the pull requests that wait now. Drop the others once their comments read back as updated."""
        repository_id = facts.listing.repository_id
        told = {a.identity for a in decision.actions if isinstance(a, UpdateComment)}
        for identity in [i for i in self._tries if i.repository_id == repository_id]:
            status = decision.statuses.get(identity)
            if status is None:
                self._tries[identity] += 1
            unwritten = status is not None and status.stage is Stage.NONE and identity in told
            tries = TRIES if identity.number in facts.hidden else UNREAD_TRIES
            if not unwritten and (status or self._tries[identity] >= tries):
                del self._tries[identity]
        self._tries |= {i: 0 for i, s in decision.statuses.items() if s.stage in MAY_START}
