"""How row actions change a repository's row set and its ledger."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace
from datetime import datetime, timedelta

from greenroom.core.actions import RowAction, Start, Withdraw
from greenroom.core.breaker import HOUR
from greenroom.core.model import Identity, Ledger, Release, Restart, RowSet, Withdrawal

RELEASES_KEPT = timedelta(days=7)
ROLL = "roll:"
"""What `greenroom roll` releases begins so: it is no hold, but the chart and settings of today."""


def applied(rows: RowSet, actions: Iterable[RowAction], now: datetime, spent: Set[Release] = frozenset()) -> RowSet:
    """The row set after these actions: rows and ledger change together, and so does the generation.

    `spent` are releases that are over.
    """
    served = dict(rows.rows)
    ledger = replace(rows.ledger, releases=tuple(r for r in rows.ledger.releases if r not in spent))
    for action in actions:
        number = action.identity.number
        if isinstance(action, Withdraw):
            served.pop(number, None)
            ledger = _withdrawn(
                ledger, Withdrawal(action.identity, action.cause, now, action.by, action.label, why=action.why)
            )
            continue
        served[number] = action.row
        if isinstance(action, Start):
            ledger = told(ledger, action.identity)
        elif action.restart:
            ledger = replace(ledger, restarts=(*ledger.restarts, Restart(action.identity, now)))
    return replace(rows, rows=served, ledger=pruned(ledger, now), generation=rows.generation + 1)


def _withdrawn(ledger: Ledger, entry: Withdrawal) -> Ledger:
    others = tuple(w for w in ledger.withdrawals if w.told or w.identity != entry.identity)
    return replace(ledger, withdrawals=(*others, entry))


def told(ledger: Ledger, identity: Identity) -> Ledger:
    """The ledger with that preview's withdrawal closed, which still counts for its hour; what let it go is spent."""
    entries = tuple(replace(w, told=True) if w.identity == identity else w for w in ledger.withdrawals)
    return replace(ledger, withdrawals=entries, releases=tuple(r for r in ledger.releases if r.identity != identity))


def all_told(rows: RowSet, identities: Iterable[Identity]) -> RowSet:
    """The row set with the withdrawals of these previews closed."""
    ledger = rows.ledger
    for identity in identities:
        ledger = told(ledger, identity)
    return replace(rows, ledger=ledger, generation=rows.generation + 1)


def released(rows: RowSet, releases: Iterable[Release], now: datetime) -> RowSet:
    """The row set with what a person released added to its ledger."""
    ledger = replace(rows.ledger, releases=(*rows.ledger.releases, *releases))
    return replace(rows, ledger=pruned(ledger, now), generation=rows.generation + 1)


def pruned(ledger: Ledger, now: datetime) -> Ledger:
    """The ledger without what no longer counts."""
    return Ledger(
        withdrawals=tuple(w for w in ledger.withdrawals if not w.told or w.at > now - HOUR),
        restarts=tuple(r for r in ledger.restarts if r.at > now - HOUR),
        releases=tuple(r for r in ledger.releases if r.at > now - RELEASES_KEPT),
    )


def is_released(ledger: Ledger, identity: Identity, hold: str) -> bool:
    """Whether a person released exactly this hold of this preview."""
    return release(ledger, identity, hold) is not None


def release(ledger: Ledger, identity: Identity, hold: str) -> Release | None:
    """The release of exactly this hold of this preview, or None."""
    return next((r for r in ledger.releases if (r.identity, r.hold) == (identity, hold)), None)


def withdrawal(ledger: Ledger, identity: Identity) -> Withdrawal | None:
    """The open entry of a preview whose row was taken out, or None."""
    return next((w for w in ledger.withdrawals if w.identity == identity and not w.told), None)
