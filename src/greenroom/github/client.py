"""GitHub as Greenroom sees it: lists, one pull request, permissions, the label, the one comment.

Every read is complete or raises an exception. The modules beside this one do the reading and writing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from greenroom.core.model.ci import AwaitedCommit, CommitCi
from greenroom.core.model.github import Confirmation, Listing, Permission, PullRequest
from greenroom.core.model.seeds import Look, Source, Tree
from greenroom.errors import GreenroomError
from greenroom.github import shapes
from greenroom.github.account import Account
from greenroom.github.budget import Budget
from greenroom.github.changed_files import ChangedFiles
from greenroom.github.ci import CiReader
from greenroom.github.clock import Clock
from greenroom.github.content_budget import ContentBudget
from greenroom.github.listings import Listings
from greenroom.github.pull_requests import PullRequests
from greenroom.github.transport import NotFound, Transport
from greenroom.github.trees import Trees
from greenroom.github.writes import Writes


@dataclass(frozen=True, slots=True)
class Token:
    """A fixed token that implements `Auth`. Its repr omits the value."""

    value: str = field(repr=False)

    async def token(self) -> str:
        """Return the token."""
        return self.value


def _every(pull_request: PullRequest) -> bool:
    return True


class GitHub:
    """One GitHub, accessed with one identity. `prefix` is the start of the first line of our comments."""

    def __init__(self, transport: Transport, clock: Clock, prefix: str) -> None:
        self._transport = transport
        self._clock = clock
        self._account = Account(transport)
        self._pull_requests = PullRequests(transport, clock, prefix, self._account)
        self._listings = Listings(transport, clock, prefix, self._account, self._pull_requests)
        self._files = ChangedFiles(transport)
        self._trees = Trees(transport)
        self._ci = CiReader(transport, clock)
        self._writes = Writes(transport, self._account)

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
        return await self._account.login()

    # --- reads ---

    def groups(self, slugs: Sequence[str]) -> list[list[str]]:
        """Divide repositories into groups that share one query."""
        return self._listings.groups(slugs)

    async def listings(
        self, slugs: Sequence[str], follows: Callable[[PullRequest], bool] = _every
    ) -> Mapping[str, Listing | GreenroomError]:
        """Read all open pull requests of each repository. Return the complete list, or the error, of each.

        Raise errors that concern all of them.
        """
        return await self._listings.read(slugs, follows)

    async def pull_request(self, slug: str, number: int, label: str = "") -> Confirmation:
        """Read one pull request by its number, with all its label events, as a removal needs it."""
        return await self._pull_requests.confirmed(slug, number, label)

    async def hides(self, slug: str, repository_id: int, number: int) -> bool:
        """Return whether GitHub shows this repository but hides this pull request."""
        return await self._pull_requests.hides(slug, repository_id, number)

    async def changed_files(self, slug: str, listed: PullRequest) -> frozenset[str] | None:
        """Return every path that a pull request changes; None when GitHub does not list them all."""
        return await self._files.paths(slug, listed)

    async def ci(self, slug: str, commit: AwaitedCommit) -> CommitCi:
        """Return what CI does for a commit. It explains a missing image, and nothing is decided from it."""
        return await self._ci.of(slug, commit)

    async def tree(self, source: Source, look: Look) -> Tree:
        """Return what is looked for in a commit: files with their git blob ids, and migrations."""
        return await self._trees.of(source, look)

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
        with self._transport.whole_read():
            answer = await self._transport.get(f"/repos/{slug}/collaborators/{quote(login)}/permission")
            with shapes.understood(f"{login}'s permission on {slug}"):
                return Permission(answer["permission"])

    # --- writes ---

    async def remove_label(self, slug: str, number: int, label: str) -> None:
        """Remove a label. Ignore a label that is already removed."""
        await self._writes.remove_label(slug, number, label)

    async def write_comment(
        self, slug: str, number: int, comment_id: int | None, body: str, marker: str, *, create: bool = True
    ) -> int:
        """Create or edit our one comment. Return its id."""
        return await self._writes.write_comment(slug, number, comment_id, body, marker, create=create)

    async def delete_comment(self, slug: str, comment_id: int) -> None:
        """Delete one of our comments. Ignore one that no longer exists."""
        await self._writes.delete_comment(slug, comment_id)
