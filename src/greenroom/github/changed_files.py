"""The paths that a pull request changes, as GitHub lists them."""

from __future__ import annotations

from greenroom.core.model.github import PullRequest
from greenroom.errors import Doubt
from greenroom.github import shapes, translate
from greenroom.github.transport import Transport

FILES_LISTED = 3000  # https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files
CHANGES_KEPT = 500


class ChangedFiles:
    """Reader of changed files. It keeps the answers for the newest heads, because a head's files do not change."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._known: dict[tuple[object, ...], frozenset[str]] = {}

    async def paths(self, slug: str, listed: PullRequest) -> frozenset[str] | None:
        """Return every path that a pull request changes, including the old paths of renamed files.

        Return None when GitHub does not list them all. Raise `Doubt` when it was pushed to or retargeted meanwhile.
        """
        key = (listed.identity, listed.head_sha, listed.base_ref, listed.base_sha)
        if key in self._known:
            return self._known[key]
        with self._transport.whole_read():
            found = await self._read(slug, listed)
        if found is not None:  # an incomplete answer may be complete next time
            self._known = {**dict(list(self._known.items())[-CHANGES_KEPT:]), key: found}
        return found

    async def _read(self, slug: str, listed: PullRequest) -> frozenset[str] | None:
        if listed.changed_files > FILES_LISTED:
            return None
        path = f"/repos/{slug}/pulls/{listed.identity.number}"
        files = [f async for f in self._transport.pages(f"{path}/files?per_page=100")]
        now = await self._transport.get(path)  # after the files, so that they belong to this head or a later one
        what = f"the files of {slug}#{listed.identity.number}"
        shapes.check(files, [shapes.REST_FILE], what)
        shapes.check(now, shapes.REST_HEAD, what)
        same = (now["head"]["sha"], now["base"]["ref"]) == (listed.head_sha, listed.base_ref)
        with shapes.understood(what):
            found = translate.paths(files)
        if not same:
            raise Doubt(
                f"{slug}#{listed.identity.number} changed while its files were read. Greenroom will read them again."
            )
        return found if len(files) == listed.changed_files else None
