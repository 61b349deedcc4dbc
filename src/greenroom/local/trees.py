"""The worktrees of one preview."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

from greenroom.core.model.spec import PreviewSpec
from greenroom.errors import Failed
from greenroom.local.workspace import Workspace
from greenroom.local.worktrees import Worktrees

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """The spec of a version, and the worktree of each of its services by name."""

    spec: PreviewSpec
    trees: dict[str, Path]


class Trees:
    """The worktrees of one preview, one for each commit that its versions use."""

    def __init__(self, worktrees: Worktrees, workspace: Workspace) -> None:
        self._worktrees = worktrees
        self._workspace = workspace

    async def source(self, spec: PreviewSpec) -> Source:
        """Return a spec with a worktree of each service's commit. Add those that are missing."""
        base, mark = self._workspace.folder("trees"), self._workspace.mark
        paths = {sha: await self._worktrees.add(spec.pull_request.slug, sha, base / sha, mark) for sha in _shas(spec)}
        return Source(spec, {v.service: paths[v.sha] for v in spec.build.versions})

    async def fetch(self, spec: PreviewSpec) -> None:
        """Fetch the commits of a spec that the checkout lacks. Raise `NotFetched` if one is nowhere."""
        for sha in _shas(spec):
            await self._worktrees.fetch(spec.pull_request.slug, sha, self._workspace.mark)

    async def remove_unused(self, spec: PreviewSpec) -> None:
        """Remove the worktrees that a spec does not use. A worktree that cannot be removed is logged."""
        for tree in (self._workspace.path / "trees").glob("*"):
            if tree.name not in _shas(spec):
                try:
                    await self._worktrees.remove(spec.pull_request.slug, tree)
                except Failed as error:  # it takes up disk space until the preview's own removal
                    preview = str(self._workspace.identity)
                    log.warning("an old worktree could not be removed", preview=preview, why=str(error))

    async def remove_all(self, slug: str) -> None:
        """Remove all worktrees, then the whole folder of the preview. Raise `Failed` when something remains."""
        for tree in self._workspace.folder("trees").glob("*"):
            await self._worktrees.remove(slug, tree)
        await self._worktrees.remove(slug, self._workspace.folder())


def _shas(spec: PreviewSpec) -> list[str]:
    return sorted({v.sha for v in spec.build.versions})
