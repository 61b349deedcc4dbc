"""GitHub as Greenroom sees it: lists, one pull request, permissions, the label, the one comment.

Every read is complete or raises an exception. Writes are sent one at a time, as GitHub requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import quote

from greenroom.core.model.facts import Confirmation, Listing, Permission, PullRequest, State
from greenroom.core.policy import labels
from greenroom.errors import Doubt, GreenroomError, RetryLater
from greenroom.github import queries, shapes, translate
from greenroom.github.budget import Budget
from greenroom.github.clock import Clock
from greenroom.github.content_budget import ContentBudget
from greenroom.github.page_size import PageSize
from greenroom.github.reading import Payload, Reading, TooHeavy, too_heavy, whole
from greenroom.github.transport import NotFound, OutcomeUnknown, TooSlow, Transport

TOGETHER = 10
COMMENTS, FEW = 100, 10
FILES_LISTED = 3000  # https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files
CHANGES_KEPT = 500


@dataclass(frozen=True, slots=True)
class Token:
    """A fixed token that implements `Auth`. Its repr omits the value."""

    value: str = field(repr=False)

    async def token(self) -> str:
        """Return the token."""
        return self.value


@dataclass(frozen=True, slots=True)
class _Repository:
    """Values that all pull requests of one list share."""

    slug: str
    id: int
    me: str
    now: datetime
    follows: Callable[[PullRequest], bool]


def _every(pull_request: PullRequest) -> bool:
    return True


class GitHub:
    """One GitHub, accessed with one identity. `prefix` is the start of the first line of our comments."""

    def __init__(self, transport: Transport, clock: Clock, prefix: str) -> None:
        self._transport = transport
        self._clock = clock
        self._prefix = prefix
        self._writing = asyncio.Lock()
        self._me = ""
        self._sizes: dict[str, PageSize] = {}
        self._changed: dict[tuple[object, ...], frozenset[str]] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """Return the number of requests sent by kind, and the number of 304 answers."""
        return self._transport.counts

    @property
    def content(self) -> ContentBudget:
        """Return the content-creating requests sent so far, and GitHub's limits on them."""
        return self._transport.content

    @property
    def budget(self) -> Budget | None:
        """Return the GraphQL points that are left; None before the first answer, and where GitHub sets no limit."""
        return self._transport.budget

    def now(self) -> datetime:
        """Return the time of GitHub's clock. Raise `Doubt` before its first answer."""
        return self._clock.now()

    async def me(self) -> str:
        """Return our login, as GitHub shows it."""
        if not self._me:
            data = whole(await self._transport.query(queries.VIEWER, {}))
            shapes.check(data, {"viewer": shapes.ACTOR}, "our own account")
            self._me = data["viewer"]["login"]
        return self._me

    def groups(self, slugs: Sequence[str]) -> list[list[str]]:
        """Divide repositories into groups that share one query. Heavy ones come last, each with its own query."""
        together = [s for s in slugs if not self._size(s).alone]
        alone = sorted((s for s in slugs if self._size(s).alone), key=lambda s: -self._size(s).size)
        return [together[i : i + TOGETHER] for i in range(0, len(together), TOGETHER)] + [[s] for s in alone]

    async def listings(
        self, slugs: Sequence[str], follows: Callable[[PullRequest], bool] = _every
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
                    reading.answer = await self._listing(reading, self._viewer(answer), follows)
                self._sizes[reading.slug.lower()] = self._size(reading.slug).worked()
            except TooHeavy as error:
                self._too_much(reading, error, shared=False, certain=True)
            except GreenroomError as error:
                reading.answer = error

    def _too_much(self, reading: Reading, error: Doubt, *, shared: bool, certain: bool) -> None:
        """Ask for less next time, at once from the same cursor if the size was certainly the reason."""
        before = self._size(reading.slug)
        self._sizes[reading.slug.lower()] = before.failed(shared=shared)
        if not certain or (before.size == 1 and not shared):
            reading.answer = error

    def _viewer(self, answer: Payload) -> str:
        shapes.check(answer, {"data": {"viewer": shapes.ACTOR}}, "our own account")
        self._me = answer["data"]["viewer"]["login"]
        return self._me

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
            found = read([*comments, *await self._comments(here.slug, number, page["endCursor"])])
        if not node["labelEvents"]["pageInfo"]["hasPreviousPage"]:
            return found
        confirmed = await self.pull_request(here.slug, number)
        return replace(found, label_events=confirmed.pull_request.label_events)

    async def pull_request(self, slug: str, number: int, label: str = "") -> Confirmation:
        """Read one pull request by its number, with all its label events, as a removal needs it.

        If it is open without `label`, check after the events whether the repository still has that label.
        """
        what = f"{slug}#{number}"
        payload = await self._transport.get(f"/repos/{slug}/pulls/{number}")
        shapes.check(payload, shapes.REST_PULL_REQUEST, what)
        events = [e async for e in self._transport.pages(f"/repos/{slug}/issues/{number}/events?per_page=100")]
        shapes.check(events, [shapes.Maybe(shapes.REST_EVENT)], what)
        comments, me = await self._comments(slug, number, None), await self.me()
        with shapes.understood(what):
            found = translate.rest_pull_request(payload, events, translate.comment(comments, me, self._prefix))
            found = replace(found, mine=translate.mine(comments, me))
            by = translate.closed_by(events)
        asks = label and found.state is State.OPEN and not labels.carries(found.labels, label)
        since = await self._label_since(slug, found, label) if asks else None
        return Confirmation(found, self._clock.now(), by, since)

    async def _label_since(self, slug: str, found: PullRequest, label: str) -> datetime | None:
        """Return when a label of the repository was created; None when there is none with that name.

        The answer must be as new as the read of the pull request, because a lagging replica may still show a deleted
        label.
        """
        owner, _, name = slug.partition("/")
        number = found.identity.number
        variables = {"owner": owner, "name": name, "number": number, "label": label}
        data = whole(await self._transport.query(queries.LABEL, variables))
        try:
            known, since = translate.label_since(data["repository"])
        except (KeyError, TypeError, ValueError):
            raise Doubt(
                f"GitHub's response about labels of {slug} is incomplete. Greenroom will read it again."
            ) from None
        if known < found.updated_at:
            raise Doubt(
                f"GitHub's response about labels of {slug} is older than {slug}#{number}. Greenroom will read it again."
            )
        return since

    async def hides(self, slug: str, repository_id: int, number: int) -> bool:
        """Return whether GitHub shows this repository but hides this pull request.

        A 404 for a pull request may mean that the whole repository is hidden. So the repository is read next, then the
        pull request again. Raise `NotFound` while the repository is hidden.
        """
        shown = await self._transport.get(f"/repos/{slug}")
        shapes.check(shown, {"id": shapes.number}, slug)
        if shown["id"] != repository_id:
            return False
        try:
            await self._transport.get(f"/repos/{slug}/pulls/{number}")
        except NotFound:
            return True
        return False

    async def _comments(self, slug: str, number: int, after: str | None) -> list[Payload]:
        """Read every comment after that cursor. Only GraphQL shows who last edited one."""
        owner, _, name = slug.partition("/")
        found: list[Payload] = []
        size = COMMENTS
        while True:
            variables = {"owner": owner, "name": name, "number": number, "first": size, "after": after}
            try:
                answer = await self._transport.query(queries.COMMENTS, variables)
                if any(too_heavy(e) for e in answer.get("errors") or []):
                    raise TooSlow(f"The comments of {slug}#{number} are too large for one query.")
            except TooSlow:
                if size < FEW:
                    raise
                size //= 2
                continue
            data = whole(answer)
            shapes.check(
                data, {"repository": {"pullRequest": {"comments": shapes.COMMENTS}}}, f"the comments of {slug}#{number}"
            )
            page = data["repository"]["pullRequest"]["comments"]
            found += [n for n in page["nodes"] if n is not None]
            if not page["pageInfo"]["hasNextPage"]:
                return found
            if page["pageInfo"]["endCursor"] in (None, after):
                raise Doubt(f"GitHub's comments of {slug}#{number} are incomplete. Greenroom will read them again.")
            after = page["pageInfo"]["endCursor"]

    async def changed_files(self, slug: str, listed: PullRequest) -> frozenset[str] | None:
        """Return every path that a pull request changes, including the old paths of renamed files.

        Return None when GitHub does not list them all. Raise `Doubt` when it was pushed to or retargeted meanwhile.
        """
        key = (listed.identity, listed.head_sha, listed.base_ref, listed.base_sha)
        if key in self._changed:
            return self._changed[key]
        found = await self._changed_files(slug, listed)
        if found is not None:  # an incomplete answer may be complete next time
            self._changed = {**dict(list(self._changed.items())[-CHANGES_KEPT:]), key: found}
        return found

    async def _changed_files(self, slug: str, listed: PullRequest) -> frozenset[str] | None:
        if listed.changed_files > FILES_LISTED:
            return None
        path = f"/repos/{slug}/pulls/{listed.identity.number}"
        files = [f async for f in self._transport.pages(f"{path}/files?per_page=100")]
        now = await self._transport.get(path)  # after the files, so that they belong to this head or a later one
        try:
            same = (now["head"]["sha"], now["base"]["ref"]) == (listed.head_sha, listed.base_ref)
            found = translate.paths(files)
        except (KeyError, TypeError, AttributeError):
            raise Doubt(
                f"GitHub's files of {slug}#{listed.identity.number} are incomplete. Greenroom will read them again."
            ) from None
        if not same:
            raise Doubt(
                f"{slug}#{listed.identity.number} changed while its files were read. Greenroom will read them again."
            )
        return found if len(files) == listed.changed_files else None

    async def permission(self, slug: str, login: str) -> Permission:
        """Return a person's permission; none for a login that GitHub does not know in this repository.

        A 404 may mean an unknown login, or that the whole repository is hidden from us. So the repository is read next,
        then the permission again. A second 404 means an unknown login. Raise `NotFound` while the repository is hidden.
        https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user
        """
        try:
            return await self._permission(slug, login)
        except NotFound:
            await self._transport.get(f"/repos/{slug}")
        try:
            return await self._permission(slug, login)
        except NotFound:
            return Permission.NONE

    async def _permission(self, slug: str, login: str) -> Permission:
        answer = await self._transport.get(f"/repos/{slug}/collaborators/{quote(login)}/permission")
        with shapes.understood(f"{login}'s permission on {slug}"):
            return Permission(answer["permission"])

    async def remove_label(self, slug: str, number: int, label: str) -> None:
        """Remove a label. Ignore a label that is already removed."""
        async with self._writing:
            try:
                await self._transport.send(
                    "DELETE", f"/repos/{slug}/issues/{number}/labels/{quote(label, safe='')}", b""
                )
            except NotFound:
                return

    async def write_comment(self, slug: str, number: int, comment_id: int | None, body: str, marker: str) -> int:
        """Create or edit our one comment. Return its id.

        Search for our marker before the creation, and again when the outcome of the creation is unknown, so that the
        comment is never created twice. One 404 does not prove that it was deleted: create it again only when it is in
        no list and cannot be read by its id either.
        """
        async with self._writing:
            found = comment_id or await self._ours(slug, number, marker)
            if found:
                try:
                    await self._transport.send("PATCH", f"/repos/{slug}/issues/comments/{found}", {"body": body})
                except NotFound:
                    if await self._ours(slug, number, marker, found) or await self._exists(slug, found):
                        raise
                else:
                    return found
            try:
                made = await self._transport.send("POST", f"/repos/{slug}/issues/{number}/comments", {"body": body})
                shapes.check(made, {"id": shapes.number}, f"our comment on {slug}#{number}")
                return int(made["id"])
            except Doubt as error:
                if _may_have_happened(error) and (found := await self._ours(slug, number, marker)):
                    return found
                raise

    async def delete_comment(self, slug: str, comment_id: int) -> None:
        """Delete one of our comments. Ignore one that no longer exists."""
        async with self._writing:
            try:
                await self._transport.send("DELETE", f"/repos/{slug}/issues/comments/{comment_id}", b"")
            except NotFound:
                return

    async def _ours(self, slug: str, number: int, marker: str, comment_id: int | None = None) -> int | None:
        """Return the id of our comment: the one with that id, else the first that begins with our marker."""
        me, marked = await self.me(), None
        async for comment in self._transport.pages(f"/repos/{slug}/issues/{number}/comments?per_page=100"):
            shapes.check(comment, shapes.REST_COMMENT, f"the comments of {slug}#{number}")
            found = int(comment["id"])
            if translate.actor(comment["user"]).login != me:
                continue
            if found == comment_id:
                return found
            if marked is None and str(comment["body"]).lstrip().startswith(marker):
                marked = found
        return marked

    async def _exists(self, slug: str, comment_id: int) -> bool:
        try:
            await self._transport.get(f"/repos/{slug}/issues/comments/{comment_id}")
        except NotFound:
            return False
        return True


def _may_have_happened(error: Doubt) -> bool:
    """Return whether a write may have been applied although its answer was an error."""
    return isinstance(error, OutcomeUnknown) or not isinstance(error, RetryLater | NotFound)
