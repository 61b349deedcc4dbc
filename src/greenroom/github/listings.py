"""Lists of open pull requests: several repositories in one query, page by page.

Every list is complete or an error. `reading.py` judges the pages; `page_size.py` decides how much to request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from greenroom.core.model.github import Listing, PullRequest
from greenroom.errors import Doubt, GreenroomError, RetryLater
from greenroom.github import queries, shapes, translate
from greenroom.github.account import Account
from greenroom.github.clock import Clock
from greenroom.github.page_size import PageSize
from greenroom.github.pull_requests import PullRequests
from greenroom.github.reading import Payload, Reading, TooHeavy
from greenroom.github.transport import TooSlow, Transport

TOGETHER = 10


@dataclass(frozen=True, slots=True)
class _Repository:
    """Values that all pull requests of one list share."""

    slug: str
    id: int
    me: str
    now: datetime
    follows: Callable[[PullRequest], bool]


class Listings:
    """Reader of lists. `prefix` is the start of the first line of our comments."""

    def __init__(
        self, transport: Transport, clock: Clock, prefix: str, account: Account, pull_requests: PullRequests
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._prefix = prefix
        self._account = account
        self._pull_requests = pull_requests
        self._sizes: dict[str, PageSize] = {}

    def groups(self, slugs: Sequence[str]) -> list[list[str]]:
        """Divide repositories into groups that share one query. Heavy ones come last, each with its own query."""
        together = [s for s in slugs if not self._size(s).alone]
        alone = sorted((s for s in slugs if self._size(s).alone), key=lambda s: -self._size(s).size)
        return [together[i : i + TOGETHER] for i in range(0, len(together), TOGETHER)] + [[s] for s in alone]

    async def read(
        self, slugs: Sequence[str], follows: Callable[[PullRequest], bool]
    ) -> Mapping[str, Listing | GreenroomError]:
        """Read all open pull requests of each repository. Return the complete list, or the error, of each.

        Pull requests that `follows` rejects are read up to their first 100 comments and last 100 label events only.
        Raise errors that concern all of them: credentials, limits, an unavailable GitHub.
        """
        readings = [Reading(slug) for slug in slugs]
        while pending := [r for r in readings if r.answer is None]:
            first = self.groups([r.slug for r in pending])[0]
            await self._page([r for r in pending if r.slug in first], follows)
        return {r.slug: r.answer for r in readings if r.answer is not None}

    def _size(self, slug: str) -> PageSize:
        return self._sizes.get(slug.lower(), PageSize())

    async def _page(self, readings: Sequence[Reading], follows: Callable[[PullRequest], bool]) -> None:
        variables: dict[str, object] = {}
        for i, reading in enumerate(readings):
            owner, _, name = reading.slug.partition("/")
            size = self._size(reading.slug).size
            variables |= {f"o{i}": owner, f"n{i}": name, f"f{i}": size, f"a{i}": reading.cursor}
        try:
            answer = await self._transport.query(queries.pull_requests(len(readings)), variables)
        except TooSlow as error:
            for reading in readings:
                # On the first page, GitHub itself may be down: then the loop's back-off decides.
                self._too_much(reading, error, shared=len(readings) > 1, certain=reading.read_at is not None)
            return
        for i, reading in enumerate(readings):
            try:
                with shapes.understood(f"the pull requests of {reading.slug}"):
                    size = self._size(reading.slug).size
                    last = reading.take(answer, f"r{i}", size, self._clock.now())
                if last:
                    reading.settle(await self._listing(reading, self._account.shown(answer), follows))
                self._sizes[reading.slug.lower()] = self._size(reading.slug).worked()
            except TooHeavy as error:
                self._too_much(reading, error, shared=False, certain=True)
            except GreenroomError as error:
                reading.settle(error)

    def _too_much(self, reading: Reading, error: Doubt, *, shared: bool, certain: bool) -> None:
        """Ask for less next time, at once from the same cursor if the size was certainly the reason."""
        before = self._size(reading.slug)
        self._sizes[reading.slug.lower()] = before.failed(shared=shared)
        if not certain or (before.size == 1 and not shared):
            reading.settle(error)

    async def _listing(self, reading: Reading, me: str, follows: Callable[[PullRequest], bool]) -> Listing:
        nodes, now = reading.whole(), self._clock.now()
        here = _Repository(reading.slug, await self._repository_id(reading), me, now, follows)
        found, doubts = [], dict(reading.doubts)
        for number in [n for n in nodes if n not in doubts]:
            try:
                found.append(await self._pull_request(here, nodes[number]))
            except Doubt as error:
                if isinstance(error, RetryLater) and not isinstance(error, TooSlow):
                    raise  # a rate limit or an outage does not concern one pull request
                doubts[number] = str(error)
        return Listing(
            repository_id=here.id,
            slug=reading.slug,
            private=reading.repository["isPrivate"],
            me=me,
            read_at=reading.read_at or now,
            pull_requests=tuple(found),
            doubts=doubts,
        )

    async def _repository_id(self, reading: Reading) -> int:
        """Return GitHub's id of a repository. An id that does not fit into GraphQL's Int is read over REST."""
        found = reading.repository["databaseId"]
        if found is None:
            with self._transport.whole_read():
                answer = await self._transport.get(f"/repos/{reading.slug}")
                shapes.check(answer, {"id": shapes.number}, reading.slug)
            found = answer["id"]
        return int(found)

    async def _pull_request(self, here: _Repository, node: Payload) -> PullRequest:
        what = f"{here.slug}#{node['number']}"
        shapes.check(node, shapes.PULL_REQUEST, what, times=True)
        if node["labels"]["pageInfo"]["hasNextPage"]:
            raise Doubt(f"{what} has more labels than GitHub shows at once.")
        if node["headRepository"] is not None and not node["isCrossRepository"]:
            node = {**node, "headRepository": {"databaseId": here.id}}  # it may not fit into GraphQL's Int
        comments, page = node["comments"]["nodes"], node["comments"]["pageInfo"]

        def read(comments: Sequence[Payload]) -> PullRequest:
            with shapes.understood(what):
                return translate.pull_request(here.id, node, comments, here.me, self._prefix, here.now)

        found = read(comments)
        if not here.follows(found):
            return found
        number = found.identity.number
        if page["hasNextPage"]:
            found = read([*comments, *await self._pull_requests.comments(here.slug, number, page["endCursor"])])
        if not node["labelEvents"]["pageInfo"]["hasPreviousPage"]:
            return found
        confirmed = await self._pull_requests.confirmed(here.slug, number)
        return replace(found, label_events=confirmed.pull_request.label_events)
