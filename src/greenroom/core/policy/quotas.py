"""Limits on the number of previews: per repository, per author, in total. The rest queue in the order of labeling.

An existing preview is never removed because of a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from greenroom.core import messages
from greenroom.core.model.catalog import Limits, Platform
from greenroom.core.model.engine import EngineState
from greenroom.core.model.facts import Facts
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage
from greenroom.core.model.verdicts import Run, Stay, Verdict


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
        """Return the limit that is reached, and its scope."""
        if self.total >= limits.total:
            return limits.total, "in total"
        if self.repositories.get(identity.repository_id, 0) >= limits.per_repository:
            return limits.per_repository, "for this repository"
        return (limits.per_author, f"for {author}") if self.authors.get(author, 0) >= limits.per_author else None


def existing(observed: EngineState) -> dict[Identity, str]:
    """Return every preview that counts toward the limits, with its author: one that runs, or whose spec is served."""
    found = {i: p.spec.pull_request.author for i, p in observed.previews.items()}
    for preview_set in observed.sets.values():
        found |= {Identity(preview_set.repository_id, n): r.pull_request.author for n, r in preview_set.specs.items()}
    return found


def admitted(verdicts: Mapping[Identity, Verdict], facts: Facts, platform: Platform) -> dict[Identity, Verdict]:
    """Return the same verdicts, but with new previews above a limit in the queue."""
    taken = existing(facts.observed)
    count = _Count()
    for identity, author in taken.items():
        count.add(identity, author)
    new = [(v.labeled_at, i, v) for i, v in verdicts.items() if isinstance(v, Run) and i not in taken]
    result = dict(verdicts)
    position = 0
    for _, identity, verdict in sorted(new, key=lambda n: n[:2]):
        if reached := count.full(identity, verdict.spec.pull_request.author, platform.limits):
            position += 1
            result[identity] = Stay(Stage.QUEUED, messages.queued(*reached), position=position)
        else:
            count.add(identity, verdict.spec.pull_request.author)
    return result
