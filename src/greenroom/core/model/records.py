"""A preview set as one record for each pull request, which an engine can store and change one at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from greenroom.core.model.engine import Ledger, PreviewSet, Recovery, Release, Restart, Watermark, Withdrawal
from greenroom.core.model.spec import PreviewSpec


@dataclass(frozen=True, slots=True)
class StoredPreview:
    """Everything that is stored about one pull request. `spec` is None if no preview should run.

    `ledger` holds the entries of this preview only. `comment` is the id of our comment, 0 if there is none.
    """

    spec: PreviewSpec | None = None
    ledger: Ledger = field(default_factory=Ledger)
    watermark: Watermark | None = None
    comment: int = 0


EMPTY = StoredPreview()


def records(preview_set: PreviewSet) -> dict[int, StoredPreview]:
    """Return the records of a preview set by number. A number without a record has nothing to store."""
    ledgers = _by_number(preview_set.ledger)
    numbers = preview_set.specs.keys() | ledgers.keys() | preview_set.watermarks.keys() | preview_set.comments.keys()
    return {
        n: StoredPreview(
            preview_set.specs.get(n),
            ledgers.get(n, EMPTY.ledger),
            preview_set.watermarks.get(n),
            preview_set.comments.get(n, 0),
        )
        for n in sorted(numbers)
    }


def joined(
    repository_id: int,
    repository: str,
    generation: int,
    found: Mapping[int, StoredPreview],
    recovery: Recovery | None = None,
) -> PreviewSet:
    """Return the preview set of these records. Entries of the ledger are in order of time."""
    ledgers = [record.ledger for record in found.values()]
    return PreviewSet(
        repository_id,
        repository,
        generation,
        {n: r.spec for n, r in sorted(found.items()) if r.spec is not None},
        Ledger(
            tuple(sorted((w for each in ledgers for w in each.withdrawals), key=lambda w: (w.at, w.identity))),
            tuple(sorted((r for each in ledgers for r in each.restarts), key=lambda r: (r.at, r.identity))),
            tuple(sorted((r for each in ledgers for r in each.releases), key=lambda r: (r.at, r.identity))),
        ),
        {n: r.watermark for n, r in sorted(found.items()) if r.watermark is not None},
        {n: r.comment for n, r in sorted(found.items()) if r.comment},
        recovery,
    )


def keeping(before: PreviewSet, after: PreviewSet, numbers: Set[int]) -> PreviewSet:
    """Return the later set with the earlier records of these numbers."""
    if not numbers:
        return after
    kept, old = records(after), records(before)
    mixed = {n: old.get(n, EMPTY) if n in numbers else kept[n] for n in kept.keys() | (numbers & old.keys())}
    return joined(after.repository_id, after.repository, after.generation, mixed, after.recovery)


def _by_number(ledger: Ledger) -> dict[int, Ledger]:
    """Return the ledger of each pull request by its number."""
    withdrawals, restarts = defaultdict[int, list[Withdrawal]](list), defaultdict[int, list[Restart]](list)
    releases = defaultdict[int, list[Release]](list)
    for withdrawal in ledger.withdrawals:
        withdrawals[withdrawal.identity.number].append(withdrawal)
    for restart in ledger.restarts:
        restarts[restart.identity.number].append(restart)
    for release in ledger.releases:
        releases[release.identity.number].append(release)
    numbers = withdrawals.keys() | restarts.keys() | releases.keys()
    return {n: Ledger(tuple(withdrawals[n]), tuple(restarts[n]), tuple(releases[n])) for n in numbers}
