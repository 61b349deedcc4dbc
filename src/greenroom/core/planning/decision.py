"""One pass as a value, from facts to verdicts, actions and statuses. The loop performs it, and a dry run prints it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from greenroom.core import messages
from greenroom.core.comment.context import DecidedPass
from greenroom.core.comment.statuses import statuses
from greenroom.core.comment.updates import comments_to_write
from greenroom.core.linking.links import all_set_by_hand
from greenroom.core.model.actions import Action, BuildSeed, DeleteComment, VerifyRemoval
from greenroom.core.model.catalog import Repository
from greenroom.core.model.ci import AwaitedCommit, CommitCi
from greenroom.core.model.engine import EngineState, PreviewSet
from greenroom.core.model.facts import Facts
from greenroom.core.model.spec import Identity, same_pods
from greenroom.core.model.status import Stage, Status
from greenroom.core.model.verdicts import Desired, Go, Run, Stay, Verdict, missing_images
from greenroom.core.planning.context import PassContext
from greenroom.core.planning.desired import at_least_private, desired
from greenroom.core.planning.plan import Hold, Plan, plan
from greenroom.core.policy import ci


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of one pass. `actions` holds the plan's actions, then the comments to write and delete."""

    desired: Desired
    plan: Plan
    actions: tuple[Action, ...]
    statuses: dict[Identity, Status]


def _unstored(wanted: Desired, facts: Facts, numbers: Set[int]) -> dict[Identity, Stay]:
    """Return the verdicts on previews whose data cannot be stored. Their served specs do not change."""
    found = {}
    for identity, verdict in wanted.verdicts.items():
        spec = facts.observed.spec(identity)
        if identity.number in numbers and not isinstance(verdict, Stay) and (spec or isinstance(verdict, Run)):
            found[identity] = Stay(Stage.HELD if spec else Stage.QUEUED, messages.not_stored(), spec=spec)
        elif identity.number in numbers and isinstance(verdict, Stay):
            found[identity] = replace(verdict, spec=spec)
    return found


def _waits(wanted: Desired, facts: Facts, waiting: Iterable[Identity]) -> dict[Identity, Stay]:
    """Return the verdicts on previews whose specs are too large. Each keeps its reason, or reports that. Only `private`
    still follows the repository, because it does not make the spec larger.
    """
    found = {}
    for identity in waiting:
        verdict, spec = wanted.verdicts[identity], at_least_private(identity, facts)
        stays = (
            verdict if isinstance(verdict, Stay) else Stay(Stage.HELD if spec else Stage.QUEUED, messages.too_large())
        )
        found[identity] = replace(stays, spec=spec)
    return found


def _as_it_is(wanted: Desired, observed: EngineState) -> dict[Identity, Verdict]:
    """Return the verdicts while the engine cannot act. Previews that would start, change or be removed say why they do
    not.
    """
    stays = Stay(Stage.HELD, messages.cannot_act(observed.unable))
    waits = replace(stays, stage=Stage.WAITING)
    found: dict[Identity, Verdict] = {}
    for identity, verdict in wanted.verdicts.items():
        spec = observed.spec(identity)
        runs = identity in observed.previews
        match verdict:
            case Run(spec=wish):
                same = spec is not None and runs and same_pods(wish, spec)
                found[identity] = verdict if same else replace(stays, spec=spec) if spec or runs else waits
            case Go():  # what exists no more waits for its verification only
                found[identity] = replace(stays, spec=spec) if spec or runs else verdict
            case Stay():
                found[identity] = verdict
    return found


def set_of_repository(facts: Facts, repository: Repository) -> PreviewSet:
    """Return the repository's preview set as the engine has it, or an empty one.

    An empty one continues the generation of an earlier repository with the same name, because it may replace its set.
    """
    known = facts.observed.sets.get(facts.listing.repository_id)
    before = (r.generation for r in facts.observed.sets.values() if r.repository == repository.name)
    return known or PreviewSet(facts.listing.repository_id, repository.name, max(before, default=0))


def decide(
    context: PassContext[Facts], waiting: frozenset[Identity] = frozenset(), unstored: frozenset[int] = frozenset()
) -> Decision:
    """Return what one pass over one repository should do and report.

    `waiting` holds the previews whose new specs are too large for the engine, and `unstored` the numbers of those whose
    data it may not store. They queue, or stay as they are.
    """
    facts, wanted = context.facts, desired(context)
    wanted = replace(wanted, verdicts={**wanted.verdicts, **_waits(wanted, facts, waiting)})
    wanted = replace(wanted, verdicts={**wanted.verdicts, **_unstored(wanted, facts, unstored)})
    if facts.observed.unable:
        wanted = replace(wanted, verdicts=_as_it_is(wanted, facts.observed))
        held = {i: Hold(v.hold, v.reason) for i, v in wanted.verdicts.items() if isinstance(v, Stay) and v.hold}
        planned = Plan(holds=held)
    else:
        planned = plan(wanted, facts.observed, set_of_repository(facts, context.repository), context.now)
    return _reported(context, wanted, planned, {})


def awaited_commits(decision: Decision, context: PassContext[Facts]) -> tuple[AwaitedCommit, ...]:
    """Return the heads whose image is missing, if this decision could say why."""
    found = []
    for identity, verdict in sorted(decision.desired.verdicts.items()):
        pull_request = decision.desired.pull_requests.get(identity)
        missing = missing_images(verdict)
        if pull_request and missing and missing.head:
            settled = ci.settled(pull_request, context.now)
            found.append(AwaitedCommit(identity, pull_request.head_sha, pull_request.head_ref, settled))
    return tuple(found)


def explained(decision: Decision, context: PassContext[Facts], known: Mapping[Identity, CommitCi]) -> Decision:
    """Return the same decision with what CI says about missing images. Only statuses and comments change."""
    return _reported(context, decision.desired, decision.plan, known) if known else decision


def _reported(
    context: PassContext[Facts], wanted: Desired, planned: Plan, known: Mapping[Identity, CommitCi]
) -> Decision:
    """Return the decision with its statuses and comments. Verdicts and plan are made before CI is known."""
    facts = context.facts
    by_hand = all_set_by_hand(facts.observed, context.platform, context.index)
    decided = DecidedPass(context, wanted, planned, by_hand, known)
    seen = statuses(decided)
    concluded = frozenset(a.identity for a in planned.actions if isinstance(a, VerifyRemoval) and a.final)
    comments = comments_to_write(decided, seen, concluded)
    return Decision(wanted, planned, (*_builds(context, wanted), *planned.actions, *comments, *_deletions(facts)), seen)


def _builds(context: PassContext[Facts], wanted: Desired) -> tuple[BuildSeed, ...]:
    """Return the seed images to build here, each once, although several previews may wait for it."""
    observed = context.facts.observed
    if observed.unable or not context.platform.seeds.builds:
        return ()
    found: dict[str, BuildSeed] = {}
    for identity, verdict in sorted(wanted.verdicts.items()):
        for build in verdict.builds if isinstance(verdict, Stay) else ():
            if build.key not in observed.building:
                found.setdefault(build.key, BuildSeed(identity, build, verdict.reason))
    return tuple(found.values())


def _deletions(facts: Facts) -> tuple[DeleteComment, ...]:
    """Return the deletions of duplicate comments. Skip stale reads, which may be older than our last write."""
    fresh = ((n, ids) for n, ids in sorted(facts.duplicates.items()) if n not in facts.stale)
    identities = ((Identity(facts.listing.repository_id, n), ids) for n, ids in fresh)
    return tuple(DeleteComment(i, each, messages.duplicate_comment()) for i, ids in identities for each in ids)
