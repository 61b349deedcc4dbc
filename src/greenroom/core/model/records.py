"""A preview set as one record for each pull request, which an engine can store and change one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime

from greenroom.core.model.engine import Cause, Ledger, PreviewSet, Recovery, Release, Restart, Watermark, Withdrawal
from greenroom.core.model.holds import HoldKey
from greenroom.core.model.spec import Identity, PreviewSpec


@dataclass(frozen=True, slots=True)
class StoredWithdrawal:
    """A `Withdrawal` of the record's own preview."""

    cause: Cause
    at: datetime
    by: str = ""
    label: str = ""
    told: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """A `Release` of a hold of the record's own preview."""

    hold: HoldKey
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredPreview:
    """Everything that is stored about one pull request. `spec` is None if no preview should run.

    `restarts` are times. `comment` is the id of our comment, 0 if there is none. Ledger entries are in order of time.
    """

    spec: PreviewSpec | None = None
    withdrawals: tuple[StoredWithdrawal, ...] = ()
    restarts: tuple[datetime, ...] = ()
    releases: tuple[StoredRelease, ...] = ()
    watermark: Watermark | None = None
    comment: int = 0


EMPTY = StoredPreview()


def records(preview_set: PreviewSet) -> dict[int, StoredPreview]:
    """Return the records of a preview set by number. A number without a record has nothing to store."""
    found: dict[int, StoredPreview] = {}
    ledger = preview_set.ledger

    def of(number: int) -> StoredPreview:
        return found.get(number, EMPTY)

    for number, spec in preview_set.specs.items():
        found[number] = replace(of(number), spec=spec)
    for w in ledger.withdrawals:
        kept = of(w.identity.number)
        entry = StoredWithdrawal(w.cause, w.at, w.by, w.label, w.told, w.why)
        found[w.identity.number] = replace(kept, withdrawals=(*kept.withdrawals, entry))
    for restart in ledger.restarts:
        kept = of(restart.identity.number)
        found[restart.identity.number] = replace(kept, restarts=(*kept.restarts, restart.at))
    for r in ledger.releases:
        kept = of(r.identity.number)
        found[r.identity.number] = replace(kept, releases=(*kept.releases, StoredRelease(r.hold, r.by, r.at)))
    for number, mark in preview_set.watermarks.items():
        found[number] = replace(of(number), watermark=mark)
    for number, comment in preview_set.comments.items():
        found[number] = replace(of(number), comment=comment)
    return found


def joined(
    repository_id: int,
    repository: str,
    generation: int,
    found: Mapping[int, StoredPreview],
    recovery: Recovery | None = None,
) -> PreviewSet:
    """Return the preview set of these records. Entries of the ledger are in order of time."""
    ledger = Ledger(
        tuple(sorted(_withdrawals(repository_id, found), key=lambda w: (w.at, w.identity))),
        tuple(sorted(_restarts(repository_id, found), key=lambda r: (r.at, r.identity))),
        tuple(sorted(_releases(repository_id, found), key=lambda r: (r.at, r.identity))),
    )
    return PreviewSet(
        repository_id,
        repository,
        generation,
        {n: r.spec for n, r in sorted(found.items()) if r.spec is not None},
        ledger,
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


def _withdrawals(repository_id: int, found: Mapping[int, StoredPreview]) -> Iterator[Withdrawal]:
    for number, record in found.items():
        for w in record.withdrawals:
            yield Withdrawal(Identity(repository_id, number), w.cause, w.at, w.by, w.label, w.told, w.why)


def _restarts(repository_id: int, found: Mapping[int, StoredPreview]) -> Iterator[Restart]:
    for number, record in found.items():
        for at in record.restarts:
            yield Restart(Identity(repository_id, number), at)


def _releases(repository_id: int, found: Mapping[int, StoredPreview]) -> Iterator[Release]:
    for number, record in found.items():
        for r in record.releases:
            yield Release(Identity(repository_id, number), r.hold, r.by, r.at)
