"""How many pull requests one page of a repository's list asks for. Pure.

GitHub ends a query after ten seconds, and one repository's pull requests can be far heavier than another's. A page that
was too much is asked for again at half the size, and the size grows back slowly.
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#timeouts
"""

from __future__ import annotations

from dataclasses import dataclass

FULL = 50
GROW_AFTER = 10
"""So many pages in a row must arrive before a size doubles, or before a repository shares a query again."""


@dataclass(frozen=True, slots=True)
class PageSize:
    """The page size of one repository. `alone`: it shares no query with others; `good` counts pages since a failure."""

    size: int = FULL
    alone: bool = False
    good: int = 0

    def failed(self, *, shared: bool) -> PageSize:
        """Return the size after a query that was too much for GitHub.

        Which of several repositories was the heavy one is not known, so those that shared the query keep their size and
        are asked alone.
        """
        return PageSize(self.size if shared else max(1, self.size // 2), alone=True)

    def worked(self) -> PageSize:
        """Return the size after a page that arrived."""
        if not self.alone:
            return self
        if self.good + 1 < GROW_AFTER:
            return PageSize(self.size, alone=True, good=self.good + 1)
        return PageSize(min(FULL, self.size * 2), alone=self.size < FULL)
