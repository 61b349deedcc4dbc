"""Gather the facts of one repository: every read complete, or an exception that ends the pass.

Reads of the whole repository come first, then by-number reads, so that a confirmation is never older than the list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog

from greenroom.background import Tasks
from greenroom.controller.freshness import Freshness
from greenroom.controller.readback import Readback
from greenroom.core.comment.signed_block import Signer
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.facts import (
    Confirmation,
    EngineState,
    Facts,
    ImageState,
    Listing,
    Missing,
    Permission,
    Permissions,
    PullRequest,
)
from greenroom.core.model.spec import Identity
from greenroom.core.planning import required_reads, watermarks
from greenroom.errors import Doubt, FixConfiguration, FixCredentials, GreenroomError
from greenroom.github.client import GitHub
from greenroom.github.transport import Limited, NotFound
from greenroom.registry.client import Registry

log = structlog.get_logger(__name__)

_BATCH_SECONDS = 0.02


class Lists:
    """Lists of open pull requests. Repositories that are requested at the same time share one query."""

    def __init__(self, github: GitHub) -> None:
        self._github = github
        self._waiting: dict[str, asyncio.Future[Listing]] = {}
        self._followed = required_reads.Followed("")
        self._tasks = Tasks()

    async def read(self, slug: str, followed: required_reads.Followed) -> Listing:
        """Return the whole list of one repository. Raise the error that GitHub's answer means."""
        self._followed = followed  # it covers all repositories, so the latest one is current
        future = self._waiting.get(slug)
        if future is None:
            future = self._waiting[slug] = asyncio.get_running_loop().create_future()
            if len(self._waiting) == 1:
                self._tasks.start("lists of pull requests", self._read_waiting())
        return await asyncio.shield(future)

    async def _read_waiting(self) -> None:
        """Read the requested lists, group by group. An error that concerns all of GitHub ends the remaining groups."""
        await asyncio.sleep(_BATCH_SECONDS)
        waiting, self._waiting = self._waiting, {}
        try:
            for group in self._github.groups(list(waiting)):
                answers = await self._github.listings(group, self._followed)
                for slug in group:
                    _answer(
                        waiting[slug],
                        answers.get(slug, Doubt(f"GitHub returned nothing for {slug}. Greenroom will read it again.")),
                    )
        except BaseException as error:
            for future in waiting.values():
                _fail(future, error)
            if not isinstance(error, Exception):
                raise


def _answer(future: asyncio.Future[Listing], answer: Listing | GreenroomError) -> None:
    if isinstance(answer, GreenroomError):
        _fail(future, answer)
    elif not future.done():
        future.set_result(answer)


def _fail(future: asyncio.Future[Listing], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error if isinstance(error, Exception) else Doubt("Greenroom is stopping."))
        future.exception()  # read it once, so that a canceled waiter leaves no warning behind


@dataclass(frozen=True, slots=True)
class Sources:
    """Sources of facts."""

    github: GitHub
    registry: Registry
    signer: Signer
    freshness: Freshness
    readback: Readback = field(default_factory=Readback)


async def gather(
    sources: Sources,
    listing: Listing,
    observed: EngineState,
    platform: Platform,
    repository: Repository,
    promised: frozenset[int] = frozenset(),
) -> Facts:
    """Return all facts of one pass. Raise `FixCredentials` and `FixConfiguration` if they concern this repository.

    A by-number read that fails is a fact. A permission elsewhere that cannot be read is unknown, whatever the reason: a
    stranger's comment that names another repository must not end the passes of this one. Only a rate limit of GitHub
    ends the pass wherever it occurs: it applies to the token, and more requests would prolong it.
    """
    preview_set = observed.sets.get(listing.repository_id)
    sources.freshness.keep_comments(listing.repository_id, preview_set.comments if preview_set else {})
    listed = tuple(_with_our_comment(sources, p) for p in listing.pull_requests)
    listing = replace(listing, pull_requests=listed)
    listing, unread = await _with_files(sources.github, Facts(listing, observed), platform, repository)
    facts = Facts(listing, observed, promised=promised)
    numbers = required_reads.numbers(facts, platform)
    asked_of = [(n, required_reads.label(n, facts, platform)) for n in numbers]
    answers = await asyncio.gather(*(_confirm(sources, listing, *each) for each in asked_of))
    by_number = {**listing.doubts, **{n: answer for n, (answer, _) in zip(numbers, answers, strict=True)}}
    hidden = frozenset(n for n, (_, hides) in zip(numbers, answers, strict=True) if hides)
    known = {p.identity.number: p for p in listing.pull_requests}
    known |= {n: c.pull_request for n, c in by_number.items() if isinstance(c, Confirmation)}
    facts = replace(
        facts,
        confirmed=by_number,
        blocks={n: block for n, p in known.items() if (block := sources.signer.block(p.identity, p))},
        duplicates={n: ids for n, p in known.items() if (ids := _duplicates(sources, p))},
        hidden=hidden,
    )
    facts = _dated(sources.freshness, facts, platform)
    facts = replace(facts, stale=facts.stale | unread)
    logins = required_reads.askers(facts, platform, repository)
    wanted = required_reads.readers(facts, platform, repository)
    pairs = {
        *((repository.slug, login) for login in logins),
        *((slug, login) for (_, login), slug in wanted.items()),
        *required_reads.rights(facts, platform, repository),
    }
    asked = sorted(pairs)
    answered = await asyncio.gather(*(_permission(sources.github, repository.slug, *each) for each in asked))
    return replace(
        facts,
        permissions=Permissions(
            repository.slug,
            dict(zip(asked, answered, strict=True)),
            {service: slug for (service, _), slug in wanted.items()},
        ),
        images=await _images(sources.registry, facts, platform, repository),
    )


async def _with_files(
    github: GitHub, facts: Facts, platform: Platform, repository: Repository
) -> tuple[Listing, frozenset[int]]:
    """Return the list with the changed files it lacked, and the pull requests whose files could not be read."""
    wanted = required_reads.files(facts, platform, repository)
    answers = await asyncio.gather(*(_files(github, repository.slug, p) for p in wanted))
    found = {p.identity: a for p, a in zip(wanted, answers, strict=True) if not isinstance(a, Doubt)}
    whole = (replace(p, changed=found[p.identity]) if p.identity in found else p for p in facts.listing.pull_requests)
    unread = frozenset(p.identity.number for p in wanted if p.identity not in found)
    return replace(facts.listing, pull_requests=tuple(whole)), unread


async def _files(github: GitHub, slug: str, pull_request: PullRequest) -> frozenset[str] | Doubt | None:
    try:
        return await github.changed_files(slug, pull_request)
    except Limited:
        raise
    except Doubt as error:
        log.info("changed files could not be read; Greenroom retries", repository=slug, why=str(error))
        return error


def _with_our_comment(sources: Sources, read: PullRequest) -> PullRequest:
    known = sources.freshness.comment_id(read.identity)
    return replace(read, comment=sources.signer.ours(read.identity, read, known))


def _duplicates(sources: Sources, read: PullRequest) -> tuple[int, ...]:
    found = sources.signer.duplicates(read.identity, read)
    return tuple(i for i in found if sources.freshness.may_delete(i))


async def confirmed(sources: Sources, slug: str, identity: Identity, label: str = "") -> Confirmation:
    """Read one pull request by its number, with our comment on it. Raise the error that GitHub's answer means.

    A repository that was created again, or took over the name, has its own pull request with that number. Its times and
    comments say nothing about the one that is meant, and nothing is written there.
    """
    answer = await sources.github.pull_request(slug, identity.number, label)
    if answer.pull_request.identity != identity:
        raise Doubt(f"{slug} is now a different repository. Greenroom will read it again.")
    return replace(answer, pull_request=_with_our_comment(sources, answer.pull_request))


async def _confirm(sources: Sources, listing: Listing, number: int, label: str) -> tuple[Confirmation | str, bool]:
    """Read a pull request by its number. Return the answer, or why there is none, and whether GitHub hides only this
    one.
    """
    try:
        try:
            identity = Identity(listing.repository_id, number)
            return await confirmed(sources, listing.slug, identity, label), False
        except NotFound as error:
            return str(error), await sources.github.hides(listing.slug, listing.repository_id, number)
    except (FixCredentials, FixConfiguration, Limited):
        raise
    except GreenroomError as error:
        return str(error), False


async def _permission(github: GitHub, own: str, slug: str, login: str) -> Permission:
    try:
        return await github.permission(slug, login)
    except Limited:
        raise
    except (FixCredentials, FixConfiguration) as error:
        if slug.lower() == own.lower():
            raise
        log.warning(
            "a permission on another repository could not be read",
            repository=own,
            elsewhere=slug,
            login=login,
            why=str(error),
        )
    except GreenroomError as error:
        log.info("a permission could not be read; Greenroom retries", repository=slug, login=login, why=str(error))
    return Permission.UNKNOWN


async def _images(
    registry: Registry, facts: Facts, platform: Platform, repository: Repository
) -> dict[str, ImageState]:
    images = await _look(registry, required_reads.references(facts, platform, repository))
    missing = {reference for reference, state in images.items() if isinstance(state, Missing)}
    merges = required_reads.merge_references(facts, platform, repository, missing) if missing else ()
    return images | await _look(registry, [m for m in merges if m not in images])


async def _look(registry: Registry, references: Sequence[str]) -> dict[str, ImageState]:
    states = await asyncio.gather(*(registry.look(r) for r in references))
    return dict(zip(references, states, strict=True))


def _dated(freshness: Freshness, facts: Facts, platform: Platform) -> Facts:
    """Return the facts with their watermarks and with the numbers of the stale pull requests.

    The list and a read by number may come from different replicas, and both can change a preview, so one stale read is
    enough.
    """
    listing, preview_set = facts.listing, facts.observed.sets.get(facts.listing.repository_id)
    freshness.cap(listing.repository_id, listing.read_at)
    freshness.keep(listing.repository_id, preview_set.watermarks if preview_set else {})
    freshness.keep(listing.repository_id, watermarks.read(facts, platform))
    by_number = (c.pull_request for c in facts.confirmed.values() if isinstance(c, Confirmation))
    reads = (*listing.pull_requests, *by_number)
    old = (p for p in reads if freshness.stale(p) or not watermarks.plausible(p, listing.read_at))
    stale = {p.identity.number for p in old}
    return replace(facts, stale=frozenset(stale), watermarks=freshness.marks(listing.repository_id))
