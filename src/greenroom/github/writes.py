"""Everything that Greenroom writes to GitHub: the one comment, and the removal of a label.

Writes are sent one at a time, as GitHub requests.
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from greenroom.errors import Doubt, RetryLater
from greenroom.github import shapes, translate
from greenroom.github.account import Account
from greenroom.github.transport import NotFound, OutcomeUnknown, Transport


class Writes:
    """Writer with one identity."""

    def __init__(self, transport: Transport, account: Account) -> None:
        self._transport = transport
        self._account = account
        self._writing = asyncio.Lock()

    async def remove_label(self, slug: str, number: int, label: str) -> None:
        """Remove a label. Ignore a label that is already removed."""
        async with self._writing:
            try:
                await self._transport.send(
                    "DELETE", f"/repos/{slug}/issues/{number}/labels/{quote(label, safe='')}", b""
                )
            except NotFound:
                return

    async def write_comment(
        self, slug: str, number: int, comment_id: int | None, body: str, marker: str, *, create: bool = True
    ) -> int:
        """Create or edit our one comment. Return its id. Without `create`, raise `NotFound` instead of making another.

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
                    if not create or await self._ours(slug, number, marker, found) or await self._exists(slug, found):
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
        me, marked = await self._account.login(), None
        what = f"the comments of {slug}#{number}"
        with self._transport.whole_read():
            async for comment in self._transport.pages(f"/repos/{slug}/issues/{number}/comments?per_page=100"):
                shapes.check(comment, shapes.REST_COMMENT, what)
                found = int(comment["id"])
                with shapes.understood(what):
                    by = translate.actor(comment["user"]).login
                if by != me:
                    continue
                if found == comment_id:
                    return found
                if marked is None and comment["body"].lstrip().startswith(marker):
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
