"""Orphans: objects of ours that belong to nothing. They are found and reported hourly, and deleted only if configured.

An orphan is an object that no spec, no Application and no open removal explains. Only namespaces are deleted, and only
those that every sweep has seen for at least half an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from greenroom.argocd.applicationset import identity_of
from greenroom.argocd.client import Object
from greenroom.argocd.receipt import claimed_in, ours
from greenroom.argocd.timing import DEFAULT
from greenroom.core.model.engine import PreviewSet
from greenroom.core.model.spec import Identity


@dataclass(frozen=True, slots=True)
class Orphan:
    """An object that is left over. `uid` identifies this exact object."""

    kind: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Sweep:
    """The result of one sweep: the orphans that it found, and those that it deleted."""

    orphans: tuple[Orphan, ...] = ()
    deleted: tuple[Orphan, ...] = ()


@dataclass(slots=True)
class OrphanTracker:
    """The time since which every sweep has seen each orphan, in seconds of the monotonic clock.

    `age` is for how many seconds sweeps must have seen a namespace before it may be deleted.
    """

    age: float = DEFAULT.orphan_age
    since: dict[Orphan, float] = field(default_factory=dict)

    def lasting(self, found: Iterable[Orphan], now: float) -> tuple[Orphan, ...]:
        """Record the orphans of a sweep. Return the namespaces that have been orphans for at least `age`."""
        self.since = {orphan: self.since.get(orphan, now) for orphan in found}
        return tuple(o for o, seen in self.since.items() if o.kind == "namespace" and now - seen >= self.age)


def orphans(
    installation: str,
    sets: Mapping[int, PreviewSet],
    applications: Iterable[Object],
    namespaces: Iterable[Object],
    volumes: Iterable[Object],
) -> tuple[Orphan, ...]:
    """Return every orphan among these objects."""
    known = {Identity(r.repository_id, n) for r in sets.values() for n in r.specs}
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


def _of_ours(space: str, sets: Mapping[int, PreviewSet], names: set[str]) -> bool:
    """Return whether a deleted namespace was a preview's, judged by its name and the names of our repositories."""
    return space in names or any(
        space.rpartition("-")[2].isdecimal() and space.rpartition("-")[0].endswith(f"-{r.repository}")
        for r in sets.values()
    )


def _orphan(kind: str, found: Object) -> Orphan:
    return Orphan(kind, str(found["metadata"]["name"]), str(found["metadata"]["uid"]))
