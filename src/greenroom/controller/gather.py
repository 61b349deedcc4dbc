"""Gather the facts of one repository: every read complete, or an exception that ends the pass.

Reads of the whole repository come first, then by-number reads, so that a confirmation is never older than the list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from greenroom.controller.freshness import Freshness
from greenroom.controller.readback import Readback
from greenroom.core import questions, watermarks
from greenroom.core.catalogue import Platform, Repository
from greenroom.core.comment import Signer
from greenroom.core.model import (
    Block,
    Confirmation,
    Facts,
    Identity,
    ImageState,
    Listing,
    Missing,
    Observed,
    Permission,
    PullRequest,
)
from greenroom.errors import Doubt, FixConfiguration, FixCredentials, GreenroomError
from greenroom.github.client import GitHub
from greenroom.github.transport import Limited, NotFound
from greenroom.registry.client import Registry

log = structlog.get_logger(__name__)

_BATCH_SECONDS = 0.02


class Lists:
    """Lists of open pull requests; repositories that are asked for at the same time share one query."""

    def __init__(self, github: GitHub) -> None:
        self._github = github
        self._waiting: dict[str, asyncio.Future[Listing]] = {}
        self._followed = questions.Followed("")

    async def read(self, slug: str, followed: questions.Followed) -> Listing:
        """The whole list of one repository. Raises what GitHub's answer means."""
        self._followed = followed  # covers all repositories, so the latest one is the most current
        future = self._waiting.get(slug)
        if future is None:
            future = self._waiting[slug] = asyncio.get_running_loop().create_future()
            if len(self._waiting) == 1:
                self._batch = asyncio.create_task(self._read_waiting())
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
                        waiting[slug], answers.get(slug, Doubt(f"GitHub gave no answer for {slug}; it is read again."))
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
        future.exception()  # read here once: a waiter that was cancelled must not leave a warning behind


@dataclass(frozen=True, slots=True)
class Sources:
    """Where facts come from."""

    github: GitHub
    registry: Registry
    signer: Signer
    freshness: Freshness
    readback: Readback = field(default_factory=Readback)


async def gather(
    sources: Sources,
    listing: Listing,
    observed: Observed,
    platform: Platform,
    repository: Repository,
    promised: frozenset[int] = frozenset(),
) -> Facts:
    """All facts of one pass. Raises `FixCredentials` and `FixConfiguration` about this repository.

    A by-number read that fails is a fact; a permission elsewhere that cannot be read is unknown, whatever the reason: a
    stranger's comment that names another repository must not end the passes of this one. Only a limit of GitHub's ends
    the pass wherever it is met: it is the token's, and asking on while it lasts makes it last longer.
    """
    rows = observed.sets.get(listing.repository_id)
    sources.freshness.keep_comments(listing.repository_id, rows.comments if rows else {})
    listed = tuple(_with_our_comment(sources, p) for p in listing.pull_requests)
    listing = replace(listing, pull_requests=listed)
    listing, unread = await _with_files(sources.github, Facts(listing, observed), platform, repository)
    facts = Facts(listing, observed, promised=promised)
    numbers = questions.numbers(facts, platform)
    asked_of = [(n, questions.label(n, facts, platform)) for n in numbers]
    answers = await asyncio.gather(*(_confirm(sources, listing, *each) for each in asked_of))
    by_number = {**listing.doubts, **{n: answer for n, (answer, _) in zip(numbers, answers, strict=True)}}
    hidden = frozenset(n for n, (_, hides) in zip(numbers, answers, strict=True) if hides)
    facts = replace(facts, confirmed=by_number, blocks=_blocks(sources.signer, listing, by_number), hidden=hidden)
    facts = _dated(sources.freshness, facts, platform)
    facts = replace(facts, stale=facts.stale | unread)
    logins = questions.askers(facts, platform, repository)
    wanted = questions.readers(facts, platform, repository)
    pairs = {
        *((repository.slug, login) for login in logins),
        *((slug, login) for (_, login), slug in wanted.items()),
        *questions.rights(facts, platform, repository),
    }
    asked = sorted(pairs)
    answered = await asyncio.gather(*(_permission(sources.github, repository.slug, *each) for each in asked))
    rights = dict(zip(asked, answered, strict=True))
    return replace(
        facts,
        permissions={login: rights[repository.slug, login] for login in logins},
        readers={key: rights[slug, key[1]] for key, slug in wanted.items()},
        rights=rights,
        images=await _images(sources.registry, facts, platform, repository),
    )


async def _with_files(
    github: GitHub, facts: Facts, platform: Platform, repository: Repository
) -> tuple[Listing, frozenset[int]]:
    """Return the list with the changed files it lacked, and the pull requests whose files could not be read."""
    wanted = questions.files(facts, platform, repository)
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
        log.info("changed files could not be read; trying again", repository=slug, why=str(error))
        return error


def _with_our_comment(sources: Sources, read: PullRequest) -> PullRequest:
    known = sources.freshness.comment_id(read.identity)
    return replace(read, comment=sources.signer.ours(read.identity, read, known))


async def confirmed(sources: Sources, slug: str, identity: Identity, label: str = "") -> Confirmation:
    """Read one pull request by its number, with our comment on it. Raises what GitHub's answer means.

    A repository that was created again, or took the name over, has its own pull request of that number. Neither its
    times nor its comments say anything of the one that is meant, and nothing is written there.
    """
    answer = await sources.github.pull_request(slug, identity.number, label)
    if answer.pull_request.identity != identity:
        raise Doubt(f"Another repository answers as {slug} now; it is read again.")
    return replace(answer, pull_request=_with_our_comment(sources, answer.pull_request))


async def _confirm(sources: Sources, listing: Listing, number: int, label: str) -> tuple[Confirmation | str, bool]:
    """Read a pull request by its number: the answer, or why there is none, and whether GitHub hides it alone."""
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
        log.warning("a permission elsewhere is not known", repository=own, elsewhere=slug, login=login, why=str(error))
    except GreenroomError as error:
        log.info("a permission is not known; it is asked again", repository=slug, login=login, why=str(error))
    return Permission.UNKNOWN


async def _images(
    registry: Registry, facts: Facts, platform: Platform, repository: Repository
) -> dict[str, ImageState]:
    images = await _look(registry, questions.references(facts, platform, repository))
    missing = {reference for reference, state in images.items() if isinstance(state, Missing)}
    merges = questions.merge_references(facts, platform, repository, missing) if missing else ()
    return images | await _look(registry, [m for m in merges if m not in images])


async def _look(registry: Registry, references: Sequence[str]) -> dict[str, ImageState]:
    states = await asyncio.gather(*(registry.look(r) for r in references))
    return dict(zip(references, states, strict=True))


def _blocks(signer: Signer, listing: Listing, confirmed: Mapping[int, Confirmation | str]) -> dict[int, Block]:
    known = {p.identity.number: p for p in listing.pull_requests}
    known |= {n: c.pull_request for n, c in confirmed.items() if isinstance(c, Confirmation)}
    blocks = ((n, signer.read(p.identity, p.comment)) for n, p in known.items())
    return {number: block for number, block in blocks if block is not None}


def _dated(freshness: Freshness, facts: Facts, platform: Platform) -> Facts:
    """Return the facts with their watermarks and with the numbers of the stale pull requests.

    The list and a read by number may come from different replicas, and both can change a preview, so one stale read is
    enough.
    """
    listing, rows = facts.listing, facts.observed.sets.get(facts.listing.repository_id)
    freshness.cap(listing.repository_id, listing.read_at)
    freshness.keep(listing.repository_id, rows.watermarks if rows else {})
    freshness.keep(listing.repository_id, watermarks.read(facts, platform))
    by_number = (c.pull_request for c in facts.confirmed.values() if isinstance(c, Confirmation))
    reads = (*listing.pull_requests, *by_number)
    old = (p for p in reads if freshness.stale(p) or not watermarks.plausible(p, listing.read_at))
    stale = {p.identity.number for p in old}
    return replace(facts, stale=frozenset(stale), watermarks=freshness.marks(listing.repository_id))
