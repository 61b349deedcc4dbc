"""What carries our label and belongs to nothing: found hourly, told, and deleted only where the team asked for it.

An orphan is what no row, no Application and no open removal explains. Only a namespace is deleted, and only one that
each sweep of at least half an hour saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from greenroom.argocd.kube import Object
from greenroom.argocd.receipt import claimed_in, ours
from greenroom.argocd.sets import identity_of
from greenroom.core.model import Identity, RowSet

SEEN_FOR = 1800.0  # seconds; a sweep may be asked for at any time, so two of them prove nothing


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something that is left. `uid` names this very object."""

    kind: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep found, and what of it was deleted."""

    orphans: tuple[Orphan, ...] = ()
    deleted: tuple[Orphan, ...] = ()


@dataclass(slots=True)
class Sightings:
    """Since when each orphan has been seen by every sweep, in seconds of the monotonic clock."""

    since: dict[Orphan, float] = field(default_factory=dict)

    def lasting(self, found: Iterable[Orphan], now: float) -> tuple[Orphan, ...]:
        """Take note of what a sweep found now; returns the namespaces among it that have been orphans for long."""
        self.since = {orphan: self.since.get(orphan, now) for orphan in found}
        return tuple(o for o, seen in self.since.items() if o.kind == "namespace" and now - seen >= SEEN_FOR)


def orphans(
    installation: str,
    sets: Mapping[int, RowSet],
    applications: Iterable[Object],
    namespaces: Iterable[Object],
    volumes: Iterable[Object],
) -> tuple[Orphan, ...]:
    """Every orphan among these objects."""
    known = {Identity(r.repository_id, n) for r in sets.values() for n in r.rows}
    known |= {w.identity for r in sets.values() for w in r.ledger.withdrawals if not w.told}
    mine = [a for a in applications if ours(a, installation) and identity_of(a)]
    found = [_orphan("Application", a) for a in mine if identity_of(a) not in known]
    explained = known | {identity_of(a) for a in mine}
    spaces = [n for n in namespaces if ours(n, installation) and identity_of(n)]
    bare = [n for n in spaces if identity_of(n) not in explained and not n["metadata"].get("deletionTimestamp")]
    found += [_orphan("namespace", n) for n in bare]
    there = {n["metadata"]["name"] for n in namespaces}
    prefixes = {a["metadata"]["name"] for a in mine} | {n["metadata"]["name"] for n in spaces}
    found += [
        _orphan("PersistentVolume", v)
        for v in volumes
        if (space := claimed_in(v)) and space not in there and _of_ours(space, sets, prefixes)
    ]
    return tuple(sorted(found, key=str))


def _of_ours(space: str, sets: Mapping[int, RowSet], names: set[str]) -> bool:
    """Whether a namespace that is gone was a preview's: it is called as one of a repository of ours."""
    return space in names or any(
        space.rpartition("-")[2].isdecimal() and space.rpartition("-")[0].endswith(f"-{r.repository}")
        for r in sets.values()
    )


def _orphan(kind: str, found: Object) -> Orphan:
    return Orphan(kind, str(found["metadata"]["name"]), str(found["metadata"]["uid"]))
