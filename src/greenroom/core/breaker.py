"""How many previews may go, or restart, within an hour before a person is asked.

The ledger of the hour lives with the engine, so neither a restart of Greenroom nor the loss of its database resets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from greenroom.core.model import Cause, Identity, Ledger, Observed

HOUR = timedelta(hours=1)
FLOOR = 3
REMOVALS = 0.20
RESTARTS = 0.10


@dataclass(slots=True)
class Budget:
    """What one hour allows, in one repository and in total. `take` spends it; the same preview is counted once."""

    limits: tuple[int, int]
    repository: set[Identity] = field(default_factory=set)
    total: set[Identity] = field(default_factory=set)

    def take(self, identity: Identity) -> str:
        """Spend one. Empty when there is room; else the scope that is used up, as people read it."""
        for spent, limit, scope in self._scopes():
            if identity not in spent and len(spent) >= limit:
                return scope
        self.repository.add(identity)
        self.total.add(identity)
        return ""

    def limit(self, scope: str) -> int:
        """The limit of a scope that `take` named."""
        return next(limit for _, limit, name in self._scopes() if name == scope)

    def _scopes(self) -> tuple[tuple[set[Identity], int, str], ...]:
        return (
            (self.repository, self.limits[0], "of this repository"),
            (self.total, self.limits[1], "of all repositories"),
        )


def removals(observed: Observed, held: int, repository_id: int, cause: Cause, now: datetime) -> Budget:
    """What is left of the hour for one cause of removal. `held` is how many previews the repository has."""

    def spent(ledger: Ledger) -> Iterable[Identity]:
        return (w.identity for w in ledger.withdrawals if w.cause is cause and w.at > now - HOUR)

    return _budget(observed, held, repository_id, REMOVALS, spent)


def restarts(observed: Observed, held: int, repository_id: int, now: datetime) -> Budget:
    """What is left of the hour for restarts that nobody pushed."""

    def spent(ledger: Ledger) -> Iterable[Identity]:
        return (r.identity for r in ledger.restarts if r.at > now - HOUR)

    return _budget(observed, held, repository_id, RESTARTS, spent)


def _budget(
    observed: Observed, held: int, repository_id: int, share: float, spent: Callable[[Ledger], Iterable[Identity]]
) -> Budget:
    total = {identity for rows in observed.sets.values() for identity in spent(rows.ledger)}
    everything = len(observed.previews.keys() | {Identity(i, n) for i, s in observed.sets.items() for n in s.rows})
    limits = (max(FLOOR, int(held * share)), max(FLOOR, int(everything * share)))
    return Budget(limits, {i for i in total if i.repository_id == repository_id}, total)
