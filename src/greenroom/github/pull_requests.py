"""One pull request, read by its number: as a removal needs it, with all its comments, or hidden by GitHub."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from greenroom.core.model.github import Confirmation, PullRequest, State
from greenroom.core.policy import labels
from greenroom.errors import Doubt
from greenroom.github import queries, shapes, translate
from greenroom.github.account import Account
from greenroom.github.clock import Clock
from greenroom.github.reading import Payload, too_heavy, whole
from greenroom.github.transport import NotFound, TooSlow, Transport

COMMENTS, FEW = 100, 10


class PullRequests:
    """Reader of single pull requests. `prefix` is the start of the first line of our comments."""

    def __init__(self, transport: Transport, clock: Clock, prefix: str, account: Account) -> None:
        self._transport = transport
        self._clock = clock
        self._prefix = prefix
        self._account = account

    async def confirmed(self, slug: str, number: int, label: str = "") -> Confirmation:
        """Read one pull request by its number, with all its label events, as a removal needs it.

        If it is open without `label`, check after the events whether the repository still has that label.
        """
        what = f"{slug}#{number}"
        with self._transport.whole_read():
            payload = await self._transport.get(f"/repos/{slug}/pulls/{number}")
            shapes.check(payload, shapes.REST_PULL_REQUEST, what)
            events = [e async for e in self._transport.pages(f"/repos/{slug}/issues/{number}/events?per_page=100")]
            shapes.check(events, [shapes.Maybe(shapes.REST_EVENT)], what)
            comments, me = await self.comments(slug, number, None), await self._account.login()
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
        shapes.check(data, shapes.LABEL, f"the labels of {slug}")
        known, since = translate.label_since(data["repository"])
        if known < found.updated_at:
            raise Doubt(
                f"GitHub's response about the labels of {slug} is older than its response about {slug}#{number}."
                " Greenroom will read both again."
            )
        return since

    async def hides(self, slug: str, repository_id: int, number: int) -> bool:
        """Return whether GitHub shows this repository but hides this pull request.

        A 404 for a pull request may mean that the whole repository is hidden. So the repository is read next, then the
        pull request again. Raise `NotFound` while the repository is hidden.
        """
        with self._transport.whole_read():
            shown = await self._transport.get(f"/repos/{slug}")
            shapes.check(shown, {"id": shapes.number}, slug)
        if int(shown["id"]) != repository_id:
            return False
        try:
            await self._transport.get(f"/repos/{slug}/pulls/{number}")
        except NotFound:
            return True
        return False

    async def comments(self, slug: str, number: int, after: str | None) -> list[Payload]:
        """Read every comment after that cursor. Only GraphQL shows who last edited one."""
        owner, _, name = slug.partition("/")
        found: list[Payload] = []
        size = COMMENTS
        while True:
            variables = {"owner": owner, "name": name, "number": number, "first": size, "after": after}
            try:
                answer = await self._transport.query(queries.COMMENTS, variables)
                if any(too_heavy(e) for e in answer.get("errors") or []):
                    raise TooSlow(f"The comments on {slug}#{number} are too large for one query.")
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
                raise Doubt(
                    f"GitHub's list of the comments on {slug}#{number} is incomplete. Greenroom will read it again."
                )
            after = page["pageInfo"]["endCursor"]
