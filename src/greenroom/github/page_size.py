"""Page sizes for the lists of pull requests. Pure.

GitHub ends a query after ten seconds, and one repository's pull requests can be far heavier than another's. A page that
was too heavy is requested again at half the size, and the size grows back slowly.
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#timeouts
"""

from __future__ import annotations

from dataclasses import dataclass

FULL = 50
GROW_AFTER = 10
"""Successful pages in a row after which the page size doubles, or a repository shares queries again."""


@dataclass(frozen=True, slots=True)
class PageSize:
    """The page size of one repository. `alone` means that it shares no query; `good` counts pages since a failure."""

    size: int = FULL
    alone: bool = False
    good: int = 0

    def failed(self, *, shared: bool) -> PageSize:
        """Return the size after a query that was too heavy for GitHub.

        In a shared query the heavy repository is unknown, so all of them keep their size and are queried alone.
        """
        return PageSize(self.size if shared else max(1, self.size // 2), alone=True)

    def worked(self) -> PageSize:
        """Return the size after a page that arrived."""
        if not self.alone:
            return self
        if self.good + 1 < GROW_AFTER:
            return PageSize(self.size, alone=True, good=self.good + 1)
        return PageSize(min(FULL, self.size * 2), alone=self.size < FULL)
