"""How many previews may exist at once: per repository, per author, in total; the rest queue in the order of labelling.

A preview that exists is never removed for a cap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from greenroom.core import reasons
from greenroom.core.catalogue import Limits, Platform
from greenroom.core.model import Facts, Identity, Observed
from greenroom.core.status import Stage
from greenroom.core.verdicts import Run, Stay, Verdict


@dataclass(slots=True)
class _Count:
    total: int = 0
    repositories: dict[int, int] = field(default_factory=dict)
    authors: dict[str, int] = field(default_factory=dict)

    def add(self, identity: Identity, author: str) -> None:
        self.total += 1
        self.repositories[identity.repository_id] = self.repositories.get(identity.repository_id, 0) + 1
        self.authors[author] = self.authors.get(author, 0) + 1

    def full(self, identity: Identity, author: str, limits: Limits) -> tuple[int, str] | None:
        """The limit that is reached, and of what."""
        if self.total >= limits.total:
            return limits.total, "in total"
        if self.repositories.get(identity.repository_id, 0) >= limits.per_repository:
            return limits.per_repository, "of this repository"
        return (limits.per_author, f"of {author}") if self.authors.get(author, 0) >= limits.per_author else None


def existing(observed: Observed) -> dict[Identity, str]:
    """Every preview that takes up room, with its author: it runs, or its row is served."""
    found = {i: p.row.author for i, p in observed.previews.items()}
    for rows in observed.sets.values():
        found |= {Identity(rows.repository_id, n): r.author for n, r in rows.rows.items()}
    return found


def admitted(verdicts: Mapping[Identity, Verdict], facts: Facts, platform: Platform) -> dict[Identity, Verdict]:
    """The same verdicts, with new previews above a limit turned into places in the queue."""
    taken = existing(facts.observed)
    count = _Count()
    for identity, author in taken.items():
        count.add(identity, author)
    new = [(v.labelled_at, i, v) for i, v in verdicts.items() if isinstance(v, Run) and i not in taken]
    result = dict(verdicts)
    position = 0
    for _, identity, verdict in sorted(new, key=lambda n: n[:2]):
        if reached := count.full(identity, verdict.row.author, platform.limits):
            position += 1
            result[identity] = Stay(Stage.QUEUED, reasons.queued(*reached), position=position)
        else:
            count.add(identity, verdict.row.author)
    return result
