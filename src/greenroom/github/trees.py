"""The files of a commit, as git stores them: paths and blob ids.

https://docs.github.com/en/rest/git/trees#get-a-tree
"""

from __future__ import annotations

from urllib.parse import quote

from greenroom.core.model.seeds import Source, Tree
from greenroom.errors import Doubt
from greenroom.github import shapes
from greenroom.github.transport import Transport

TREES_KEPT = 200


class Trees:
    """Reader of trees. It keeps the answers for the newest commits, because the files of a commit do not change."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._known: dict[tuple[Source, frozenset[str]], Tree] = {}

    async def of(self, source: Source, paths: frozenset[str]) -> Tree:
        """Return which of these paths are files of a commit, with their blob ids.

        Raise `Doubt` when GitHub does not list all files: a repository with more than 100,000 of them.
        """
        key = (source, paths)
        if key in self._known:
            return self._known[key]
        with self._transport.whole_read():
            found = await self._read(source, paths)
        if shapes.sha(source.ref):  # a branch moves
            self._known = {**dict(list(self._known.items())[-TREES_KEPT:]), key: found}
        return found

    async def _read(self, source: Source, paths: frozenset[str]) -> Tree:
        path = f"/repos/{source.slug}/git/trees/{quote(source.ref, safe='')}?recursive=1"
        answer = await self._transport.get(path)
        what = f"the files of {source.slug} at {source.ref[:7]}"
        shapes.check(answer, shapes.TREE, what)
        if answer["truncated"] and not paths <= {e["path"] for e in answer["tree"]}:
            raise Doubt(
                f"GitHub does not list all files of {source.slug}, because there are too many."
                " Move the dump to a smaller repository and name it in `seed: {repository: ...}`."
            )
        return Tree({e["path"]: e["sha"] for e in answer["tree"] if e["type"] == "blob" and e["path"] in paths})
