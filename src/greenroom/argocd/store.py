"""Preview sets, stored in one `Preview` object for each pull request: read at startup, written, and repaired.

After a restart, there is no other source of the specs. So each write names the version of the object that it replaces,
and Kubernetes rejects a late write from an instance that no longer leads.

The order of writes is: `PreviewConfig` objects, `Preview` objects, and then the ApplicationSet. Its index names the
objects, and its annotation makes Argo CD request the specs. If this instance is killed between two of these writes, the
next one finds some previews changed and others not. Each one is as a pass decided it, and the next pass decides again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from greenroom.argocd import applicationset
from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.client import Object
from greenroom.argocd.known_sets import KnownSets, Unread
from greenroom.argocd.packing import packed
from greenroom.argocd.preview_objects import PreviewObjects
from greenroom.argocd.refreshes import Refreshes
from greenroom.argocd.refusals import error_of
from greenroom.argocd.set_reader import SetReader, Stored
from greenroom.argocd.set_writer import SetWriter
from greenroom.core.model.engine import PreviewSet
from greenroom.core.model.records import EMPTY, StoredPreview, records
from greenroom.core.model.spec import Identity
from greenroom.errors import Doubt, GreenroomError, TooLarge

MAX_ANNOTATION = 240_000
"""Kubernetes allows 256 KiB for all annotations of an object together.
https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/"""

log = structlog.get_logger(__name__)


class PreviewSets:
    """The store of one installation. It keeps `known` equal to what is stored."""

    def __init__(
        self,
        known: KnownSets,
        refreshes: Refreshes,
        reader: SetReader,
        writer: SetWriter,
        objects: PreviewObjects,
    ) -> None:
        self._known = known
        self._objects = objects
        self._refreshes = refreshes
        self._reader = reader
        self._writer = writer
        self._frame: InstallationSpec = known.frame
        self._writing = asyncio.Lock()
        self._indexed: dict[int, frozenset[int]] = {}  # the numbers that each ApplicationSet names
        self._unnoted: set[int] = set()  # repositories with a loss that their ApplicationSets do not note yet

    async def read(self) -> None:
        """Read the preview sets. An unreadable one causes doubt about its own repository only."""
        for name, found in (await self._reader.all()).items():
            self._take(name, found)

    def _take(self, name: str, found: Stored | Unread) -> PreviewSet | None:
        if isinstance(found, Unread):
            self._known.not_read(name, found)
            return None
        preview_set = found.preview_set
        self._known.read(name, preview_set)
        if found.application_set is not None:
            self._writer.read(preview_set, found.application_set)
            index = applicationset.index_of(found.application_set) or {}
            self._indexed[preview_set.repository_id] = frozenset(index)
        if not applicationset.notes_loss(found.application_set, preview_set):
            self._unnoted.add(preview_set.repository_id)
        for identity, kept in found.as_stored.items():
            self._objects.read_as(preview_set.repository, identity, kept)
        if preview_set.recovery is not None and preview_set.recovery.at is None:
            log.warning(
                "stored previews were lost; everything keeps running, and for an hour removals and restarts need"
                " confirmation, except when a pull request is closed",
                repository=preview_set.repository,
            )
        return preview_set

    async def serve(self, preview_set: PreviewSet) -> None:
        """Store the set, serve it from then on, and make Argo CD request it.

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
                f"The specs of {preview_set.repository} were not stored: their generation, {preview_set.generation}, is"
                f" not newer than the stored one, {known.generation}. Greenroom will retry."
            )
        former = self._known.former(preview_set) if known is None else None
        if former:
            self._writer.take_over(former, preview_set)
        before = known or former
        await self._note_loss(before)
        standing = await self._writer.standing(preview_set, before)
        await self._store(preview_set, before)
        index = self._index(preview_set)
        body = applicationset.application_set(self._frame, preview_set, index)
        refresh = self._refreshes.of(preview_set)
        # Argo CD requests the set as soon as it sees the change, so the answer must be ready first. It deletes nothing.
        self._known.replace(before, preview_set)
        refresh.serves(preview_set.generation)
        try:
            await self._writer.apply(body, standing, preview_set, before)
        except BaseException:
            self._known.replace(preview_set, before)
            refresh.restored(before.generation if before else 0)
            raise
        self._indexed[preview_set.repository_id] = frozenset(index)
        refresh.push(preview_set.generation)

    async def _note_loss(self, known: PreviewSet | None) -> None:
        """Note a loss on the ApplicationSet before lost objects are written again.

        Without the note, Greenroom would find all objects after a restart and not know of the loss.
        """
        if known is None or known.repository_id not in self._unnoted:
            return
        standing = await self._writer.standing(known, known)
        index = applicationset.index_of(standing) if standing else self._there(known.repository_id)
        if index is not None:
            body = applicationset.application_set(self._frame, known, index)
            await self._writer.apply(body, standing, known, known)
        self._unnoted.discard(known.repository_id)

    def _there(self, repository_id: int) -> dict[int, int]:
        found = ((i.number, self._objects.written_in(i)) for i in self._stored(repository_id))
        return {number: generation for number, generation in found if generation}

    async def _store(self, preview_set: PreviewSet, before: PreviewSet | None) -> bool:
        """Write the objects whose data differs from the set. Return whether there were any."""
        wanted = self._wanted(preview_set)
        if before and before.repository_id != preview_set.repository_id:
            await self._objects.delete_all(before.repository_id)  # they belong to a repository that this one replaced
        stale = {i: kept for i, kept in wanted.items() if not self._objects.carries(preview_set.repository, i, kept)}
        self._not_too_large(preview_set.repository, stale)
        known = before.generation if before else 0
        await self._objects.store(preview_set.repository, stale, preview_set.generation, known)
        return bool(stale)

    def _not_too_large(self, repository: str, stale: Mapping[Identity, StoredPreview]) -> None:
        """Raise `TooLarge` for specs that the annotation of an Application cannot hold."""
        sizes = {i.number: len(packed(kept.spec)) for i, kept in stale.items() if kept.spec is not None}
        if large := {number: size for number, size in sizes.items() if size > MAX_ANNOTATION}:
            told = ", ".join(f"{repository}#{number} ({size} bytes)" for number, size in sorted(large.items()))
            why = f"Specs are too large for an Application's annotation (at most {MAX_ANNOTATION} bytes): {told}."
            raise TooLarge(f"{why} Make the manifests of the services smaller.", frozenset(large))

    def _wanted(self, preview_set: PreviewSet) -> dict[Identity, StoredPreview]:
        """Return the data that each object of a repository should hold. Objects of other numbers hold nothing."""
        mine = {Identity(preview_set.repository_id, n): kept for n, kept in records(preview_set).items()}
        return dict.fromkeys(self._stored(preview_set.repository_id), EMPTY) | mine

    def _stored(self, repository_id: int) -> list[Identity]:
        return [i for i in self._objects.all() if i.repository_id == repository_id]

    def _index(self, preview_set: PreviewSet) -> dict[int, int]:
        """Return the generations of all objects that store something. Raise `Doubt` when one of them is unknown."""
        index = dict[int, int]()
        for number in records(preview_set):
            generation = self._objects.written_in(Identity(preview_set.repository_id, number))
            if generation is None:
                raise Doubt(
                    f"The Preview of {preview_set.repository}#{number} was deleted during a write."
                    " Greenroom will retry."
                )
            index[number] = generation
        return index

    async def errors(self) -> dict[int, str]:
        """Return Argo CD's error for each set by repository id; empty for a set without one."""
        found, known = await self._reader.found(), self._known.served
        return {i: error_of(found.get(self._frame.name(preview_set.repository))) for i, preview_set in known.items()}

    async def repair(self) -> tuple[int, ...]:
        """Restore deleted or changed objects. Return the ids of repositories that are no longer in doubt."""
        async with self._writing:
            found = await self._reader.found()
            await self._objects.read_configs()
            certain = await self._read_again()
            for preview_set in tuple(self._known.served.values()):
                name = self._frame.name(preview_set.repository)
                try:
                    await self._write_again(preview_set, found.get(name))
                except GreenroomError as error:
                    log.warning(
                        "stored previews of a repository were changed, and could not be written again",
                        name=name,
                        why=str(error),
                    )
            await self._objects.delete_unused_configs()
        return certain

    async def restore(self, repository_id: int) -> None:
        """Write the objects of one repository again if they differ from what was written."""
        async with self._writing:
            if preview_set := self._known.certain(repository_id):
                await self._note_loss(preview_set)
                await self._store(preview_set, preview_set)

    async def discard(self, identity: Identity, found: Object) -> None:
        """Delete an object that stores nothing, unless the index still names it: it would then count as lost."""
        async with self._writing:
            named = identity.number in self._indexed.get(identity.repository_id, ())
            if not named and self._objects.is_empty(identity, found):
                await self._objects.delete(found)

    async def _read_again(self) -> tuple[int, ...]:
        """Read the sets in doubt again, and forget deleted ones, whose specs are then created again.

        Return the ids of repositories that are no longer in doubt.
        """
        certain = []
        there = await self._reader.all() if self._known.unread else {}
        for name, unread in tuple(self._known.unread.items()):
            if name not in there:
                self._known.deleted(name)
            elif preview_set := self._take(name, there[name]):
                self._refreshes.named(name).push(preview_set.generation)
            if name not in self._known.unread:
                certain.append(unread.repository_id)
        return tuple(certain)

    async def _write_again(self, preview_set: PreviewSet, found: Object | None) -> None:
        await self._note_loss(preview_set)
        restored = await self._store(preview_set, preview_set)
        index = self._index(preview_set)
        if restored or found is None or not applicationset.carries(found, preview_set, index):
            standing = await self._writer.standing(preview_set, preview_set)
            body = applicationset.application_set(self._frame, preview_set, index)
            await self._writer.apply(body, standing, preview_set, preview_set)
            self._indexed[preview_set.repository_id] = frozenset(index)
            log.warning(
                "stored previews of a repository were changed, and were written again",
                repository=preview_set.repository,
            )
            refresh = self._refreshes.of(preview_set)
            refresh.restored(preview_set.generation)
            refresh.push(preview_set.generation)
