"""One pass as a value: facts in; verdicts, actions and statuses out. What the loop performs and a dry run prints."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from datetime import datetime

from greenroom.core import reasons
from greenroom.core.actions import Action, Change, Conclude, Start
from greenroom.core.catalogue import Platform, Repository
from greenroom.core.desired import at_least_private, desired
from greenroom.core.links import Neighbours
from greenroom.core.model import Facts, Identity, RowSet
from greenroom.core.plan import Plan, plan
from greenroom.core.status import Stage, Status
from greenroom.core.told import Told, statuses, tells
from greenroom.core.verdicts import Desired, Stay


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that one pass decided. `actions` are the plan's, then the comments to write."""

    desired: Desired
    plan: Plan
    actions: tuple[Action, ...]
    statuses: dict[Identity, Status]


def postponed(decision: Decision, waiting: Set[Identity] = frozenset()) -> frozenset[Identity]:
    """Who waits when the rows of this decision do not all fit: half of what starts; once nothing starts, half of what
    changes; and nobody once rows only go, for what goes must go. Previews in `waiting` are postponed already.
    """
    rows = [
        (a.identity, type(a)) for a in decision.actions if isinstance(a, Start | Change) and a.identity not in waiting
    ]
    last = [i for i, kind in rows if kind is Start] or [i for i, _ in rows]
    return frozenset(last[len(last) // 2 :])


def _waits(wanted: Desired, facts: Facts, waiting: Iterable[Identity]) -> dict[Identity, Stay]:
    """Return the verdicts on postponed previews. Each keeps its reason, or is reported as not fitting. Only `private`
    still follows the repository, because it does not make the row larger.
    """
    found = {}
    for identity in waiting:
        verdict, row = wanted.verdicts[identity], at_least_private(identity, facts)
        stays = verdict if isinstance(verdict, Stay) else Stay(Stage.HELD if row else Stage.QUEUED, reasons.no_room())
        found[identity] = replace(stays, row=row)
    return found


def row_set(facts: Facts, repository: Repository) -> RowSet:
    """Return the repository's row set as the engine has it, or an empty one.

    An empty one continues the generation of an earlier repository with the same name, because it may replace its set.
    """
    known = facts.observed.sets.get(facts.listing.repository_id)
    before = (r.generation for r in facts.observed.sets.values() if r.repository == repository.name)
    return known or RowSet(facts.listing.repository_id, repository.name, max(before, default=0))


def decide(
    facts: Facts,
    platform: Platform,
    repository: Repository,
    now: datetime,
    waiting: frozenset[Identity] = frozenset(),
) -> Decision:
    """What one pass over one repository should do and say. `now` is GitHub's clock.

    `waiting` are those that the engine has no room for as they should be: they queue, or stay as they are.
    """
    wanted = desired(facts, platform, repository, now)
    wanted = replace(wanted, verdicts={**wanted.verdicts, **_waits(wanted, facts, waiting)})
    planned = plan(wanted, facts.observed, row_set(facts, repository), now)
    told = Told(facts, platform, repository, wanted, planned, Neighbours.of(facts.observed), now)
    seen = statuses(told)
    concluded = frozenset(a.identity for a in planned.actions if isinstance(a, Conclude) and a.final)
    return Decision(wanted, planned, (*planned.actions, *tells(told, seen, concluded)), seen)
