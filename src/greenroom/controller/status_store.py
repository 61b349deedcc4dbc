"""Latest view of a running instance for people: statuses, troubles, the plan. A cache, never an input.

The loop writes it after each pass; the dashboard, the command line and the metrics read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from greenroom.controller.heads import Heads
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage, Status

REMOVED_KEPT = timedelta(days=1)
REMOVED_SHOWN = 200


@dataclass(frozen=True, slots=True)
class RepositoryHealth:
    """Result of the last reads of one repository. `trouble` is one sentence, empty when the reads succeed."""

    name: str
    slug: str
    read_at: datetime | None = None
    trouble: str = ""
    trouble_since: datetime | None = None


@dataclass(slots=True)
class Board:
    """The latest statuses by identity, the heads of their pull requests, and the health of each repository by its short
    name.

    `now` is GitHub's clock as last read (None before the first read).
    """

    statuses: dict[Identity, Status] = field(default_factory=dict)
    repositories: dict[str, RepositoryHealth] = field(default_factory=dict)
    now: datetime | None = None
    version: int = 0
    heads: Heads = field(default_factory=Heads)
    _removed: dict[Identity, datetime | None] = field(default_factory=dict)  # first seen as removed, by GitHub's clock

    def show(self, repository_id: int, statuses: Mapping[Identity, Status]) -> None:
        """Replace the statuses of one repository. Keep a proven removal for a day."""
        gone = {i: s for i, s in self.statuses.items() if i.repository_id == repository_id and s.stage is Stage.REMOVED}
        others = {i: s for i, s in self.statuses.items() if i.repository_id != repository_id}
        asked = {i: s for i, s in statuses.items() if s.stage is not Stage.NONE or i not in gone}
        self.statuses = others | gone | asked
        self._forget()
        self.heads.keep(self.statuses.keys())
        self.version += 1

    def keep(self, repositories: Set[str]) -> None:
        """Show these repositories only. No loop reads the others any more, so their statuses become outdated.

        Keep proven removals for their day all the same.
        """
        health = {name: h for name, h in self.repositories.items() if name in repositories}
        statuses = {i: s for i, s in self.statuses.items() if s.repository in repositories or s.stage is Stage.REMOVED}
        if (len(health), len(statuses)) != (len(self.repositories), len(self.statuses)):
            self.repositories, self.statuses = health, statuses
            self.version += 1

    def _forget(self) -> None:
        """Drop removals after a day. If there are many, keep only the latest."""
        removed = [i for i, s in self.statuses.items() if s.stage is Stage.REMOVED]
        known = {i: at for i, at in self._removed.items() if i in removed}
        known |= {i: self.now for i in removed if known.get(i) is None}
        if self.now is not None:
            known = {i: at for i, at in known.items() if at is None or self.now - at < REMOVED_KEPT}
        self._removed = dict(list(known.items())[-REMOVED_SHOWN:])
        self.statuses = {i: s for i, s in self.statuses.items() if s.stage is not Stage.REMOVED or i in self._removed}

    def report(self, name: str, slug: str, trouble: str, read_at: datetime | None = None) -> None:
        """Show the result of a read of a repository, and the time since when it is in trouble. `read_at` is None when
        the repository was not read; the time of the last read stays then.
        """
        known = self.repositories.get(name)
        since = ((known.trouble_since if known and known.trouble else None) or self.now) if trouble else None
        read_at = read_at or (known.read_at if known else None)
        self.repositories[name] = RepositoryHealth(name, slug, read_at, trouble, since)
        self.version += 1

    def trouble(self, repository: str) -> str:
        """Return why a repository cannot be read now; empty when it can."""
        known = self.repositories.get(repository)
        return known.trouble if known else ""

    def find(self, repository: str, number: int) -> Status | None:
        """Return the status of `repository#number`, by the repository's short name."""
        found = [s for s in self.statuses.values() if (s.repository, s.number) == (repository, number)]
        return min(found, key=lambda s: s.stage is Stage.REMOVED, default=None)  # a replaced repository had this name
