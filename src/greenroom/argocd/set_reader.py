"""Reading of stored previews: the preview set of each repository, or why it cannot be trusted.

An object is lost if the index names it but it does not exist or is older than the index says: it was deleted, or a
backup was restored. The spec of its Application replaces it, and the set notes the loss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from greenroom.argocd import applicationset, stored_preview
from greenroom.argocd.applicationset import INSTALLATION, InstallationSpec, identity_of
from greenroom.argocd.client import APPLICATION_SETS, APPLICATIONS, Kube, Object
from greenroom.argocd.known_sets import Unread
from greenroom.argocd.preview_objects import PreviewObjects
from greenroom.argocd.stored_preview import Content
from greenroom.core.model.engine import PreviewSet, Recovery
from greenroom.core.model.records import EMPTY, StoredPreview, joined, records
from greenroom.core.model.spec import Identity
from greenroom.errors import Doubt


@dataclass(frozen=True, slots=True)
class Stored:
    """A preview set that was read, and its ApplicationSet if there is one.

    `as_stored` holds the data that is exactly what the objects hold.
    """

    preview_set: PreviewSet
    application_set: Object | None
    as_stored: Mapping[Identity, StoredPreview]


@dataclass(frozen=True, slots=True)
class _Part:
    """The objects of one repository: its ApplicationSet if there is one, and its Preview objects by number."""

    repository_id: int
    repository: str
    application_set: Object | None
    objects: Mapping[int, Object]


@dataclass(frozen=True, slots=True)
class _Found:
    """The data of a repository's objects by number, and the numbers whose data is lost or incomplete."""

    kept: Mapping[int, StoredPreview]
    lost: frozenset[int]
    generation: int


@dataclass(frozen=True, slots=True)
class SetReader:
    """Reader of the stored previews of one installation."""

    kube: Kube
    frame: InstallationSpec
    objects: PreviewObjects

    async def found(self) -> dict[str, Object]:
        """Return our ApplicationSets by name, without the canary's."""
        mine = f"{INSTALLATION}={self.frame.installation}"
        found, _ = await self.kube.listed(APPLICATION_SETS, self.frame.namespace, labelSelector=mine)
        return {name: o for o in found if not (name := o["metadata"]["name"]).endswith(f"--{applicationset.CANARY}")}

    async def all(self) -> dict[str, Stored | Unread]:
        """Return the stored sets by the name of their ApplicationSet, even if the ApplicationSet is missing."""
        sets, objects, read = await self.found(), self._by_repository(), dict[str, Stored | Unread]()
        for name, found in sets.items():
            repository = applicationset.repository_of(found) or name.removeprefix(f"{self.frame.prefix}-")
            repository_id = await self._id_of(repository, found)
            read[name] = await self._stored(
                name, _Part(repository_id, repository, found, objects.pop(repository_id, {}))
            )
        for repository_id, mine in objects.items():
            repository = _repository_of(mine)
            name = self.frame.name(repository)
            stores = any(stored_preview.CHECKSUM in (o.get("spec") or {}) for o in mine.values())
            if stores and name not in read:
                read[name] = await self._stored(name, _Part(repository_id, repository, None, mine))
        return read

    def _by_repository(self) -> dict[int, dict[int, Object]]:
        found: dict[int, dict[int, Object]] = defaultdict(dict)
        for identity, each in self.objects.all().items():
            found[identity.repository_id][identity.number] = each
        return found

    async def _stored(self, name: str, part: _Part) -> Stored | Unread:
        """Return the preview set of a repository, or why it cannot be trusted."""
        try:
            stored = await self._joined(part)
            self._called(name, stored.preview_set)
            if part.application_set is not None:
                self._made_of(name, part.application_set, stored.preview_set)
        except Doubt as error:
            return Unread(part.repository, part.repository_id, str(error))
        return stored

    async def _joined(self, part: _Part) -> Stored:
        found = part.application_set
        if found is not None and (first := applicationset.first_format(found)) is not None:
            return await self._moving(part, first)
        index = (applicationset.index_of(found) if found else None) or {}
        read = self._read(part.objects, index, applicationset.generation_of(found) if found else 0)
        kept = {**read.kept, **await self._recovered(part.repository_id, read)} if read.lost else read.kept
        recovery = Recovery() if read.lost or found is None else applicationset.recovery_of(found)
        preview_set = joined(part.repository_id, part.repository, read.generation, kept, recovery)
        return Stored(preview_set, found, _as_stored(part, read))

    async def _moving(self, part: _Part, first: PreviewSet) -> Stored:
        """Return a set of the first format. Greenroom was killed during its conversion if some objects are newer."""
        newer = {n: o for n, o in part.objects.items() if stored_preview.generation_of(o) > first.generation}
        if not newer:
            return Stored(first, part.application_set, {})
        read = self._read(newer, {}, first.generation)
        kept = {**records(first), **read.kept, **await self._recovered(first.repository_id, read)}
        preview_set = joined(first.repository_id, first.repository, read.generation, kept, first.recovery)
        return Stored(preview_set, part.application_set, _as_stored(part, read))

    def _read(self, mine: Mapping[int, Object], index: Mapping[int, int], noted: int) -> _Found:
        """Return the data of these objects. `noted` is the generation of the index, which names all objects until then.

        An older object that it does not name was therefore deleted later, and then restored from a backup.
        """
        contents = {number: self.objects.content(o) for number, o in mine.items()}
        generations = {number: stored_preview.generation_of(o) for number, o in mine.items()}
        old = {number for number, generation in index.items() if generations.get(number, 0) < generation}
        old |= {n for n, c in contents.items() if n not in index and generations[n] <= noted and c != Content(EMPTY)}
        lost = old | {number for number, content in contents.items() if not content.whole}
        kept = {number: _without_ledger(c.kept) if number in old else c.kept for number, c in contents.items()}
        return _Found(kept, frozenset(lost), max([noted, *generations.values(), *index.values()]))

    async def _recovered(self, repository_id: int, read: _Found) -> dict[int, StoredPreview]:
        """Return the data of the lost previews, with the specs of their Applications. Raise `Unreadable`.

        The spec of an Application that is being removed does not count.
        """
        label = f"{INSTALLATION}={self.frame.installation},{applicationset.REPOSITORY_ID}={repository_id}"
        applications, _ = await self.kube.listed(APPLICATIONS, self.frame.namespace, labelSelector=label)
        running = {
            identity.number: applicationset.spec_of(a)
            for a in applications
            if (identity := identity_of(a))
            and identity.number in read.lost
            and not a["metadata"].get("deletionTimestamp")
        }
        return {number: replace(read.kept.get(number, EMPTY), spec=running.get(number)) for number in read.lost}

    async def _id_of(self, repository: str, found: Object) -> int:
        """Return GitHub's id of a repository from its ApplicationSet's label, or else from its Applications' labels."""
        if repository_id := applicationset.repository_id_of(found):
            return repository_id
        theirs = f"{INSTALLATION}={self.frame.installation},{applicationset.REPOSITORY}={repository}"
        applications, _ = await self.kube.listed(APPLICATIONS, self.frame.namespace, labelSelector=theirs)
        return next((i for a in applications if (i := applicationset.repository_id_of(a))), 0)

    def _called(self, name: str, preview_set: PreviewSet) -> None:
        """Raise `Doubt` when a set was created under another prefix."""
        if name != self.frame.name(preview_set.repository):
            raise Doubt(
                f"The ApplicationSet {name} was created with a different `namePrefix:` than {self.frame.prefix}."
                f" Greenroom does not change the previews of {preview_set.repository}. Restore `namePrefix:`, or"
                " delete that ApplicationSet once it has no Applications."
            )

    def _made_of(self, name: str, found: Object, preview_set: PreviewSet) -> None:
        """Raise `Doubt` when existing previews were made from another chart, or in another cluster or project."""
        now = applicationset.made_of(applicationset.application_set(self.frame, preview_set, {}))
        before = applicationset.made_of(found)
        if preview_set.specs and now != before:
            raise Doubt(
                f"The previews of {preview_set.repository} were created from {before}, but greenroom.yaml says {now}."
                " Greenroom does not change these previews. To change `argocd:`, first restore its old value and remove"
                f" these previews. If none of them is left, delete the ApplicationSet {name} instead."
            )


def _as_stored(part: _Part, read: _Found) -> dict[Identity, StoredPreview]:
    return {Identity(part.repository_id, n): kept for n, kept in read.kept.items() if n not in read.lost}


def _without_ledger(kept: StoredPreview) -> StoredPreview:
    """Return the data of an older object that is still valid. A release in it may have been used, and a removal may be
    complete.
    """
    return StoredPreview(watermark=kept.watermark, comment=kept.comment)


def _repository_of(mine: Mapping[int, Object]) -> str:
    """Return the short name of the repository from the newest of its objects."""
    newest = max(mine.values(), key=stored_preview.generation_of)
    return str(((newest.get("spec") or {}).get("repository") or {}).get("name", ""))
