"""Changes of a repository's preview set and its ledger by spec actions."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace
from datetime import datetime, timedelta

from greenroom.core.model.actions import SetAction, Start, Withdraw
from greenroom.core.model.engine import Ledger, PreviewSet, Recovery, Release, Restart, Withdrawal
from greenroom.core.model.holds import HoldKey
from greenroom.core.model.spec import Identity
from greenroom.core.policy.breaker import HOUR

RELEASES_KEPT = timedelta(days=7)


def applied(
    preview_set: PreviewSet, actions: Iterable[SetAction], now: datetime, spent: Set[Release] = frozenset()
) -> PreviewSet:
    """Return the preview set after these actions. Specs, ledger and generation change together.

    `spent` holds the releases that are over.
    """
    served = dict(preview_set.specs)
    ledger = replace(preview_set.ledger, releases=tuple(r for r in preview_set.ledger.releases if r not in spent))
    for action in actions:
        number = action.identity.number
        if isinstance(action, Withdraw):
            served.pop(number, None)
            ledger = _withdrawn(
                ledger, Withdrawal(action.identity, action.cause, now, action.by, action.label, why=action.why)
            )
            continue
        served[number] = action.spec
        if isinstance(action, Start):
            ledger = told(ledger, action.identity)
        elif action.restart:
            ledger = replace(ledger, restarts=(*ledger.restarts, Restart(action.identity, now)))
    recovery = preview_set.recovery and replace(preview_set.recovery, at=preview_set.recovery.at or now)
    return replace(
        preview_set,
        specs=served,
        ledger=pruned(ledger, now),
        generation=preview_set.generation + 1,
        recovery=recovery if recovery and is_recent(recovery, now) else None,
    )


def is_recent(recovery: Recovery | None, now: datetime) -> bool:
    """Return whether stored data was lost within the last hour, so that its removals are unknown."""
    return recovery is not None and (recovery.at is None or recovery.at > now - HOUR)


def outdated(preview_set: PreviewSet, now: datetime) -> bool:
    """Return whether the preview set must be written because entries no longer count, or a loss is not dated yet."""
    undated = preview_set.recovery is not None and preview_set.recovery.at is None
    over = preview_set.recovery is not None and not is_recent(preview_set.recovery, now)
    return undated or over or pruned(preview_set.ledger, now) != preview_set.ledger


def _withdrawn(ledger: Ledger, entry: Withdrawal) -> Ledger:
    others = tuple(w for w in ledger.withdrawals if w.told or w.identity != entry.identity)
    return replace(ledger, withdrawals=(*others, entry))


def told(ledger: Ledger, identity: Identity) -> Ledger:
    """Return the ledger with that preview's withdrawal closed and its releases dropped. The withdrawal still counts for
    its hour.
    """
    entries = tuple(replace(w, told=True) if w.identity == identity else w for w in ledger.withdrawals)
    return replace(ledger, withdrawals=entries, releases=tuple(r for r in ledger.releases if r.identity != identity))


def all_told(preview_set: PreviewSet, identities: Iterable[Identity]) -> PreviewSet:
    """Return the preview set with the withdrawals of these previews closed."""
    ledger = preview_set.ledger
    for identity in identities:
        ledger = told(ledger, identity)
    return replace(preview_set, ledger=ledger, generation=preview_set.generation + 1)


def released(preview_set: PreviewSet, releases: Iterable[Release], now: datetime) -> PreviewSet:
    """Return the preview set with a person's releases added to its ledger."""
    ledger = replace(preview_set.ledger, releases=(*preview_set.ledger.releases, *releases))
    return replace(preview_set, ledger=pruned(ledger, now), generation=preview_set.generation + 1)


def pruned(ledger: Ledger, now: datetime) -> Ledger:
    """Return the ledger without the entries that no longer count."""
    return Ledger(
        withdrawals=tuple(w for w in ledger.withdrawals if not w.told or w.at > now - HOUR),
        restarts=tuple(r for r in ledger.restarts if r.at > now - HOUR),
        releases=tuple(r for r in ledger.releases if r.at > now - RELEASES_KEPT),
    )


def is_released(ledger: Ledger, identity: Identity, hold: HoldKey) -> bool:
    """Return whether a person released exactly this hold of this preview."""
    return release(ledger, identity, hold) is not None


def release(ledger: Ledger, identity: Identity, hold: HoldKey) -> Release | None:
    """Return the release of exactly this hold of this preview, or None."""
    return next((r for r in ledger.releases if (r.identity, r.hold) == (identity, hold)), None)


def withdrawal(ledger: Ledger, identity: Identity) -> Withdrawal | None:
    """Return the open entry of a preview whose spec was taken out, or None."""
    return next((w for w in ledger.withdrawals if w.identity == identity and not w.told), None)
