"""GitHub as Greenroom sees it: lists, one pull request, permissions, the label, the one comment.

Every read is complete or an exception. Writes go one at a time, as GitHub asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from greenroom.core.model import Confirmation, Listing, Permission, PullRequest, State
from greenroom.errors import Doubt, FixConfiguration, GreenroomError
from greenroom.github import queries, translate
from greenroom.github.clock import Clock
from greenroom.github.transport import NotFound, OutcomeUnknown, Transport

TOGETHER = 10
FILES_LISTED = 3000  # https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files
CHANGES_KEPT = 500


@dataclass(frozen=True, slots=True)
class Token:
    """A fixed token, as `Auth`. Does not print itself."""

    value: str = field(repr=False)

    async def token(self) -> str:
        """The token."""
        return self.value


@dataclass(slots=True)
class _Reading:
    """The list of one repository while its pages arrive."""

    slug: str
    cursor: str | None = None
    nodes: list[dict[str, Any]] = field(default_factory=list)
    repository: dict[str, Any] = field(default_factory=dict)
    read_at: datetime | None = None
    answer: Listing | GreenroomError | None = None


class GitHub:
    """One GitHub with one identity. `prefix` is what the first line of our comments begins with."""

    def __init__(self, transport: Transport, clock: Clock, prefix: str) -> None:
        self._transport = transport
        self._clock = clock
        self._prefix = prefix
        self._writing = asyncio.Lock()
        self._me = ""
        self._changed: dict[tuple[object, ...], frozenset[str]] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """Requests sent, by kind, and how many were answered 304."""
        return self._transport.counts

    def now(self) -> datetime:
        """GitHub's clock. Raises `Doubt` before its first answer."""
        return self._clock.now()

    async def me(self) -> str:
        """Our login, as GitHub shows it."""
        if not self._me:
            answer = await self._transport.query("{ viewer { login } }", {})
            self._me = str(_whole(answer)["viewer"]["login"])
        return self._me

    async def listings(self, slugs: Sequence[str]) -> Mapping[str, Listing | GreenroomError]:
        """All open pull requests of each repository, whole, or what went wrong with that one.

        Raises what concerns all of them: credentials, limits, GitHub away.
        """
        readings = [_Reading(slug) for slug in slugs]
        while pending := [r for r in readings if r.answer is None][:TOGETHER]:
            await self._page(pending)
        return {r.slug: r.answer for r in readings if r.answer is not None}

    async def _page(self, readings: Sequence[_Reading]) -> None:
        variables: dict[str, object] = {}
        for i, reading in enumerate(readings):
            owner, _, name = reading.slug.partition("/")
            variables |= {f"o{i}": owner, f"n{i}": name, f"a{i}": reading.cursor}
        answer = await self._transport.query(queries.pull_requests(len(readings)), variables)
        for i, reading in enumerate(readings):
            try:
                await self._take(reading, answer, f"r{i}")
            except GreenroomError as error:
                reading.answer = error
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                reading.answer = Doubt(
                    f"GitHub's list of {reading.slug} lacks something ({error!r}); it is read again."
                )

    async def _take(self, reading: _Reading, answer: Mapping[str, Any], alias: str) -> None:
        """Add one page to a reading; the last one makes the list."""
        wrong = [e for e in answer.get("errors") or [] if (e.get("path") or [alias])[0] == alias]
        wrong = [e for e in wrong if not translate.concerns_one(e)]
        repository = (answer.get("data") or {}).get(alias)
        if repository is None and any(e.get("type") == "NOT_FOUND" for e in wrong):
            raise NotFound(
                f"GitHub shows us no repository {reading.slug}: it is gone, or the token may not see it."
                " Nothing of it is removed meanwhile."
            )
        if wrong or repository is None:
            raise Doubt(f"GitHub's list of {reading.slug} is not whole ({_messages(wrong)}); it is read again.")
        if repository["nameWithOwner"].lower() != reading.slug.lower():
            raise FixConfiguration(
                f"{reading.slug} is now called {repository['nameWithOwner']} on GitHub."
                " Change `repository:` in its service files."
            )
        reading.read_at = reading.read_at or self._clock.now()
        page = repository["pullRequests"]
        reading.nodes += translate.marked(page["nodes"], answer.get("errors") or [], alias)
        reading.repository = repository
        if page["pageInfo"]["hasNextPage"]:
            reading.cursor = page["pageInfo"]["endCursor"]
            return
        reading.answer = await self._listing(reading, str(answer["data"]["viewer"]["login"]))

    async def _listing(self, reading: _Reading, me: str) -> Listing:
        self._me = me
        total = reading.repository["pullRequests"]["totalCount"]
        if len(reading.nodes) != total:
            raise Doubt(
                f"GitHub's list of {reading.slug} has {len(reading.nodes)} of {total} pull requests; it is read again."
            )
        repository_id = int(reading.repository["databaseId"])
        found, doubts = [], {}
        for node in (n for n in reading.nodes if n is not None):  # a null says nothing; its preview is read by number
            try:
                found.append(await self._pull_request(reading.slug, repository_id, node, me))
            except Doubt as error:
                doubts[int(node["number"])] = str(error)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                name = f"{reading.slug}#{node['number']}"
                doubts[int(node["number"])] = f"GitHub's answer about {name} lacks something ({error!r})."
        return Listing(
            repository_id=repository_id,
            slug=reading.slug,
            private=bool(reading.repository["isPrivate"]),
            me=me,
            read_at=reading.read_at or self._clock.now(),
            pull_requests=tuple(found),
            doubts=doubts,
        )

    async def _pull_request(self, slug: str, repository_id: int, node: dict[str, Any], me: str) -> PullRequest:
        number = int(node["number"])
        if why := node.get(translate.ERROR):
            raise Doubt(f"GitHub's answer about {slug}#{number} is incomplete ({why}).")
        if node["labels"]["pageInfo"]["hasNextPage"]:
            raise Doubt(f"{slug}#{number} has more labels than GitHub shows at once.")
        comments, page = list(node["comments"]["nodes"]), node["comments"]["pageInfo"]
        if page["hasNextPage"]:
            comments += await self._comments(slug, number, page["endCursor"])
        found = translate.pull_request(repository_id, node, comments, me, self._prefix, self._clock.now())
        if not node["labelEvents"]["pageInfo"]["hasPreviousPage"]:
            return found
        whole = await self.pull_request(slug, number)
        return replace(found, label_events=whole.pull_request.label_events)

    async def pull_request(self, slug: str, number: int, label: str = "") -> Confirmation:
        """One pull request by its number, with all its label events: what a removal needs.

        When it is open without `label`, it is read after the events whether the repository still has that label.
        """
        payload = await self._transport.get(f"/repos/{slug}/pulls/{number}")
        events = [e async for e in self._transport.pages(f"/repos/{slug}/issues/{number}/events?per_page=100")]
        comment = translate.comment(await self._comments(slug, number, None), await self.me(), self._prefix)
        try:
            found = translate.rest_pull_request(payload, events, comment)
            by = translate.closed_by(events)
        except (KeyError, TypeError, ValueError) as error:
            raise Doubt(
                f"GitHub's answer about {slug}#{number} lacks something ({error!r}); it is read again."
            ) from None
        asks = label and found.state is State.OPEN and label not in found.labels
        since = await self._label_since(slug, found, label) if asks else None
        return Confirmation(found, self._clock.now(), by, since)

    async def _label_since(self, slug: str, found: PullRequest, label: str) -> datetime | None:
        """Return when a label of the repository was made, None when there is none of that name.

        The answer must know the pull request as it was read: a replica that lags may still show a deleted label.
        """
        owner, _, name = slug.partition("/")
        number = found.identity.number
        variables = {"owner": owner, "name": name, "number": number, "label": label}
        data = _whole(await self._transport.query(queries.LABEL, variables))
        try:
            known, since = translate.label_since(data["repository"])
        except (KeyError, TypeError, ValueError):
            raise Doubt(f"GitHub's answer about the labels of {slug} is not whole; it is read again.") from None
        if known < found.updated_at:
            raise Doubt(f"GitHub's answer about the labels of {slug} is older than {slug}#{number}; it is read again.")
        return since

    async def _comments(self, slug: str, number: int, after: str | None) -> list[dict[str, Any]]:
        """Every comment after that cursor; who last edited one only GraphQL tells."""
        owner, _, name = slug.partition("/")
        found: list[dict[str, Any]] = []
        while True:
            variables = {"owner": owner, "name": name, "number": number, "after": after}
            data = _whole(await self._transport.query(queries.COMMENTS, variables))
            try:
                page = data["repository"]["pullRequest"]["comments"]
                found += [dict(node) for node in page["nodes"] if node is not None]
                if not page["pageInfo"]["hasNextPage"]:
                    return found
                after = page["pageInfo"]["endCursor"]
            except (KeyError, TypeError):
                raise Doubt(f"GitHub's comments of {slug}#{number} are not whole; they are read again.") from None

    async def changed_files(self, slug: str, listed: PullRequest) -> frozenset[str] | None:
        """Every path that a pull request changes, with those that renamed files had before.

        None when GitHub does not list them all. Raises `Doubt` when it was pushed to or retargeted meanwhile.
        """
        key = (listed.identity, listed.head_sha, listed.base_ref, listed.base_sha)
        if key in self._changed:
            return self._changed[key]
        found = await self._changed_files(slug, listed)
        if found is not None:  # a short answer may be whole the next time
            self._changed = {**dict(list(self._changed.items())[-CHANGES_KEPT:]), key: found}
        return found

    async def _changed_files(self, slug: str, listed: PullRequest) -> frozenset[str] | None:
        if listed.changed_files > FILES_LISTED:
            return None
        path = f"/repos/{slug}/pulls/{listed.identity.number}"
        files = [f async for f in self._transport.pages(f"{path}/files?per_page=100")]
        now = await self._transport.get(path)  # after the files, so that they are of this head or of a later one
        try:
            same = (now["head"]["sha"], now["base"]["ref"]) == (listed.head_sha, listed.base_ref)
            found = translate.paths(files)
        except (KeyError, TypeError, AttributeError):
            raise Doubt(
                f"GitHub's files of {slug}#{listed.identity.number} are not whole; they are read again."
            ) from None
        if not same:
            raise Doubt(f"{slug}#{listed.identity.number} changed while its files were read; they are read again.")
        return found if len(files) == listed.changed_files else None

    async def permission(self, slug: str, login: str) -> Permission:
        """A person's permission; somebody whom GitHub does not know there has none.

        A 404 says that of the login, or hides the whole repository from us: it counts once the repository is shown, and
        GitHub still knows nobody of that login there. Raises `NotFound` while the repository is hidden.
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
        try:
            answer = await self._transport.get(f"/repos/{slug}/collaborators/{quote(login)}/permission")
            return Permission(answer["permission"])
        except (KeyError, TypeError, ValueError):
            raise Doubt(f"GitHub's answer about {login}'s permission on {slug} is not understood.") from None

    async def remove_label(self, slug: str, number: int, label: str) -> None:
        """Take a label off; one that is off already is no error."""
        async with self._writing:
            try:
                await self._transport.send(
                    "DELETE", f"/repos/{slug}/issues/{number}/labels/{quote(label, safe='')}", b""
                )
            except NotFound:
                return

    async def write_comment(self, slug: str, number: int, comment_id: int | None, body: str, marker: str) -> int:
        """Make or edit our one comment; returns its id.

        Before it is made, and again when the outcome of making it is unknown, our marker is searched for, so that it is
        never made twice. A comment that somebody deleted meanwhile is made anew.
        """
        async with self._writing:
            found = comment_id or await self._marked(slug, number, marker)
            if found:
                try:
                    await self._transport.send("PATCH", f"/repos/{slug}/issues/comments/{found}", {"body": body})
                except NotFound:
                    found = await self._marked(slug, number, marker)
                    if found:
                        raise
                else:
                    return found
            try:
                made = await self._transport.send("POST", f"/repos/{slug}/issues/{number}/comments", {"body": body})
                return int(made["id"])
            except OutcomeUnknown:
                if found := await self._marked(slug, number, marker):
                    return found
                raise

    async def _marked(self, slug: str, number: int, marker: str) -> int | None:
        me = await self.me()
        async for comment in self._transport.pages(f"/repos/{slug}/issues/{number}/comments?per_page=100"):
            if comment is None:
                continue
            if translate.actor(comment["user"]).login == me and str(comment["body"]).startswith(marker):
                return int(comment["id"])
        return None


def _whole(answer: Mapping[str, Any]) -> dict[str, Any]:
    if answer.get("errors") or not answer.get("data"):
        raise Doubt(f"GitHub's answer is not whole ({_messages(answer.get('errors') or [])}); it is asked again.")
    data: dict[str, Any] = answer["data"]
    return data


def _messages(errors: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(str(e.get("message", e))[:100] for e in errors) or "no data"
