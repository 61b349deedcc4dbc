"""One pass over one repository: gather, decide, perform, tell. The order of effects is the order of safety.

Rows of all repositories are served under one lock, decided from what the engine holds at that moment, so that two
passes cannot both take the last place under a limit, nor both spend the last removal of the hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import structlog

from greenroom.controller import events
from greenroom.controller.backoff import Backoff
from greenroom.controller.board import Board, RepositoryHealth
from greenroom.controller.engine import Engine
from greenroom.controller.gather import Lists, Sources, gather
from greenroom.controller.pace import Pace
from greenroom.controller.perform import Done, Target, effect, removed_status, serve_rows
from greenroom.controller.promises import Promises
from greenroom.core import labels, questions, rowsets, watermarks
from greenroom.core.actions import Action, Change, Conclude, Remove, Start, TakeLabelOff, Tell, Withdraw
from greenroom.core.catalogue import Platform, Repository
from greenroom.core.decision import Decision, decide, postponed, row_set
from greenroom.core.desired import held, left, left_rows, overtaken
from greenroom.core.links import neighbours, seen_from_outside
from greenroom.core.lives import try_again_in
from greenroom.core.model import Confirmation, Facts, Identity, Listing, Observed, RowSet, State
from greenroom.core.rows import Choice
from greenroom.core.status import Stage, Status
from greenroom.core.undelivered import undelivered, unremoved
from greenroom.errors import Doubt, Failed, Full, GreenroomError, RetryLater
from greenroom.store.rows import Deployment, Event

log = structlog.get_logger(__name__)

AGAIN = 0.05
HISTORY = 500
PATIENCE = 5
POLL_IMAGE = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Record(Protocol):
    """Where history goes. Losing it costs reports, never a preview."""

    async def record(self, *events: Event) -> int:
        """Append events; those already known are kept once."""

    async def record_deployments(self, *deployments: Deployment) -> int:
        """Append deployments; those already known are kept once."""

    async def events(self, identity: Identity | None = None, limit: int = 50) -> tuple[Event, ...]:
        """The latest events of one preview, newest first: since when it is as it is, after a start."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pass works with."""

    engine: Engine
    sources: Sources
    lists: Lists
    history: Record
    board: Board


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen before a pass: the statuses of the last one, and the history of previews that had none."""

    before: Mapping[Identity, Status]
    known: Mapping[Identity, tuple[Event, ...]]


@dataclass(slots=True)
class Reconciler:
    """Passes over repositories. `platform` may be replaced between passes: the configuration changed.

    `related` is told the name of another repository whose previews may link elsewhere now.
    """

    parts: Parts
    platform: Platform
    related: Callable[[str], None] = lambda name: None
    pace: Pace = field(default_factory=Pace)
    backoff: Backoff = field(default_factory=Backoff)
    _asked: dict[Identity, dict[str, Choice]] = field(default_factory=dict)
    _ids: dict[str, int] = field(default_factory=dict)  # GitHub's, by the name there: it stays when that changes
    _serving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _polls: dict[str, int] = field(default_factory=dict)
    _promises: Promises = field(default_factory=Promises)
    _begun: bool = False

    async def reconcile(self, repository: Repository) -> float | None:
        """One pass. Returns seconds until the next one is wanted, or None when only the resync is.

        Raises `GreenroomError`; nothing was removed then that the facts did not confirm.
        """
        await self._begin()
        facts = await self.facts(repository)
        facts, decision, rows = await self._serve(facts, repository)
        self._promises.seen(facts, decision)
        now = self.now()
        self.backoff.forget(facts.listing.repository_id, decision.actions)
        decision, later = self._paced(decision, facts, now)
        decision = replace(decision, statuses=self._delivered(decision, decision.statuses))
        before = dict(self.parts.board.statuses)
        known = await self._known(decision, before)
        dated = {i: events.dated(s, before.get(i), known.get(i, ()), now) for i, s in decision.statuses.items()}
        target = Target(repository.slug, self.platform, facts, rows, now, dated, repository.name)
        self._show(repository, dated, target)  # who reads the comment finds the same everywhere else
        done = [await effect(self.parts.engine, self.parts.sources, target, a) for a in _effects(decision)]
        everybody = self.backoff.record(done, now)
        closed = [d for d in done if d.receipt and d.receipt.clean and d.error is None and d.unread is None]
        if concluded := [d.action.identity for d in closed]:
            await self.amend(facts.listing.repository_id, lambda rows: rowsets.all_told(rows, concluded))
            if rows.repository != repository.name:  # the repository that has its name now may wait for this
                self.related(rows.repository)
        await self._note(repository, decision, target, done, Seen(before, known))
        again = self._next(repository, facts, decision, done, everybody)
        return min((wait for wait in (again, later) if wait is not None), default=None)

    async def facts(self, repository: Repository) -> Facts:
        """Everything that one pass reads. Of a repository that left the catalogue, GitHub is asked nothing."""
        if self.platform.repository(repository.name) is None:
            observed = await self.parts.engine.observe()
            known = left_rows(observed, repository.name)
            if known is None:
                raise Doubt(f"The engine holds nothing of {repository.name}.")
            observed = _sure(observed, known.repository_id)
            return Facts(Listing(known.repository_id, repository.slug, True, "", self.now(), ()), observed)
        followed = questions.Followed.of(await self.parts.engine.observe(), self.platform)
        listing = await self.parts.lists.read(repository.slug, followed)
        self._ids[repository.slug.lower()] = listing.repository_id
        observed = _sure(await self.parts.engine.observe(), listing.repository_id)
        waits = self._promises.of(listing.repository_id)
        facts = await gather(self.parts.sources, listing, observed, self.platform, repository, waits)
        return replace(facts, asked=self._still_asked(facts), stale=facts.stale | overtaken(facts))

    async def _begin(self) -> None:
        """After a start, load the promises from the history. Without it, only pull requests that wait now are known."""
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

    def ask(self, identity: Identity, choice: Choice) -> None:
        """Take a choice that did not come by a comment; it counts once our comment holds it, as all do."""
        self._asked.setdefault(identity, {})[choice.service] = choice

    def asks(self, identity: Identity) -> bool:
        """Whether something that was asked for is not yet in our comment."""
        return bool(self._asked.get(identity))

    def _still_asked(self, facts: Facts) -> dict[int, tuple[Choice, ...]]:
        """What was asked for of this repository and is not in a block that was read back.

        A pull request that is closed, or lost its label, has forgotten it. One that could not be read, or whose read is
        stale, keeps it, because the person was told that Greenroom tries again.
        """
        asking = {p.identity for p in facts.listing.pull_requests if labels.carries(p.labels, self.platform.label)}
        unsure = facts.listing.doubts.keys() | facts.stale
        asking |= {Identity(facts.listing.repository_id, n) for n in unsure} | _unlisted(facts)
        for gone in [i for i in self._asked if i.repository_id == facts.listing.repository_id and i not in asking]:
            del self._asked[gone]
        for number, block in facts.blocks.items():
            asked = self._asked.get(Identity(facts.listing.repository_id, number), {})
            for choice in block.memory.choices:
                wanted = asked.get(choice.service)
                if wanted and (choice == wanted or choice.comment > wanted.comment):
                    del asked[choice.service]
        return {
            i.number: tuple(asked.values())
            for i, asked in self._asked.items()
            if asked and i.repository_id == facts.listing.repository_id
        }

    async def left(self) -> tuple[Repository, ...]:
        """Return the repositories that no loop reads any more although previews of them exist; these are held.

        One that is in the catalogue under another name has not left: GitHub's id, once it was read, identifies it.
        The id also distinguishes a repository that was deleted and created again under the same name.
        """
        observed = await self.parts.engine.observe()
        here = {self._ids.get(r.slug.lower()) for r in self.platform.repositories}
        others = {i: rows for i, rows in observed.sets.items() if i not in here}
        return left(replace(observed, sets=others), self.platform, self._ids)

    async def preview(self, repository: Repository) -> Decision:
        """A dry run: what a pass would do now."""
        return decide(await self.facts(repository), self.platform, repository, self.now())

    async def amend(self, repository_id: int, change: Callable[[RowSet], RowSet]) -> None:
        """Change one row set under the lock of all that serve. Raises `Doubt` when the engine has no such set."""
        async with self._serving:
            rows = _sure(await self.parts.engine.observe(), repository_id).sets.get(repository_id)
            if rows is None:
                raise Doubt(f"The engine holds no rows of repository {repository_id}.")
            await self.parts.engine.serve(change(rows))

    def now(self) -> datetime:
        """GitHub's clock in whole seconds, as GitHub writes its own times."""
        return self.parts.sources.github.now().replace(microsecond=0)

    async def _serve(self, facts: Facts, repository: Repository) -> tuple[Facts, Decision, RowSet]:
        async with self._serving:
            observed = _sure(await self.parts.engine.observe(), facts.listing.repository_id)
            facts = replace(facts, observed=observed)
            before = row_set(facts, repository)
            decision, rows = await self._serve_what_fits(facts, repository, before)
        if seen_from_outside(before) != seen_from_outside(rows):
            for other in neighbours(self.platform, repository):
                self.related(other)
        return facts, decision, rows

    async def _serve_what_fits(self, facts: Facts, repository: Repository, before: RowSet) -> tuple[Decision, RowSet]:
        """Decide and serve; when the engine has no room for all of it, ever less starts, but what goes goes."""
        now, waiting, marks = self.now(), frozenset[Identity](), True
        while True:
            decision = decide(facts, self.platform, repository, now, waiting)
            starts = [a.identity.number for a in decision.actions if isinstance(a, Start)]
            noted = watermarks.noted(before, facts, starts) if marks else before
            due = marks and watermarks.due(before, noted, facts)
            try:
                return decision, await serve_rows(self.parts.engine, noted, decision.plan, now, due=due)
            except Full as error:
                more = postponed(decision, waiting)
                if not more and marks:  # a removal must not fail because watermarks take up the space
                    marks = False
                    continue
                if not more:
                    raise
                log.warning("the rows do not fit", repository=repository.name, wait=len(waiting | more), why=str(error))
                waiting |= more

    def _delivered(self, decision: Decision, statuses: Mapping[Identity, Status]) -> dict[Identity, Status]:
        """Return the statuses with the error of each preview whose comment, label or removal fails."""
        found, why = {}, self.backoff.why
        for i, status in statuses.items():
            told = undelivered(status, decision.plan.memories.get(i), why(i, Tell), why(i, TakeLabelOff))
            slow = why(i, Remove, PATIENCE) or why(i, Conclude, PATIENCE)  # Argo CD needs a moment for each
            found[i] = unremoved(told, self.backoff.left(i), slow)
        return found

    def _paced(self, decision: Decision, facts: Facts, now: datetime) -> tuple[Decision, float | None]:
        """Return the decision without the actions that must wait, and the seconds until the first of them is due.

        A failed effect waits for its retry, and so does a comment that was not read back. Otherwise only rewording
        waits: changes to the signed state and the comment on a removal are written at once, however low the budget is.
        """
        readback, budget = self.parts.sources.readback, self.parts.sources.github.content
        told = {a.identity for a in decision.actions if isinstance(a, Tell)}
        listed = {p.identity for p in facts.listing.pull_requests if p.identity.number not in facts.stale}
        readback.read(listed - told)
        waiting: dict[Action, float] = {}
        planned = sum(isinstance(a, Tell | TakeLabelOff | Conclude) and not _words(a, facts) for a in decision.actions)
        for action in decision.actions:
            wait = self.backoff.wait(action, now)
            if isinstance(action, Tell):
                wait = max(wait, readback.wait(action.identity, (action.text, action.memory)))
            if _words(action, facts):
                wait = max(wait, self.pace.wait(action.identity), budget.wait(planned))
                planned += not wait
            if wait:
                waiting[action] = wait
            elif isinstance(action, Tell):
                self.pace.edited(action.identity)
        actions = tuple(a for a in decision.actions if a not in waiting)
        return replace(decision, actions=actions), min(waiting.values(), default=None)

    async def _note(
        self,
        repository: Repository,
        decision: Decision,
        target: Target,
        done: Sequence[Done],
        seen: Seen,
    ) -> None:
        """Write down what was done and seen: log, board, history."""
        parts = self.parts
        served = [Done(a) for a in decision.actions if isinstance(a, Start | Change | Withdraw)]
        found: list[Event | None] = []
        for each in (*served, *done):
            _log(each, repository)
            if each.error is None:
                found.append(events.of_action(each.action, target.rows, target.now))
            if each.receipt:
                found.append(events.of_receipt(each.receipt, repository.name, target.rows.generation, target.now))
        statuses = self._delivered(decision, target.statuses)
        for each in done:
            if isinstance(each.action, Conclude) and each.receipt:
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
            await parts.history.record(*(e for e in found if e is not None))
            await parts.history.record_deployments(*events.deployments(statuses.values(), target.now))
        except Failed as error:
            log.warning("history was not written; the previews are as they should be", why=str(error))

    async def _known(self, decision: Decision, before: Mapping[Identity, Status]) -> dict[Identity, tuple[Event, ...]]:
        """What history says of the previews that were not seen since the start. Without it they have no past."""
        new = [i for i, s in decision.statuses.items() if i not in before and s.stage is not Stage.NONE]
        try:
            return {i: await self.parts.history.events(i, limit=20) for i in new}
        except Failed as error:
            log.warning("history was not read; it is not shown since when previews are as they are", why=str(error))
            return {}

    def _show(self, repository: Repository, statuses: Mapping[Identity, Status], target: Target) -> None:
        board = self.parts.board
        board.show(target.facts.listing.repository_id, statuses)
        read_at = target.facts.listing.read_at
        board.repositories[repository.name] = RepositoryHealth(repository.name, repository.slug, read_at)
        board.now = target.now

    def _next(
        self,
        repository: Repository,
        facts: Facts,
        decision: Decision,
        done: Sequence[Done],
        everybody: Sequence[GreenroomError],
    ) -> float | None:
        """Return the seconds until the next pass. Raises an error that concerns all previews once nothing else moves.

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
        waits += [self.backoff.next(repository_id, self.now()), *(max(AGAIN, wait) for wait in unread)]
        return min((w for w in waits if w is not None), default=None)

    def _poll(self, repository: Repository, decision: Decision) -> float | None:
        """Commits that wait for an image are looked at again, less and less often."""
        waiting = any(s.stage is Stage.WAITING for s in decision.statuses.values())
        if not waiting:
            self._polls.pop(repository.name, None)
            return None
        tries = self._polls.get(repository.name, 0)
        self._polls[repository.name] = tries + 1
        return POLL_IMAGE[min(tries, len(POLL_IMAGE) - 1)]


def _sure(observed: Observed, repository_id: int) -> Observed:
    """What the engine holds. Raises `Doubt` when it cannot say what it holds of this repository."""
    if why := observed.doubts.get(repository_id):
        raise Doubt(why)
    return observed


def _unlisted(facts: Facts) -> set[Identity]:
    """Return the previews that the list leaves out and that no read by number shows as closed."""
    listed = {p.identity for p in facts.listing.pull_requests}
    answers = ((i, facts.confirmed.get(i.number)) for i in held(facts) - listed)
    return {i for i, c in answers if not isinstance(c, Confirmation) or c.pull_request.state is State.OPEN}


def _tries(facts: Facts) -> float | None:
    """Seconds until the engine should be asked again to apply what it refused."""
    observed = facts.observed
    rows = observed.sets.get(facts.listing.repository_id)
    waits = (
        (try_again_in(r, observed.previews.get(Identity(r.repository_id, n))) for n, r in rows.rows.items())
        if rows
        else ()
    )
    return min((max(0.0, w.total_seconds()) + AGAIN for w in waits if w is not None), default=None)


def _doubtful(facts: Facts) -> bool:
    """Whether a by-number read failed, or contradicts the list."""
    listed = {p.identity for p in facts.listing.pull_requests}
    return any(
        isinstance(c, str) or (c.pull_request.state is State.OPEN and c.pull_request.identity not in listed)
        for number, c in facts.confirmed.items()
        if number not in facts.hidden
    )


def _words(action: Action, facts: Facts) -> bool:
    """Return whether an action only rewords a comment that exists: no warning, choice or decision changes."""
    block = facts.blocks.get(action.identity.number)
    return isinstance(action, Tell) and block is not None and block.memory == action.memory


def _effects(decision: Decision) -> tuple[Action, ...]:
    return tuple(a for a in decision.actions if not isinstance(a, Start | Change | Withdraw))


def _log(done: Done, repository: Repository) -> None:
    name = f"{repository.name}#{done.action.identity.number}"
    kind = events.KINDS[type(done.action)]
    if isinstance(done.error, GreenroomError):
        log.warning("action failed", preview=name, action=kind, why=str(done.error))
    else:
        log.info("action", preview=name, action=kind, reason=done.action.reason.code)
