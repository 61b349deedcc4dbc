"""The number of previews that may be removed, or restarted, within an hour before a person must confirm.

The engine stores the ledger of the hour, so neither a restart of Greenroom nor the loss of its database resets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from greenroom.core.model.engine import Cause, EngineState, Ledger
from greenroom.core.model.spec import Identity

HOUR = timedelta(hours=1)
FLOOR = 3
REMOVALS = 0.20
RESTARTS = 0.10


@dataclass(slots=True)
class Budget:
    """The budget of one hour, in one repository and in total. `take` spends it; the same preview counts once."""

    limits: tuple[int, int]
    repository: set[Identity] = field(default_factory=set)
    total: set[Identity] = field(default_factory=set)

    def take(self, identity: Identity) -> str:
        """Spend one. Return an empty string if there is room, else the exhausted scope, in words for people."""
        for spent, limit, scope in self._scopes():
            if identity not in spent and len(spent) >= limit:
                return scope
        self.repository.add(identity)
        self.total.add(identity)
        return ""

    def limit(self, scope: str) -> int:
        """Return the limit of a scope that `take` returned."""
        return next(limit for _, limit, name in self._scopes() if name == scope)

    def _scopes(self) -> tuple[tuple[set[Identity], int, str], ...]:
        return (
            (self.repository, self.limits[0], "in this repository"),
            (self.total, self.limits[1], "across all repositories"),
        )


def removals(observed: EngineState, held: int, repository_id: int, cause: Cause, now: datetime) -> Budget:
    """Return the remaining budget for one cause of removal. `held` is the repository's number of previews."""

    def spent(ledger: Ledger) -> Iterable[Identity]:
        return (w.identity for w in ledger.withdrawals if w.cause is cause and w.at > now - HOUR)

    return _budget(observed, held, repository_id, REMOVALS, spent)


def restarts(observed: EngineState, held: int, repository_id: int, now: datetime) -> Budget:
    """Return the remaining budget for restarts that no push caused."""

    def spent(ledger: Ledger) -> Iterable[Identity]:
        return (r.identity for r in ledger.restarts if r.at > now - HOUR)

    return _budget(observed, held, repository_id, RESTARTS, spent)


def _budget(
    observed: EngineState, held: int, repository_id: int, share: float, spent: Callable[[Ledger], Iterable[Identity]]
) -> Budget:
    total = {identity for preview_set in observed.sets.values() for identity in spent(preview_set.ledger)}
    everything = len(observed.previews.keys() | {Identity(i, n) for i, s in observed.sets.items() for n in s.specs})
    limits = (max(FLOOR, int(held * share)), max(FLOOR, int(everything * share)))
    return Budget(limits, {i for i in total if i.repository_id == repository_id}, total)
