"""One pass over one repository: gather, decide, perform, report. The order of effects keeps previews safe.

The specs of all repositories are served under one lock, and decided from what the engine holds at that moment. Two
passes therefore cannot both take the last place under a limit, nor both spend the last removal of the hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from greenroom.controller import events
from greenroom.controller.backoff import Backoff
from greenroom.controller.comment_rate_limit import Pace
from greenroom.controller.engine import Engine
from greenroom.controller.events import Past
from greenroom.controller.executor import ActionResult, ServedPass, effect, removed_status, serve_set
from greenroom.controller.gather import Lists, Sources, completed, learn, learn_list, pull_request_facts
from greenroom.controller.journal import Journal, Record
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
from greenroom.core.model.engine import EngineState, PreviewSet
from greenroom.core.model.facts import Facts, PullRequestFacts
from greenroom.core.model.github import Listing, State
from greenroom.core.model.records import keeping
from greenroom.core.model.spec import Identity, seen_by_others
from greenroom.core.model.status import Stage, Status
from greenroom.core.model.verdicts import Run
from greenroom.core.planning import backoff, preview_sets, required_reads, watermarks
from greenroom.core.planning.context import PassContext, pass_context
from greenroom.core.planning.data_generation import try_again_in
from greenroom.core.planning.decision import Decision, awaited_commits, decide, explained, set_of_repository
from greenroom.core.planning.former_repositories import left, left_set
from greenroom.errors import Doubt, GreenroomError, NotStored, Renamed, RetryLater, TooLarge
from greenroom.store.rows import Event

log = structlog.get_logger(__name__)

AGAIN = 0.05
PATIENCE = 5
MOVING = 2.0  # poll: the rollout of a user in another repository does not wake this one
UNREAD = 60.0
"""Seconds between checks of a removal in a repository that left the catalog, but may only have been renamed."""
RENAMED = timedelta(hours=1)
"""Time after which such a removal no longer waits. The repository that may have the new name may never be readable."""
POLL_IMAGE = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Parts:
    """The components that a pass uses."""

    engine: Engine
    sources: Sources
    lists: Lists
    history: Record
    board: Board


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
    _by_hand: dict[int, dict[Identity, object]] = field(default_factory=dict)
    _journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self._journal = Journal(self.parts.history)
        self.parts.sources.ci.changed = self._ci_changed

    async def reconcile(self, repository: Repository) -> float | None:
        """Run one pass. Return the seconds until the next one should run, or None when only the resync is due.

        Raise `GreenroomError` on failure. Even then, only removals that the facts confirmed have happened.
        """
        if not self._begun:
            self._begun = True
            self._promises.begin(await self._journal.latest())
        context, decision, preview_set = await self._serve(await self._learned(repository))
        ci = await self.parts.sources.ci.of(repository.slug, awaited_commits(decision, context))
        decision = explained(decision, context, ci)  # after the specs are served, so that no start waits for it
        self._promises.seen(context.facts, decision)
        repository_id = preview_set.repository_id
        self.backoff.forget(repository_id, decision.actions)
        decision, later = self._paced(decision, context)
        past = await self._past(decision, context.now)
        statuses = {i: past.dated(s) for i, s in self._delivered(decision, decision.statuses).items()}
        served = ServedPass(context, preview_set, statuses)
        self._show(served, statuses)  # before the comment is written, so that both agree
        done = [await effect(self.parts.engine, self.parts.sources, served, a) for a in _effects(decision)]
        renamed = self._may_be_renamed(served)
        done = [replace(d, unread=UNREAD) if renamed and _recent(d, served) else d for d in done]
        everybody = self.backoff.record(done, context.now)
        await self._close(done, served)
        await self._note(decision, served, done, past)
        again = self._next(context, decision, done, everybody)
        return min((wait for wait in (again, later) if wait is not None), default=None)

    def _ci_changed(self, slug: str) -> None:
        """Schedule a pass over a repository whose CI says something new about a missing image."""
        if found := next((r for r in self.platform.repositories if r.slug == slug), None):
            self.related(found.name)

    async def _past(self, decision: Decision, now: datetime) -> Past:
        """Return what was shown before, and the history of the previews that were not shown since the start."""
        before = dict(self.parts.board.statuses)
        new = [i for i, s in decision.statuses.items() if i not in before and s.stage is not Stage.NONE]
        return Past(before, await self._journal.of(new), now)

    async def _close(self, done: Sequence[ActionResult], served: ServedPass) -> None:
        """Close the ledger entries of the removals that are verified and reported."""
        closed = [d for d in done if d.receipt and d.receipt.clean and d.error is None and d.unread is None]
        if not (concluded := [d.action.identity for d in closed]):
            return
        await self.amend(
            served.preview_set.repository_id, lambda preview_set: preview_sets.all_told(preview_set, concluded)
        )
        if served.preview_set.repository != served.repository.name:  # a newer repository with its name may wait
            self.related(served.preview_set.repository)

    async def _note(self, decision: Decision, served: ServedPass, done: Sequence[ActionResult], past: Past) -> None:
        """Record actions and statuses in the log, the board and the history."""
        specs = [ActionResult(a) for a in decision.actions if isinstance(a, Start | Change | Withdraw)]
        for each in (*specs, *done):
            _log(each, served.repository)
        statuses = self._after(decision, served, done, past)
        self._show(served, statuses)
        found = [*_events([*specs, *done], served), *(past.event(s) for s in statuses.values())]
        deployments = events.deployments(statuses.values(), past.now)
        await self._journal.write((e for e in found if e is not None), deployments)

    def _after(
        self, decision: Decision, served: ServedPass, done: Sequence[ActionResult], past: Past
    ) -> dict[Identity, Status]:
        """Return the statuses after the effects. Those that the effects did not change keep their dates."""
        statuses = self._delivered(decision, served.statuses)
        for each in done:
            if isinstance(each.action, VerifyRemoval) and each.receipt:
                identity, receipt = each.action.identity, each.receipt
                if receipt.clean and each.action.final and each.error is None:
                    removed = removed_status(statuses[identity], each.action)
                    statuses[identity] = undelivered(removed, None, receipt.comment_error, "")
        return {i: s if s == served.statuses[i] else past.dated(s) for i, s in statuses.items()}

    def _show(self, served: ServedPass, statuses: Mapping[Identity, Status]) -> None:
        board, facts, repository = self.parts.board, served.context.facts, served.repository
        reads = watermarks.all_read(facts.listing, facts.confirmed)
        board.heads.note(p for p in reads if p.identity.number not in facts.stale)
        board.show(facts.listing.repository_id, statuses)
        board.now = served.context.now
        board.report(repository.name, repository.slug, facts.observed.unable, facts.listing.read_at)

    async def facts(self, repository: Repository) -> Facts:
        """Read the facts of one pass for a query. Passes remember nothing of them."""
        return (await self._context(repository)).facts

    async def _context(self, repository: Repository) -> PassContext[Facts]:
        """Read the facts of a query. For a repository that left the catalog, read nothing from GitHub."""
        platform = self.platform  # a pass has one configuration, also if another one is taken over meanwhile
        if platform.repository(repository.name) is None:
            return await self._without_github(repository, platform)
        read = await self._read(repository, *await self._listed(repository, platform), platform)
        return await self._completed(read, repository, platform)

    async def _learned(self, repository: Repository) -> PassContext[Facts]:
        """Read the facts of one pass, as a query does, and remember what later passes need of them."""
        platform = self.platform  # as in `_context`
        if platform.repository(repository.name) is None:
            return await self._without_github(repository, platform)
        try:
            listing, observed = await self._listed(repository, platform)
        except Renamed as error:  # a server that is behind may answer next, under the name of before
            for (repository_id, number), updated_at in error.seen.items():
                self.parts.sources.freshness.hinted(Identity(repository_id, number), updated_at)
            raise
        self._ids[repository.slug.lower()] = listing.repository_id
        try:
            read = await self._read(repository, listing, observed, platform)
        except GreenroomError:
            learn_list(self.parts.sources.freshness, listing, observed, platform)
            raise
        learn(self.parts.sources.freshness, read, platform)  # also when a later read fails
        self.choices.keep(listing.repository_id, self.choices.still_open(read, platform.label))
        return await self._completed(read, repository, platform)

    async def _without_github(self, repository: Repository, platform: Platform) -> PassContext[Facts]:
        observed = await self.parts.engine.observe()
        known = left_set(observed, repository.name)
        if known is None:
            raise Doubt(f"Greenroom has no stored previews of the repository {repository.name}.")
        observed = _sure(observed, known.repository_id)
        now = self.now()
        listing = Listing(known.repository_id, repository.slug, True, "", now, ())
        return pass_context(Facts(listing, observed), platform, repository, now)

    async def _listed(self, repository: Repository, platform: Platform) -> tuple[Listing, EngineState]:
        """Return the list, and what the engine holds: the state that all reads of this pass are planned from."""
        observed = await self.parts.engine.observe()
        followed = required_reads.Followed.of(observed, platform)
        return await self.parts.lists.read(repository.slug, followed), observed

    async def _read(
        self, repository: Repository, listing: Listing, observed: EngineState, platform: Platform
    ) -> PullRequestFacts:
        promised, holds = self._promises.of(listing.repository_id), _sure(observed, listing.repository_id)
        return await pull_request_facts(self.parts.sources, listing, holds, platform, repository, promised)

    async def _completed(
        self, read: PullRequestFacts, repository: Repository, platform: Platform
    ) -> PassContext[Facts]:
        asked = self.choices.still_open(read, platform.label)
        context = pass_context(read, platform, repository, self.now())
        return await completed(self.parts.sources, context, asked)

    def reconfigure(self, platform: Platform) -> None:
        """Use this platform from the next pass on."""
        self.platform = platform

    async def left(self) -> tuple[Repository, ...]:
        """Return the repositories that no loop reads any more although previews of them exist; these are held.

        A repository that is in the catalog under another name has not left: once GitHub's id was read, it identifies
        the repository. The id also distinguishes a repository that was deleted and created again under the same name.
        """
        observed = await self.parts.engine.observe()
        here = {self._ids.get(r.slug.lower()) for r in self.platform.repositories}
        others = {i: preview_set for i, preview_set in observed.sets.items() if i not in here}
        return left(replace(observed, sets=others), self.platform, self._ids)

    def _may_be_renamed(self, served: ServedPass) -> bool:
        """Return whether the catalog has this repository under another name, or one whose id was not read yet.

        Then its removals stay open: only the pass over the repository's new name can write their last comments.
        """
        here, mine = self.platform.repositories, served.preview_set.repository_id
        if any(r.name == served.repository.name for r in here):
            return False
        return any(self._ids.get(r.slug.lower(), mine) == mine for r in here)

    async def dry_run(self, repository: Repository) -> Decision:
        """Return what a pass would do now, without doing it."""
        context = await self._context(repository)
        return explained(decide(context), context, self.parts.sources.ci.known(repository.slug))

    async def amend(self, repository_id: int, change: Callable[[PreviewSet], PreviewSet]) -> None:
        """Change one preview set under the lock that all writers of specs use. Raise `Doubt` when the engine has no
        such set.
        """
        async with self._serving:
            preview_set = _sure(await self.parts.engine.observe(), repository_id).sets.get(repository_id)
            if preview_set is None:
                raise Doubt(f"Greenroom has no stored previews of the repository with the GitHub ID {repository_id}.")
            changed = change(preview_set)
            try:
                await self.parts.engine.serve(changed)
            except NotStored as error:  # the others must not wait for it
                await self.parts.engine.serve(keeping(preview_set, changed, error.numbers))
                raise

    def id_of(self, repository: Repository) -> int:
        """Return GitHub's id of a repository that was read; 0 before."""
        return self._ids.get(repository.slug.lower(), 0)

    def now(self) -> datetime:
        """Return GitHub's clock in whole seconds, as GitHub writes its own times."""
        return self.parts.sources.github.now().replace(microsecond=0)

    async def _serve(self, read: PassContext[Facts]) -> tuple[PassContext[Facts], Decision, PreviewSet]:
        """Decide from what the engine holds now, and serve. Other repositories may have used limits since the read."""
        async with self._serving:
            observed = _sure(await self.parts.engine.observe(), read.facts.listing.repository_id)
            context = read.at(observed, self.now())
            before = set_of_repository(context.facts, context.repository)
            if observed.unable:
                return context, decide(context), before
            decision, preview_set = await self._serve_what_fits(context, before)
        known, manual_overrides = (
            self._by_hand.get(before.repository_id, {}),
            _set_by_hand(observed, before.repository_id),
        )
        self._by_hand[before.repository_id] = manual_overrides
        if _seen_by_others(before) != _seen_by_others(preview_set) or manual_overrides != known:
            for other in neighbours(self.platform, context.repository):
                self.related(other)
        return context, decision, preview_set

    async def _serve_what_fits(self, context: PassContext[Facts], before: PreviewSet) -> tuple[Decision, PreviewSet]:
        """Decide and serve. Previews with specs that are too large for the engine wait; no other one waits for them."""
        facts, waiting, unstored = context.facts, frozenset[Identity](), frozenset[int]()
        while True:
            decision = decide(context, waiting, unstored)
            starts = [a.identity.number for a in decision.actions if isinstance(a, Start)]
            noted = keeping(before, watermarks.noted(before, facts, starts), unstored)
            due = watermarks.due(before, noted, facts) or preview_sets.outdated(before, context.now)
            try:
                return decision, await serve_set(
                    self.parts.engine, noted, decision.plan, context.now, due=due, unstored=unstored
                )
            except TooLarge as error:
                more = frozenset(Identity(before.repository_id, n) for n in error.numbers) - waiting
                if not more:
                    raise
                log.warning("specs are too large for the engine", repository=context.repository.name, why=str(error))
                waiting |= more
            except NotStored as error:
                if error.numbers <= unstored:
                    raise
                log.warning("previews cannot be stored", repository=context.repository.name, why=str(error))
                unstored |= error.numbers

    def _delivered(self, decision: Decision, statuses: Mapping[Identity, Status]) -> dict[Identity, Status]:
        """Return the statuses with the error of each preview whose comment, label or removal fails."""
        found, why = {}, self.backoff.why
        for i, status in statuses.items():
            told = undelivered(status, decision.plan.memories.get(i), why(i, UpdateComment), why(i, RemoveLabel))
            slow = why(i, Remove, PATIENCE) or why(i, VerifyRemoval, PATIENCE)  # Argo CD needs a moment for each
            found[i] = unremoved(told, self.backoff.left(i), slow)
        return found

    def _paced(self, decision: Decision, context: PassContext[Facts]) -> tuple[Decision, float | None]:
        """Return the decision without the actions that must wait, and the seconds until the first of them is due.

        A failed effect waits for its retry, and so does a comment that was not read back. Otherwise only rewording
        waits: changes to the signed state and the comment on a removal are written at once, however low the budget is.
        """
        facts, readback, budget = context.facts, self.parts.sources.readback, self.parts.sources.github.content
        told = {a.identity for a in decision.actions if isinstance(a, UpdateComment)}
        listed = {p.identity for p in facts.listing.pull_requests if p.identity.number not in facts.stale}
        readback.read(listed - told)
        waiting: dict[Action, float] = {}
        planned = sum(
            isinstance(a, UpdateComment | RemoveLabel | VerifyRemoval) and not _words(a, facts)
            for a in decision.actions
        )
        for action in decision.actions:
            wait = self.backoff.wait(action, context.now)
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

    def _next(
        self,
        context: PassContext[Facts],
        decision: Decision,
        done: Sequence[ActionResult],
        everybody: Sequence[GreenroomError],
    ) -> float | None:
        """Return the seconds until the next pass. Raise an error that concerns all previews once nothing else
        progresses.

        A failure of one preview never raises, because an error slows down and alarms the whole repository.
        """
        facts, repository = context.facts, context.repository
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
        waiting = waiting or any(isinstance(v, Run) and v.waits for v in decision.desired.verdicts.values())
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


def _recent(done: ActionResult, served: ServedPass) -> bool:
    """Return whether a preview was withdrawn so recently that the removal may wait for another name."""
    entry = preview_sets.withdrawal(served.preview_set.ledger, done.action.identity)
    return entry is not None and served.context.now - entry.at < RENAMED


def _effects(decision: Decision) -> tuple[Action, ...]:
    return tuple(a for a in decision.actions if not isinstance(a, Start | Change | Withdraw))


def _events(done: Sequence[ActionResult], served: ServedPass) -> Iterator[Event | None]:
    """Yield the events of the actions that succeeded, and of all receipts."""
    preview_set, now = served.preview_set, served.context.now
    for each in done:
        if each.error is None:
            yield events.of_action(each.action, preview_set, now)
        if each.receipt:
            yield events.of_receipt(each.receipt, served.repository.name, preview_set.generation, now)


def _log(done: ActionResult, repository: Repository) -> None:
    name = f"{repository.name}#{done.action.identity.number}"
    kind = events.KINDS[type(done.action)]
    if isinstance(done.error, GreenroomError):
        log.warning("action failed", preview=name, action=kind, why=str(done.error))
    elif done.receipt and not done.receipt.clean:
        log.warning("resources still exist after the removal", preview=name, left=list(done.receipt.left))
    elif done.unread is not None:
        log.info("the comment on the removal is not read back yet", preview=name, seconds=round(done.unread))
    else:
        log.info("action", preview=name, action=kind, reason=done.action.reason.code)


def _seen_by_others(preview_set: PreviewSet) -> dict[int, object]:
    return {number: seen_by_others(spec) for number, spec in preview_set.specs.items()}
