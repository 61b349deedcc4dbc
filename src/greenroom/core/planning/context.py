"""The context of one pass: what all its questions share. It is built once, and completed with the facts.

The reads of a pass are planned from the pull requests alone; a decision needs all facts. Both use the same context, so
that what is asked for and what is decided rest on the same view of the engine. Pure.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from greenroom.core.linking.links import LinkIndex
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.engine import EngineState
from greenroom.core.model.facts import Facts, PullRequestFacts
from greenroom.core.model.spec import Identity
from greenroom.core.planning.former_repositories import former

Known = TypeVar("Known", bound=PullRequestFacts, covariant=True)
Read = TypeVar("Read", bound=PullRequestFacts)


@dataclass(frozen=True, slots=True)
class PassContext(Generic[Known]):
    """The inputs that all questions of one pass over one repository share. `now` is GitHub's clock.

    `held` holds the previews that the engine holds of the repository, and `awake` those of all repositories that stay
    awake. `former` names the previews of an earlier repository that still use this one's names.
    """

    facts: Known
    platform: Platform
    repository: Repository
    now: datetime
    index: LinkIndex
    held: frozenset[Identity]
    awake: Set[Identity]
    former: tuple[str, ...]

    def completed(self, facts: Facts) -> PassContext[Facts]:
        """Return the context with all facts. They hold the same state of the engine."""
        return PassContext(
            facts, self.platform, self.repository, self.now, self.index, self.held, self.awake, self.former
        )

    def at(self, observed: EngineState, now: datetime) -> PassContext[Known]:
        """Return the context of the same reads with a later state of the engine. Link the previews again only if they
        changed.
        """
        index = self.index if observed.sets == self.facts.observed.sets else None
        return pass_context(replace(self.facts, observed=observed), self.platform, self.repository, now, index)


def pass_context(
    facts: Read, platform: Platform, repository: Repository, now: datetime, index: LinkIndex | None = None
) -> PassContext[Read]:
    """Return the context of a pass. `index` is the one of these preview sets, if it is known already."""
    index = index or LinkIndex.of(facts.observed)
    held = frozenset(facts.observed.held(facts.listing.repository_id))
    return PassContext(facts, platform, repository, now, index, held, index.awake(), former(facts, repository))
