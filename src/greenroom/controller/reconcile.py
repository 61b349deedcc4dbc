"""One pass over one repository: gather, decide, perform, report. The order of effects keeps previews safe.

The specs of all repositories are served under one lock, and decided from what the engine holds at that moment. Two
passes therefore cannot both take the last place under a limit, nor both spend the last removal of the hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import structlog

from greenroom.controller import events
from greenroom.controller.backoff import Backoff
from greenroom.controller.comment_rate_limit import Pace
from greenroom.controller.engine import Engine
from greenroom.controller.executor import ActionResult, Target, effect, removed_status, serve_set
from greenroom.controller.gather import Lists, Sources, completed, learn, pull_request_facts
from greenroom.controller.promises import Promises
from greenroom.controller.requested_choices import RequestedChoices
from greenroom.controller.status_store import Board
from greenroom.core.comment.undelivered import undelivered, unremoved
from greenroom.core.linking.links import neighbours
from greenroom.core.model.actions import (
    Action,
    Change,
    Remove,
    RemoveLabel,
    Start,
    UpdateComment,
    VerifyRemoval,
    Withdraw,
)
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.facts import EngineState, Facts, Listing, PreviewSet, PullRequestFacts, State
from greenroom.core.model.spec import Identity, seen_by_others
from greenroom.core.model.status import Stage, Status
from greenroom.core.planning import backoff, preview_sets, required_reads, watermarks
from greenroom.core.planning.context import PassContext, pass_context
from greenroom.core.planning.data_generation import try_again_in
from greenroom.core.planning.decision import Decision, decide, postponed, set_of_repository
from greenroom.core.planning.former_repositories import left, left_set
from greenroom.errors import Doubt, Failed, Full, GreenroomError, RetryLater
from greenroom.store.rows import Deployment, Event

log = structlog.get_logger(__name__)

AGAIN = 0.05
HISTORY = 500
REJECTED = 3
PATIENCE = 5
MOVING = 2.0  # poll: the rollout of a user in another repository does not wake this one
POLL_IMAGE = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Record(Protocol):
    """Destination of the history. Losing it costs reports, never a preview."""

    async def record(self, *events: Event) -> int:
        """Append events. Store known ones only once."""

    async def record_deployments(self, *deployments: Deployment) -> int:
        """Append deployments. Store known ones only once."""

    async def events(self, identity: Identity | None = None, limit: int = 50) -> tuple[Event, ...]:
        """Return the latest events of one preview, newest first. After a start, they show since when its status has
        lasted.
        """


@dataclass(frozen=True, slots=True)
class Parts:
    """The components that a pass uses."""

    engine: Engine
    sources: Sources
    lists: Lists
    history: Record
    board: Board


@dataclass(frozen=True, slots=True)
class Seen:
    """The state before a pass: the statuses of the last one, and the history of previews that had none."""

    before: Mapping[Identity, Status]
    known: Mapping[Identity, tuple[Event, ...]]


@dataclass(slots=True)
class Reconciler:
    """Passes over repositories. `reconfigure` replaces the platform between passes.

    `related` is called with the name of another repository whose previews may link elsewhere now.
    """

    parts: Parts
    platform: Platform
    related: Callable[[str], None] = lambda name: None
    pace: Pace = field(default_factory=Pace)
    backoff: Backoff = field(default_factory=Backoff)
    choices: RequestedChoices = field(default_factory=RequestedChoices)
    _ids: dict[str, int] = field(default_factory=dict)  # GitHub's id by `owner/name`; the id survives renames
    _serving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _polls: dict[str, int] = field(default_factory=dict)
    _promises: Promises = field(default_factory=Promises)
    _begun: bool = False
    _unrecorded: list[tuple[Event, int]] = field(default_factory=list)  # with how often each was rejected
    _by_hand: dict[int, dict[Identity, object]] = field(default_factory=dict)

    async def reconcile(self, repository: Repository) -> float | None:
        """Run one pass. Return the seconds until the next one should run, or None when only the resync is due.

        Raise `GreenroomError` on failure. Even then, only removals that the facts confirmed have happened.
        """
        await self._begin()
        facts, decision, preview_set = await self._serve(await self._learned(repository))
        self._promises.seen(facts, decision)
        now = self.now()
        self.backoff.forget(facts.listing.repository_id, decision.actions)
        decision, later = self._paced(decision, facts, now)
        decision = replace(decision, statuses=self._delivered(decision, decision.statuses))
        before = dict(self.parts.board.statuses)
        known = await self._known(decision, before)
        dated = {i: events.dated(s, before.get(i), known.get(i, ()), now) for i, s in decision.statuses.items()}
        target = Target(repository.slug, self.platform, facts, preview_set, now, dated, repository.name)
        self._show(repository, dated, target)  # before the comment is written, so that both agree
        done = [await effect(self.parts.engine, self.parts.sources, target, a) for a in _effects(decision)]
        everybody = self.backoff.record(done, now)
        closed = [d for d in done if d.receipt and d.receipt.clean and d.error is None and d.unread is None]
        if concluded := [d.action.identity for d in closed]:
            await self.amend(
                facts.listing.repository_id, lambda preview_set: preview_sets.all_told(preview_set, concluded)
            )
            if preview_set.repository != repository.name:  # a newer repository with its name may wait for this
                self.related(preview_set.repository)
        await self._note(repository, decision, target, done, Seen(before, known))
        again = self._next(repository, facts, decision, done, everybody)
        return min((wait for wait in (again, later) if wait is not None), default=None)

    async def facts(self, repository: Repository) -> Facts:
        """Read the facts of one pass for a query. Passes remember nothing of them."""
        return (await self._context(repository)).facts

    async def _context(self, repository: Repository) -> PassContext[Facts]:
        """Read the facts of a query. For a repository that left the catalog, read nothing from GitHub."""
        if self.platform.repository(repository.name) is None:
            return await self._without_github(repository)
        read = await self._read(repository, *await self._listed(repository))
        return await self._completed(read, repository)

    async def _learned(self, repository: Repository) -> PassContext[Facts]:
        """Read the facts of one pass, as a query does, and remember what later passes need of them."""
        if self.platform.repository(repository.name) is None:
            return await self._without_github(repository)
        listing, observed = await self._listed(repository)
        self._ids[repository.slug.lower()] = listing.repository_id
        read = await self._read(repository, listing, observed)
        learn(self.parts.sources.freshness, read, self.platform)  # also when a later read fails
        self.choices.keep(listing.repository_id, self.choices.still_open(read, self.platform.label))
        return await self._completed(read, repository)

    async def _without_github(self, repository: Repository) -> PassContext[Facts]:
        observed = await self.parts.engine.observe()
        known = left_set(observed, repository.name)
        if known is None:
            raise Doubt(f"The engine has no data about {repository.name}.")
        observed = _sure(observed, known.repository_id)
        listing = Listing(known.repository_id, repository.slug, True, "", self.now(), ())
        return pass_context(Facts(listing, observed), self.platform, repository, self.now())

    async def _listed(self, repository: Repository) -> tuple[Listing, EngineState]:
        observed = await self.parts.engine.observe()
        followed = required_reads.Followed.of(observed, self.platform)
        return await self.parts.lists.read(repository.slug, followed), observed

    async def _read(self, repository: Repository, listing: Listing, observed: EngineState) -> PullRequestFacts:
        promised, holds = self._promises.of(listing.repository_id), _sure(observed, listing.repository_id)
        return await pull_request_facts(self.parts.sources, listing, holds, self.platform, repository, promised)

    async def _completed(self, read: PullRequestFacts, repository: Repository) -> PassContext[Facts]:
        asked = self.choices.still_open(read, self.platform.label)
        context = pass_context(read, self.platform, repository, self.now())
        return await completed(self.parts.sources, context, asked)

    def reconfigure(self, platform: Platform) -> None:
        """Use this platform from the next pass on."""
        self.platform = platform

    async def _begin(self) -> None:
        """Load the promises from the history after a start. Without it, only pull requests that wait now are known."""
        if self._begun:
            return
        self._begun = True
        try:
            self._promises.begin(await self.parts.history.events(limit=HISTORY))
        except Failed as error:
            log.warning(
                "history could not be read; comments on pull requests that closed during downtime may be out of date",
                why=str(error),
            )

    async def left(self) -> tuple[Repository, ...]:
        """Return the repositories that no loop reads any more although previews of them exist; these are held.

        A repository that is in the catalog under another name has not left: once GitHub's id was read, it identifies
        the repository. The id also distinguishes a repository that was deleted and created again under the same name.
        """
        observed = await self.parts.engine.observe()
        here = {self._ids.get(r.slug.lower()) for r in self.platform.repositories}
        others = {i: preview_set for i, preview_set in observed.sets.items() if i not in here}
        return left(replace(observed, sets=others), self.platform, self._ids)

    async def preview(self, repository: Repository) -> Decision:
        """Return what a pass would do now, as a dry run."""
        return decide(await self._context(repository))

    async def amend(self, repository_id: int, change: Callable[[PreviewSet], PreviewSet]) -> None:
        """Change one preview set under the lock that all writers of specs use. Raise `Doubt` when the engine has no
        such set.
        """
        async with self._serving:
            preview_set = _sure(await self.parts.engine.observe(), repository_id).sets.get(repository_id)
            if preview_set is None:
                raise Doubt(f"The engine has no specs for repository {repository_id}.")
            await self.parts.engine.serve(change(preview_set))

    def now(self) -> datetime:
        """Return GitHub's clock in whole seconds, as GitHub writes its own times."""
        return self.parts.sources.github.now().replace(microsecond=0)

    async def _serve(self, read: PassContext[Facts]) -> tuple[Facts, Decision, PreviewSet]:
        """Decide from what the engine holds now, and serve. Other repositories may have used limits since the read."""
        async with self._serving:
            observed = _sure(await self.parts.engine.observe(), read.facts.listing.repository_id)
            context = read.at(observed, self.now())
            before = set_of_repository(context.facts, context.repository)
            if observed.unable:
                return context.facts, decide(context), before
            decision, preview_set = await self._serve_what_fits(context, before)
        known, manual_overrides = (
            self._by_hand.get(before.repository_id, {}),
            _set_by_hand(observed, before.repository_id),
        )
        self._by_hand[before.repository_id] = manual_overrides
        if _seen_by_others(before) != _seen_by_others(preview_set) or manual_overrides != known:
            for other in neighbours(self.platform, context.repository):
                self.related(other)
        return context.facts, decision, preview_set

    async def _serve_what_fits(self, context: PassContext[Facts], before: PreviewSet) -> tuple[Decision, PreviewSet]:
        """Decide and serve. When not everything fits in the engine, start fewer and fewer previews, but never delay
        removals.
        """
        facts, waiting, marks = context.facts, frozenset[Identity](), True
        while True:
            decision = decide(context, waiting)
            starts = [a.identity.number for a in decision.actions if isinstance(a, Start)]
            noted = watermarks.noted(before, facts, starts) if marks else before
            due = marks and watermarks.due(before, noted, facts)
            try:
                return decision, await serve_set(self.parts.engine, noted, decision.plan, context.now, due=due)
            except Full as error:
                more = postponed(decision, waiting)
                if not more and marks:  # neither a removal nor a push may fail because watermarks take up the space
                    marks, waiting = False, frozenset(i for i in waiting if i.number not in before.specs)
                    continue
                if not more:
                    raise
                log.warning(
                    "the specs are too large for the engine",
                    repository=context.repository.name,
                    wait=len(waiting | more),
                    why=str(error),
                )
                waiting |= more

    def _delivered(self, decision: Decision, statuses: Mapping[Identity, Status]) -> dict[Identity, Status]:
        """Return the statuses with the error of each preview whose comment, label or removal fails."""
        found, why = {}, self.backoff.why
        for i, status in statuses.items():
            told = undelivered(status, decision.plan.memories.get(i), why(i, UpdateComment), why(i, RemoveLabel))
            slow = why(i, Remove, PATIENCE) or why(i, VerifyRemoval, PATIENCE)  # Argo CD needs a moment for each
            found[i] = unremoved(told, self.backoff.left(i), slow)
        return found

    def _paced(self, decision: Decision, facts: Facts, now: datetime) -> tuple[Decision, float | None]:
        """Return the decision without the actions that must wait, and the seconds until the first of them is due.

        A failed effect waits for its retry, and so does a comment that was not read back. Otherwise only rewording
        waits: changes to the signed state and the comment on a removal are written at once, however low the budget is.
        """
        readback, budget = self.parts.sources.readback, self.parts.sources.github.content
        told = {a.identity for a in decision.actions if isinstance(a, UpdateComment)}
        listed = {p.identity for p in facts.listing.pull_requests if p.identity.number not in facts.stale}
        readback.read(listed - told)
        waiting: dict[Action, float] = {}
        planned = sum(
            isinstance(a, UpdateComment | RemoveLabel | VerifyRemoval) and not _words(a, facts)
            for a in decision.actions
        )
        for action in decision.actions:
            wait = self.backoff.wait(action, now)
            if isinstance(action, UpdateComment):
                wait = max(wait, readback.wait(action.identity, (action.text, action.memory)))
            if _words(action, facts):
                wait = max(wait, self.pace.wait(action.identity), budget.wait(planned))
                planned += not wait
            if wait:
                waiting[action] = wait
            elif isinstance(action, UpdateComment):
                self.pace.edited(action.identity)
        actions = tuple(a for a in decision.actions if a not in waiting)
        return replace(decision, actions=actions), min(waiting.values(), default=None)

    async def _note(
        self,
        repository: Repository,
        decision: Decision,
        target: Target,
        done: Sequence[ActionResult],
        seen: Seen,
    ) -> None:
        """Record actions and statuses in the log, the board and the history."""
        parts = self.parts
        served = [ActionResult(a) for a in decision.actions if isinstance(a, Start | Change | Withdraw)]
        found: list[Event | None] = []
        for each in (*served, *done):
            _log(each, repository)
            if each.error is None:
                found.append(events.of_action(each.action, target.preview_set, target.now))
            if each.receipt:
                found.append(
                    events.of_receipt(each.receipt, repository.name, target.preview_set.generation, target.now)
                )
        statuses = self._delivered(decision, target.statuses)
        for each in done:
            if isinstance(each.action, VerifyRemoval) and each.receipt:
                identity, receipt = each.action.identity, each.receipt
                if receipt.clean and each.action.final and each.error is None:
                    removed = removed_status(statuses[identity], each.action)
                    statuses[identity] = undelivered(removed, None, receipt.comment_error, "")
        for identity, status in statuses.items():
            before, known = seen.before.get(identity), seen.known.get(identity, ())
            statuses[identity] = events.dated(status, before, known, target.now)
            found.append(events.of_status(status, before, known, target.now))
        self._show(repository, statuses, target)
        try:
            await self._record(e for e in found if e is not None)
            await parts.history.record_deployments(*events.deployments(statuses.values(), target.now))
        except Failed as error:
            log.warning("history could not be written; previews are not affected", why=str(error))

    async def _record(self, found: Iterable[Event]) -> None:
        """Append events to the history, then those that it could not store before: promises are rebuilt from them.

        Drop an old event that it rejects `REJECTED` times although it stores others.
        """
        new = tuple(found)
        try:
            await self.parts.history.record(*new)
        except Failed:
            self._unrecorded = [*self._unrecorded, *((event, 0) for event in new)][-HISTORY:]
            raise
        waiting, self._unrecorded = self._unrecorded, []
        for place, (event, rejected) in enumerate(waiting):
            try:
                await self.parts.history.record(event)
            except Failed:
                rejected += bool(new or place)  # it stored others, so this event may be at fault
                again = [(event, rejected)] if rejected < REJECTED else []
                self._unrecorded = [*self._unrecorded, *waiting[place + 1 :], *again][-HISTORY:]
                raise

    async def _known(self, decision: Decision, before: Mapping[Identity, Status]) -> dict[Identity, tuple[Event, ...]]:
        """Return the history of the previews that were not seen since the start; empty if it cannot be read."""
        new = [i for i, s in decision.statuses.items() if i not in before and s.stage is not Stage.NONE]
        try:
            return {i: await self.parts.history.events(i, limit=20) for i in new}
        except Failed as error:
            log.warning("history could not be read; the start times of states are missing", why=str(error))
            return {}

    def _show(self, repository: Repository, statuses: Mapping[Identity, Status], target: Target) -> None:
        board = self.parts.board
        board.show(target.facts.listing.repository_id, statuses)
        board.now = target.now
        facts = target.facts
        board.report(repository.name, repository.slug, facts.observed.unable, facts.listing.read_at)

    def _next(
        self,
        repository: Repository,
        facts: Facts,
        decision: Decision,
        done: Sequence[ActionResult],
        everybody: Sequence[GreenroomError],
    ) -> float | None:
        """Return the seconds until the next pass. Raise an error that concerns all previews once nothing else
        progresses.

        A failure of one preview never raises, because an error slows down and alarms the whole repository.
        """
        freshness = self.parts.sources.freshness
        failed = [d for d in done if d.error or (d.receipt and not d.receipt.clean)]
        unread = [d.unread for d in done if d.unread is not None]
        if len(decision.actions) > len(failed) + len(unread):
            return AGAIN
        if everybody:
            raise next((e for e in everybody if isinstance(e, RetryLater)), everybody[0])
        repository_id = facts.listing.repository_id
        seen = {p.identity.number for p in facts.listing.pull_requests} | facts.confirmed.keys()
        stale = bool(facts.stale or facts.listing.doubts) or _doubtful(facts) or freshness.unseen(repository_id, seen)
        waits = [freshness.wait(repository_id, stale=stale), self._poll(repository, decision), _tries(facts)]
        waits.append(MOVING if decision.plan.waiting else None)
        waits += [self.backoff.next(repository_id, self.now()), *(max(AGAIN, wait) for wait in unread)]
        return min((w for w in waits if w is not None), default=None)

    def _poll(self, repository: Repository, decision: Decision) -> float | None:
        """Return the seconds until the next look for missing images, which grow with each try; None if no preview
        waits.
        """
        waiting = any(s.stage is Stage.WAITING for s in decision.statuses.values())
        if not waiting:
            self._polls.pop(repository.name, None)
            return None
        tries = self._polls.get(repository.name, 0)
        self._polls[repository.name] = tries + 1
        return backoff.pause(POLL_IMAGE, tries)


def _sure(observed: EngineState, repository_id: int) -> EngineState:
    """Return what the engine holds. Raise `Doubt` when the engine cannot read this repository completely."""
    if why := observed.doubts.get(repository_id):
        raise Doubt(why)
    return observed


def _set_by_hand(observed: EngineState, repository_id: int) -> dict[Identity, object]:
    """Return what people set in Argo CD on a repository's previews. The comments of the targets mention it."""
    return {
        i: p.manual_overrides
        for i, p in observed.previews.items()
        if i.repository_id == repository_id and p.manual_overrides
    }


def _tries(facts: Facts) -> float | None:
    """Return the seconds until the engine should retry a spec that it refused; None if there is none."""
    observed = facts.observed
    preview_set = observed.sets.get(facts.listing.repository_id)
    waits = (
        (try_again_in(r, observed.previews.get(Identity(r.id.repository_id, n))) for n, r in preview_set.specs.items())
        if preview_set
        else ()
    )
    return min((max(0.0, w.total_seconds()) + AGAIN for w in waits if w is not None), default=None)


def _doubtful(facts: Facts) -> bool:
    """Return whether a by-number read failed, or contradicts the list."""
    listed = {p.identity for p in facts.listing.pull_requests}
    return any(
        isinstance(c, str) or (c.pull_request.state is State.OPEN and c.pull_request.identity not in listed)
        for number, c in facts.confirmed.items()
        if number not in facts.hidden
    )


def _words(action: Action, facts: Facts) -> bool:
    """Return whether an action only rewords a comment that exists: no warning, choice or decision changes."""
    block = facts.blocks.get(action.identity.number)
    return isinstance(action, UpdateComment) and block is not None and block.memory == action.memory


def _effects(decision: Decision) -> tuple[Action, ...]:
    return tuple(a for a in decision.actions if not isinstance(a, Start | Change | Withdraw))


def _log(done: ActionResult, repository: Repository) -> None:
    name = f"{repository.name}#{done.action.identity.number}"
    kind = events.KINDS[type(done.action)]
    if isinstance(done.error, GreenroomError):
        log.warning("action failed", preview=name, action=kind, why=str(done.error))
    else:
        log.info("action", preview=name, action=kind, reason=done.action.reason.code)


def _seen_by_others(preview_set: PreviewSet) -> dict[int, object]:
    return {number: seen_by_others(spec) for number, spec in preview_set.specs.items()}
