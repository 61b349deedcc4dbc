"""The files of a commit, as git stores them: paths and blob ids, and the migrations among them.

https://docs.github.com/en/rest/git/trees#get-a-tree
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from greenroom.core import messages
from greenroom.core.model.migrations import MigrationSet
from greenroom.core.model.seeds import Look, Source, Tree
from greenroom.core.model.status import Reason
from greenroom.core.policy.migration_graphs import LARGEST
from greenroom.core.policy.migration_sets import migration_set, needed
from greenroom.errors import Doubt
from greenroom.github import shapes
from greenroom.github.blobs import Blobs
from greenroom.github.transport import Transport

TREES_KEPT = 200
MOST_BLOBS = 1000
"""Maximum migration files to read from one commit. Each takes a request, and GitHub allows 5,000 per hour."""
MOST_BYTES = 20_000_000
"""Maximum total size of these files, in bytes."""
_LINK = "120000"


class Trees:
    """Reader of trees. It keeps the answers for the newest commits, because the files of a commit do not change."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._blobs = Blobs(transport)
        self._known: dict[tuple[Source, Look], Tree] = {}
        self._parsing = asyncio.Lock()

    async def of(self, source: Source, look: Look) -> Tree:
        """Return what was looked for in a commit: blob ids of files, and migrations.

        Raise `Doubt` when GitHub does not list all files: a repository with more than 100,000 of them.
        """
        key = (source, look)
        if key in self._known:
            return self._known[key]
        with self._transport.whole_read():
            answer = await self._read(source, look.paths)
        files = [e for e in answer["tree"] if e["type"] == "blob"]
        found = {e["path"]: e["sha"] for e in files if e["path"] in look.paths}
        tree = Tree(found, {f: await self._migrations(source.slug, answer, f) for f in sorted(look.folders)})
        if shapes.sha(source.ref):  # a branch moves
            self._known = {**dict(list(self._known.items())[-TREES_KEPT:]), key: tree}
        return tree

    async def _read(self, source: Source, paths: frozenset[str]) -> dict[str, Any]:
        path = f"/repos/{source.slug}/git/trees/{quote(source.ref, safe='')}?recursive=1"
        answer: dict[str, Any] = await self._transport.get(path)
        what = f"the files of {source.slug} at {source.ref[:7]}"
        shapes.check(answer, shapes.TREE, what)
        if answer["truncated"] and not paths <= {e["path"] for e in answer["tree"]}:
            raise Doubt(
                f"GitHub does not list all files of {source.slug}, because there are too many."
                " Move the dump to a smaller repository, and name that repository in `seed: {repository: ...}`."
            )
        return answer

    async def _migrations(self, slug: str, answer: Mapping[str, Any], folder: str) -> MigrationSet | Reason:
        """Return the migrations of a commit, or the reason why they are not known. Raise `Doubt` if a read fails."""
        if answer["truncated"]:
            return messages.migrations_not_listed(slug)
        # The content of a symbolic link is a path, and a tool would follow it.
        files = [e for e in answer["tree"] if e["type"] == "blob" and e["mode"] != _LINK]
        tree = {e["path"]: e["sha"] for e in files}
        wanted = needed(tree, folder)
        sizes = {e["path"]: e.get("size", 0) for e in files if e["sha"] in wanted}
        if large := [path for path, size in sizes.items() if size > LARGEST]:
            return messages.migrations_unreadable(large[0], f"it is larger than {LARGEST:,} bytes")
        if len(wanted) > MOST_BLOBS:
            return messages.migrations_too_many(MOST_BLOBS)
        if sum(sizes.values()) > MOST_BYTES:
            return messages.migrations_too_large(MOST_BYTES)
        contents = await self._blobs.of(slug, wanted)
        async with self._parsing:  # a stranger's files: parsing must neither stop the loop nor add up its memory
            return await asyncio.to_thread(migration_set, tree, contents, folder)
