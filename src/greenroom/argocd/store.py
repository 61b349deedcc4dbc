"""Preview sets, stored in ApplicationSets: read at the start, written over the known version, and repaired.

The next start has no other source of the specs. So each write names the version of the object that it replaces, and
Kubernetes rejects a late write from an instance that no longer leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from greenroom.argocd import applicationset
from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.client import Object
from greenroom.argocd.known_sets import KnownSets, Unread
from greenroom.argocd.refreshes import Refreshes
from greenroom.argocd.refusals import error_of
from greenroom.argocd.set_reader import SetReader
from greenroom.argocd.set_writer import SetWriter
from greenroom.core.model.engine import PreviewSet
from greenroom.errors import Doubt, GreenroomError

log = structlog.get_logger(__name__)


class PreviewSets:
    """The store of one installation. It keeps `known` equal to what the ApplicationSets carry."""

    def __init__(self, known: KnownSets, refreshes: Refreshes, reader: SetReader, writer: SetWriter) -> None:
        self._known = known
        self._refreshes = refreshes
        self._reader = reader
        self._writer = writer
        self._frame: InstallationSpec = known.frame
        self._writing = asyncio.Lock()

    async def read(self) -> None:
        """Read the preview sets from the ApplicationSets. An unreadable one causes doubt about its own
        repository only.
        """
        for name, found in (await self._reader.found()).items():
            await self._take(name, found)

    async def _take(self, name: str, found: Object) -> PreviewSet | None:
        preview_set = await self._reader.preview_set(name, found)
        if isinstance(preview_set, Unread):
            self._known.not_read(name, preview_set)
            return None
        self._known.read(name, preview_set)
        self._writer.read(preview_set, found)
        return preview_set

    async def serve(self, preview_set: PreviewSet) -> None:
        """Store the set in its ApplicationSet, answer with it from then on, and make Argo CD ask for it.

        Raise `Doubt` when its generation is not newer than the known one, and `Failed` when the ApplicationSet belongs
        to another owner.
        """
        async with self._writing:
            await self._serve(preview_set)

    async def _serve(self, preview_set: PreviewSet) -> None:
        self._known.named(self._frame.name(preview_set.repository))
        known = self._known.certain(preview_set.repository_id)
        if known and preview_set.generation <= known.generation:
            raise Doubt(
                f"Generation {preview_set.generation} of {preview_set.repository} is not newer than {known.generation}."
            )
        former = self._known.former(preview_set) if known is None else None
        if former:
            self._writer.take_over(former, preview_set)
        grows = known is None or not preview_set.specs.items() <= known.specs.items()
        body = applicationset.application_set(self._frame, preview_set, grows=grows)
        before = known or former
        standing = await self._writer.standing(preview_set, before)
        refresh = self._refreshes.of(preview_set)
        # Argo CD asks as soon as it sees the change, so the answer must be ready first. A spec alone deletes nothing.
        self._known.replace(before, preview_set)
        refresh.serves(preview_set.generation)
        try:
            await self._writer.apply(body, standing, preview_set, before)
        except BaseException:
            self._known.replace(preview_set, before)
            refresh.restored(before.generation if before else 0)
            raise
        refresh.push(preview_set.generation)

    async def errors(self) -> dict[int, str]:
        """Return Argo CD's error for each set by repository id; empty for a set without one."""
        found, known = await self._reader.found(), self._known.served
        return {i: error_of(found.get(self._frame.name(preview_set.repository))) for i, preview_set in known.items()}

    async def repair(self) -> tuple[int, ...]:
        """Restore deleted or changed ApplicationSets. Return the ids of repositories that are no longer in doubt."""
        async with self._writing:
            found = await self._reader.found()
            certain = await self._read_again(found)
            for preview_set in tuple(self._known.served.values()):
                name = self._frame.name(preview_set.repository)
                if name in found and applicationset.carries(found[name], preview_set):
                    continue
                try:
                    await self._write_again(preview_set)
                except GreenroomError as error:
                    log.warning(
                        "an ApplicationSet differs from what was written and could not be restored",
                        name=name,
                        why=str(error),
                    )
        return certain

    async def _read_again(self, found: Mapping[str, Object]) -> tuple[int, ...]:
        """Read ApplicationSets in doubt again, and forget deleted ones, whose specs are then created again.

        Return the ids of repositories that are no longer in doubt.
        """
        certain = []
        for name, unread in tuple(self._known.unread.items()):
            if name not in found:
                self._known.deleted(name)
            elif preview_set := await self._take(name, found[name]):
                self._refreshes.named(name).push(preview_set.generation)
            if name not in self._known.unread:
                certain.append(unread.repository_id)
        return tuple(certain)

    async def _write_again(self, preview_set: PreviewSet) -> None:
        standing = await self._writer.standing(preview_set, preview_set)
        body = applicationset.application_set(self._frame, preview_set, grows=False)
        await self._writer.apply(body, standing, preview_set, preview_set)
        log.warning(
            "an ApplicationSet differed from what was written; it was restored", repository=preview_set.repository
        )
        refresh = self._refreshes.of(preview_set)
        refresh.restored(preview_set.generation)
        refresh.push(preview_set.generation)
