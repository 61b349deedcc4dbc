"""One pass as a value: facts in; verdicts, actions and statuses out. What the loop performs and a dry run prints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from greenroom.core.actions import Action, Conclude
from greenroom.core.catalogue import Platform, Repository
from greenroom.core.desired import desired
from greenroom.core.links import Neighbours
from greenroom.core.model import Facts, Identity, RowSet
from greenroom.core.plan import Plan, plan
from greenroom.core.status import Status
from greenroom.core.told import Told, statuses, tells
from greenroom.core.verdicts import Desired


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that one pass decided. `actions` are the plan's, then the comments to write."""

    desired: Desired
    plan: Plan
    actions: tuple[Action, ...]
    statuses: dict[Identity, Status]


def row_set(facts: Facts, repository: Repository) -> RowSet:
    """The repository's row set as the engine has it, or an empty one."""
    known = facts.observed.sets.get(facts.listing.repository_id)
    return known or RowSet(facts.listing.repository_id, repository.name)


def decide(facts: Facts, platform: Platform, repository: Repository, now: datetime) -> Decision:
    """What one pass over one repository should do and say. `now` is GitHub's clock."""
    wanted = desired(facts, platform, repository, now)
    planned = plan(wanted, facts.observed, row_set(facts, repository), now)
    told = Told(facts, platform, repository, wanted, planned, Neighbours.of(facts.observed))
    seen = statuses(told)
    concluded = frozenset(a.identity for a in planned.actions if isinstance(a, Conclude) and a.final)
    return Decision(wanted, planned, (*planned.actions, *tells(told, seen, concluded)), seen)
