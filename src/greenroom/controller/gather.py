"""Gather the facts of one repository: every read complete, or an exception that ends the pass.

Reads of the whole repository come first, then by-number reads, so that a confirmation is never older than the list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from greenroom.background import Tasks
from greenroom.controller.ci import CiAdvice
from greenroom.controller.freshness import Freshness
from greenroom.controller.readback import Readback
from greenroom.controller.seeds import seed_facts
from greenroom.core.comment.signed_block import Signer
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.engine import EngineState, PreviewSet, Watermark
from greenroom.core.model.facts import Facts, PullRequestFacts
from greenroom.core.model.github import (
    Confirmation,
    ImageState,
    Listing,
    Missing,
    Permission,
    Permissions,
    PullRequest,
    Requested,
)
from greenroom.core.model.spec import Identity
from greenroom.core.planning import required_reads, watermarks
from greenroom.core.planning.context import PassContext
from greenroom.core.planning.desired import overtaken
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
                self._tasks.start("pull request lists", self._read_waiting())
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
                        answers.get(slug, Doubt(f"GitHub returned no data for {slug}. Greenroom will try again.")),
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
    ci: CiAdvice
    readback: Readback = field(default_factory=Readback)


async def pull_request_facts(
    sources: Sources,
    listing: Listing,
    observed: EngineState,
    platform: Platform,
    repository: Repository,
    promised: frozenset[int] = frozenset(),
) -> PullRequestFacts:
    """Read what the list lacks of the pull requests of one repository, by number.

    Raise `FixCredentials` and `FixConfiguration` if they concern this repository. A by-number read that fails is a
    fact. Only a rate limit of GitHub ends the pass wherever it occurs: it applies to the token, and more requests would
    prolong it. The freshness of the sources stays as it is; see `learn`.
    """
    stored = replace(sources, freshness=sources.freshness.copy())
    stored.freshness.keep_comments(listing.repository_id, _set_of(listing, observed).comments)
    listed = tuple(_with_our_comment(stored, p) for p in listing.pull_requests)
    listing, unread = await _with_files(sources.github, replace(listing, pull_requests=listed), platform, repository)
    numbers = required_reads.numbers(listing, observed, platform, promised)
    asked_of = [(i, required_reads.label(i, observed, platform)) for i in _identities(listing, numbers)]
    answers = await asyncio.gather(*(_confirm(stored, listing, *each) for each in asked_of))
    confirmed = {**listing.doubts, **{n: answer for n, (answer, _) in zip(numbers, answers, strict=True)}}
    known = {p.identity.number: p for p in watermarks.all_read(listing, confirmed)}
    blocks = {n: block for n, p in known.items() if (block := sources.signer.block(p.identity, p))}
    stale, marks = _dated(sources.freshness, listing, observed, confirmed, platform)
    return PullRequestFacts(
        listing,
        observed,
        confirmed,
        blocks,
        stale=stale | unread | overtaken(listing.repository_id, blocks, observed),
        promised=promised,
        duplicates={n: ids for n, p in known.items() if (ids := _duplicates(sources, p))},
        watermarks=marks,
        hidden=frozenset(n for n, (_, hides) in zip(numbers, answers, strict=True) if hides),
    )


async def completed(
    sources: Sources, context: PassContext[PullRequestFacts], asked: Mapping[int, Requested]
) -> PassContext[Facts]:
    """Look up the permissions and images that these pull requests need, and return the context with all facts.

    A permission elsewhere that cannot be read is unknown, whatever the reason: a stranger's comment that names another
    repository must not end the passes of this one.
    """
    permissions = await _permissions(sources.github, context)
    images = await _images(sources.registry, context)
    seeds = await seed_facts(sources.github, sources.registry, context)
    return context.completed(context.facts.completed(asked, permissions, images, seeds))


async def _permissions(github: GitHub, context: PassContext[PullRequestFacts]) -> Permissions:
    here, wanted = context.repository.slug, required_reads.readers(context)
    pairs = {
        *((here, login) for login in required_reads.askers(context)),
        *((slug, login) for (_, login), slug in wanted.items()),
        *required_reads.rights(context),
    }
    asked = sorted(pairs)
    answered = await asyncio.gather(*(_permission(github, here, *each) for each in asked))
    owners = {service: slug for (service, _), slug in wanted.items()}
    return Permissions(here, dict(zip(asked, answered, strict=True)), owners)


def learn(freshness: Freshness, read: PullRequestFacts, platform: Platform) -> None:
    """Remember how new these reads are, so that older ones are noticed. A query does not call this."""
    freshness.keep_comments(read.listing.repository_id, _set_of(read.listing, read.observed).comments)
    _learn(freshness, read.listing, read.observed, read.confirmed, platform)
    freshness.forget()


def learn_list(freshness: Freshness, listing: Listing, observed: EngineState, platform: Platform) -> None:
    """Remember how new a list is although the rest of its pass could not be read."""
    _learn(freshness, listing, observed, {}, platform)


def _set_of(listing: Listing, observed: EngineState) -> PreviewSet:
    return observed.sets.get(listing.repository_id) or PreviewSet(listing.repository_id, "")


def _identities(listing: Listing, numbers: Iterable[int]) -> list[Identity]:
    return [Identity(listing.repository_id, n) for n in numbers]


async def _with_files(
    github: GitHub, listing: Listing, platform: Platform, repository: Repository
) -> tuple[Listing, frozenset[int]]:
    """Return the list with the changed files it lacked, and the pull requests whose files could not be read."""
    wanted = required_reads.files(listing, platform, repository)
    answers = await asyncio.gather(*(_files(github, repository.slug, p) for p in wanted))
    found = {p.identity: a for p, a in zip(wanted, answers, strict=True) if not isinstance(a, Doubt)}
    whole = (replace(p, changed=found[p.identity]) if p.identity in found else p for p in listing.pull_requests)
    unread = frozenset(p.identity.number for p in wanted if p.identity not in found)
    return replace(listing, pull_requests=tuple(whole)), unread


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


async def _confirm(
    sources: Sources, listing: Listing, identity: Identity, label: str
) -> tuple[Confirmation | str, bool]:
    """Read a pull request by its number. Return the answer, or why there is none, and whether GitHub hides only this
    one.
    """
    try:
        try:
            return await confirmed(sources, listing.slug, identity, label), False
        except NotFound as error:
            return str(error), await sources.github.hides(listing.slug, listing.repository_id, identity.number)
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


async def _images(registry: Registry, context: PassContext[PullRequestFacts]) -> dict[str, ImageState]:
    images = await registry.look_all(required_reads.references(context))
    missing = {reference for reference, state in images.items() if isinstance(state, Missing)}
    merges = required_reads.merge_references(context, missing) if missing else ()
    return images | await registry.look_all([m for m in merges if m not in images])


def _dated(
    freshness: Freshness,
    listing: Listing,
    observed: EngineState,
    confirmed: Mapping[int, Confirmation | str],
    platform: Platform,
) -> tuple[frozenset[int], Mapping[int, Watermark]]:
    """Return the numbers of the stale pull requests, and the watermarks of all.

    The list and a read by number may come from different replicas, and both can change a preview, so one stale read is
    enough.
    """
    freshness = freshness.copy()
    _learn(freshness, listing, observed, confirmed, platform)
    reads = watermarks.all_read(listing, confirmed)
    old = (p for p in reads if freshness.stale(p) or not watermarks.plausible(p, listing.read_at))
    return frozenset(p.identity.number for p in old), freshness.marks(listing.repository_id)


def _learn(
    freshness: Freshness,
    listing: Listing,
    observed: EngineState,
    confirmed: Mapping[int, Confirmation | str],
    platform: Platform,
) -> None:
    repository_id, reads = listing.repository_id, watermarks.all_read(listing, confirmed)
    freshness.cap(repository_id, listing.read_at)
    freshness.keep(repository_id, _set_of(listing, observed).watermarks)
    freshness.keep(repository_id, watermarks.read(reads, listing.read_at, observed, platform))
