"""The `Preview` and `PreviewConfig` objects of an installation: a current copy of them, and all writes to them.

An object is found by the identity that it contains, so it keeps its name when the repository is renamed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from greenroom.argocd import stored_preview
from greenroom.argocd.applicationset import (
    INSTALLATION,
    NUMBER,
    REPOSITORY,
    REPOSITORY_ID,
    InstallationSpec,
    identity_of,
)
from greenroom.argocd.client import PREVIEW_CONFIGS, PREVIEWS, Conflict, Kube, NoSuchKind, Object, Vanished
from greenroom.argocd.informer import Mirror
from greenroom.argocd.receipt import ours
from greenroom.argocd.set_writer import TRIES
from greenroom.argocd.stored_preview import Content
from greenroom.argocd.timing import Timing
from greenroom.background import Tasks
from greenroom.core.model.records import EMPTY, StoredPreview
from greenroom.core.model.spec import Identity
from greenroom.errors import Doubt, Failed, FixCredentials, GreenroomError, NotStored, RetryLater

log = structlog.get_logger(__name__)

AT_ONCE = 8
UNUSED_KEPT = timedelta(hours=1)  # another write may just have created one, and not its Preview yet


@dataclass(frozen=True, slots=True)
class _Held:
    """The stored data of an object as of its last read or write, with the short name of its repository."""

    repository: str
    kept: StoredPreview
    checksum: str
    generation: int


@dataclass(frozen=True, slots=True)
class _Write:
    """One write: the new `spec` of a preview's object, with the data `kept`. It replaces the generation `known`."""

    repository: str
    identity: Identity
    kept: StoredPreview
    spec: Object
    known: int

    @property
    def held(self) -> _Held:
        """Return what the object holds once it is written."""
        return _Held(
            self.repository, self.kept, self.spec[stored_preview.CHECKSUM], self.spec[stored_preview.GENERATION]
        )


class _RefusedByCluster(Failed):
    """The cluster rejects the write of one object."""


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn a rejection, such as by an admission policy, into an error that concerns only this object."""
    try:
        yield
    except (Failed, FixCredentials) as error:
        raise _RefusedByCluster(str(error)) from None


class PreviewObjects:
    """The objects of one installation, all in one namespace.

    `changed` is called when anyone other than this instance changed an object. `overtaken` is called with a sentence
    when another instance wrote one.
    """

    def __init__(
        self, kube: Kube, frame: InstallationSpec, namespace: str, timing: Timing, overtaken: Callable[[str], None]
    ) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.namespace = namespace
        self._kube = kube
        self._frame = frame
        self._timing = timing
        self._overtaken = overtaken
        self._names: dict[Identity, str] = {}
        self._previews: dict[str, Identity] = {}  # by the names of their objects
        self._configs: dict[str, Object] = {}
        self._held: dict[Identity, _Held] = {}
        self._ours: dict[Identity, set[str]] = {}
        self._labels = f"{INSTALLATION}={frame.installation}"
        self._mirror = Mirror(kube, PREVIEWS, self._seen, timing, namespace=namespace, labels=self._labels)

    # --- reads ---

    async def installed(self) -> None:
        """Wait until the cluster knows both kinds, and Greenroom may read them. Log the reason while it waits."""
        told = ""
        while True:
            try:
                for kind in (PREVIEWS, PREVIEW_CONFIGS):
                    await self._kube.listed(kind, self.namespace, labelSelector=self._labels)
                return
            except NoSuchKind:
                why = "The CRDs of Preview objects are not installed. Run: kubectl apply -f charts/greenroom/crds"
            except GreenroomError as error:
                why = str(error)
            if why != told:
                log.warning("Preview objects cannot be read; Greenroom waits and changes nothing", why=why)
            told = why
            await self._timing.clock.sleep(self._timing.definitions_every)

    async def read(self, tasks: Tasks) -> None:
        """Keep the copy current from now on. Wait until it is complete; raise `TimeoutError` if that takes too long."""
        tasks.keep("watch of previews", self._mirror.run)
        async with asyncio.timeout(self._timing.first_copy):
            await self._mirror.ready.wait()
        for identity, found in self.all().items():  # this instance has the Lease, so no other one writes any more
            self._ours[identity] = {stored_preview.written_checksum(found)}
        await self.read_configs()

    async def read_configs(self) -> None:
        """Read the `PreviewConfig` objects. Nothing may be stored at the same time."""
        found, _ = await self._kube.listed(PREVIEW_CONFIGS, self.namespace, labelSelector=self._labels)
        self._configs = {c["metadata"]["name"]: c for c in found if stored_preview.is_as_written(c)}

    def all(self) -> dict[Identity, Object]:
        """Return the objects by identity. Raise `Doubt` without a current copy."""
        found = self._mirror.whole()
        return {i: found[self.namespace, name] for i, name in self._names.items() if (self.namespace, name) in found}

    def of(self, identity: Identity) -> Object | None:
        """Return the copy of a preview's object, or None when there is none."""
        name = self._names.get(identity)
        return self._mirror.items.get((self.namespace, name)) if name else None

    def content(self, found: Object) -> Content:
        """Return the stored data of an object. Raise `Unreadable` when it was edited."""
        return stored_preview.content(found, self._configs)

    def _seen(self, found: Object) -> None:
        name, edited = found["metadata"]["name"], stored_preview.is_edited(found)
        identity = self._previews.get(name) if edited else None  # an edited object still belongs to its preview
        identity = identity or stored_preview.preview_of(found)
        if identity is None:
            return
        there = (self.namespace, name) in self._mirror.items
        if there and self._newest(identity, name, found):
            self._named(identity, name)
        elif not there:
            self._unnamed(name)
        if there and edited:
            self._held.pop(identity, None)  # its data is not what was written
        known = identity in self._held and self._is_ours(identity, found)
        if not there or not known or identity_of(found) != identity:
            self.changed()

    def _named(self, identity: Identity, name: str) -> None:
        """Note the name of a preview's object. An object belongs to only one preview."""
        self._unnamed(name)
        self._names[identity], self._previews[name] = name, identity

    def _unnamed(self, name: str) -> None:
        former = self._previews.pop(name, None)
        if former is not None and self._names.get(former) == name:
            del self._names[former]

    def _newest(self, identity: Identity, name: str, found: Object) -> bool:
        """Return whether this is the object of the preview: the only one, or the one that was written last."""
        other = self.of(identity)
        if other is None or other["metadata"]["name"] == name:
            return True
        return stored_preview.generation_of(found) > stored_preview.generation_of(other)

    def _is_ours(self, identity: Identity, found: Object) -> bool:
        return stored_preview.written_checksum(found) in self._ours.get(identity, ())

    # --- writes ---

    def read_as(self, repository: str, identity: Identity, kept: StoredPreview) -> None:
        """Note the data that was read from an object, so that a write may replace it."""
        if found := self.of(identity):
            written = stored_preview.written_checksum(found)
            self._ours[identity] = {written}
            self._held[identity] = _Held(repository, kept, written, stored_preview.generation_of(found))

    def written_in(self, identity: Identity) -> int | None:
        """Return the generation in which the object of a preview was last written, or None when that is unknown."""
        if found := self.of(identity):
            return stored_preview.generation_of(found)
        held = self._held.get(identity)  # it has just been deleted
        return held.generation if held else None

    def carries(self, repository: str, identity: Identity, kept: StoredPreview) -> bool:
        """Return whether the object of a preview holds this data, or whether there is no object and no data."""
        found, held = self.of(identity), self._held.get(identity)
        if found is None or stored_preview.CHECKSUM not in (found.get("spec") or {}):
            return kept == EMPTY
        if held is None or (held.repository, held.kept) != (repository, kept):
            return False
        ref = stored_preview.ref_of(found)
        labeled = self._labels_for(repository, identity).items() <= (found["metadata"].get("labels") or {}).items()
        return labeled and (not ref or ref in self._configs) and stored_preview.written_checksum(found) == held.checksum

    def is_empty(self, identity: Identity, found: Object) -> bool:
        """Return whether an object stores nothing, according to the last read or write of this instance."""
        held = self._held.get(identity)
        return stored_preview.CHECKSUM not in (found.get("spec") or {}) or (held is not None and held.kept == EMPTY)

    async def store(self, repository: str, kept: Mapping[Identity, StoredPreview], generation: int, known: int) -> None:
        """Write the data of these previews, first those that stop. Raise the first error after all writes of a group.

        `known` is the generation that this instance works from. Previews that stop come first so that no more previews
        are stored than are allowed if this instance is killed between the groups.
        """
        stops = {i: k for i, k in kept.items() if k.spec is None}
        for group in (stops, {i: k for i, k in kept.items() if i not in stops}):
            await self._each({i: self._store(repository, i, k, generation, known) for i, k in group.items()})

    async def _each(self, work: Mapping[Identity, Awaitable[None]]) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def turn(one: Awaitable[None]) -> None:
            async with turns:
                await one

        done = await asyncio.gather(*map(turn, work.values()), return_exceptions=True)
        refused = {i.number: e for i, e in zip(work, done, strict=True) if isinstance(e, _RefusedByCluster)}
        for error in done:
            if isinstance(error, BaseException) and not isinstance(error, _RefusedByCluster):
                raise error
        if refused:
            raise NotStored(" ".join(sorted({str(e) for e in refused.values()})), frozenset(refused))

    async def _store(
        self, repository: str, identity: Identity, kept: StoredPreview, generation: int, known: int
    ) -> None:
        found = self.of(identity)
        if found is None and kept == EMPTY:
            return
        if found is not None:
            self._no_newer(identity, found, known)
        if found is not None and not stored_preview.is_edited(found):
            # The index may name this generation already, if the answer to the write of the ApplicationSet was lost.
            generation = max(generation, stored_preview.generation_of(found))
        spec = stored_preview.stored_spec(self._frame, repository, identity, kept, generation)
        write = _Write(repository, identity, kept, spec, known)
        before = self._held.pop(identity, None)  # unknown until the answer comes
        try:
            if kept.spec is not None:
                await self._ensure(stored_preview.preview_config(self._frame, self.namespace, kept.spec))
            await self._write(write, found)
        except _RefusedByCluster:
            self._held |= {identity: before} if before else {}
            raise
        self._held[identity] = write.held

    async def _ensure(self, config: Object) -> None:
        name = config["metadata"]["name"]
        if name not in self._configs:
            with _refusals():
                self._configs[name] = await self._kube.apply(PREVIEW_CONFIGS, self.namespace, name, config)

    async def _write(self, write: _Write, found: Object | None) -> None:
        """Replace exactly the version of an object that exists. Raise `RetryLater` when it keeps changing.

        The write replaces the whole `spec`: a server-side apply would keep fields that another manager added.
        https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
        """
        identity, checksum = write.identity, write.held.checksum
        name = found["metadata"]["name"] if found else self.name_for(write.repository, identity)
        self._ours.setdefault(identity, set()).add(checksum)  # the answer may be lost
        for _ in range(TRIES):
            try:
                answer = await self._put(self._body(write.repository, identity, name, write.spec, found), found)
            except (Conflict, Vanished):  # its status was written, or another instance or a person changed it
                found = await self._standing(identity, name, write.known)
                if found is None and write.kept == EMPTY:
                    return
                continue
            self.taken(answer)
            self._ours[identity] = {checksum}
            if answer.get("spec") != write.spec:
                raise Failed(
                    "The cluster's definition of Preview objects is older than this version of Greenroom. Run:"
                    " kubectl apply -f charts/greenroom/crds"
                )
            return
        raise RetryLater(f"The Preview {name} keeps changing. Greenroom will retry shortly.", after=1.0)

    async def _put(self, body: Object, found: Object | None) -> Object:
        with _refusals():
            if found is None:
                return await self._kube.create(PREVIEWS, self.namespace, body)
            return await self._kube.replace(PREVIEWS, self.namespace, body["metadata"]["name"], body)

    def _body(self, repository: str, identity: Identity, name: str, spec: Object, found: Object | None) -> Object:
        """Return the object with this `spec`, and with the rest of the existing object."""
        mine = self._labels_for(repository, identity)
        made = stored_preview.kubernetes_object(self._frame, self.namespace, name, mine, spec)
        if found is None:
            return made
        labels = {**(found["metadata"].get("labels") or {}), **made["metadata"]["labels"]}
        return {**found, **made, "metadata": {**found["metadata"], "labels": labels}}

    def _labels_for(self, repository: str, identity: Identity) -> dict[str, str]:
        of = {REPOSITORY: repository, REPOSITORY_ID: str(identity.repository_id), NUMBER: str(identity.number)}
        return {**self._frame.labels(), **of}

    async def _standing(self, identity: Identity, name: str, known: int) -> Object | None:
        """Return the object that a write replaces. Raise `Doubt` when another instance or installation wrote it."""
        found = await self._look_again(name)
        if found is None:
            return None
        labeled = INSTALLATION in (found["metadata"].get("labels") or {})
        if not labeled and not self._is_ours(identity, found):
            raise Doubt(
                f"The Preview {name} does not have the label {INSTALLATION}. Nothing was written. Set the label to"
                f" {self._frame.installation}, or delete the Preview."
            )
        if labeled and not ours(found, self._frame.installation):
            raise Doubt(
                f"The Preview {name} belongs to another installation. Nothing was written. If that installation no"
                " longer exists, delete the Preview."
            )
        if stored_preview.preview_of(found) not in (None, identity):
            raise Doubt(
                f"The Preview {name} belongs to another pull request. Nothing was written. Greenroom will retry under"
                " another name."
            )
        self._no_newer(identity, found, known)
        return found

    def _no_newer(self, identity: Identity, found: Object, known: int) -> None:
        """Raise `Doubt` when another instance wrote an object after our last read."""
        if self._is_ours(identity, found) or stored_preview.generation_of(found) <= known:
            return
        why = (
            f"Another instance wrote the Preview {found['metadata']['name']} after this instance last read it. This"
            " instance is stopping, and will read the Preview again when it restarts."
        )
        self._overtaken(why)
        raise Doubt(why)

    async def _look_again(self, name: str) -> Object | None:
        """Update the copy of one object, because the watch may be late."""
        found = await self._kube.get(PREVIEWS, self.namespace, name)
        if found is None:
            self._forget(name)
        elif ours(found, self._frame.installation):
            self.taken(found)
        return found

    def _forget(self, name: str) -> None:
        self._mirror.forget({"metadata": {"namespace": self.namespace, "name": name}})
        self._unnamed(name)

    def taken(self, answer: Object) -> None:
        """Put the answer to a write into the copy."""
        self._mirror.written(answer)
        name = answer["metadata"]["name"]
        identity = self._previews.get(name) if stored_preview.is_edited(answer) else None
        if identity := identity or stored_preview.preview_of(answer):
            self._named(identity, name)

    def name_for(self, repository: str, identity: Identity) -> str:
        """Return the name of a new object. A repository that replaced another one may find its name taken."""
        name = stored_preview.object_name(self._frame, repository, identity.number)
        holder = self._mirror.items.get((self.namespace, name))
        if holder is None or stored_preview.preview_of(holder) == identity:
            return name
        return stored_preview.object_name(self._frame, f"{repository}.{identity.repository_id}", identity.number)

    async def show_only(self, repository: str, identity: Identity) -> Object:
        """Create an object that stores nothing yet, for its status. Return it."""
        spec = {"repository": {"id": identity.repository_id, "name": repository}, "number": identity.number}
        name = self.name_for(repository, identity)
        try:
            made = await self._kube.create(PREVIEWS, self.namespace, self._body(repository, identity, name, spec, None))
        except Conflict:
            await self._look_again(name)
            raise
        self.taken(made)
        return made

    async def write_status(self, name: str, status: Object) -> Object:
        """Write the status of an object, and return the object."""
        body = {"apiVersion": PREVIEWS.version, "kind": "Preview", "metadata": {"name": name}, "status": status}
        try:
            found = await self._kube.apply(PREVIEWS, self.namespace, f"{name}/status", body)
        except GreenroomError:
            await self._look_again(name)  # it may have been deleted a moment ago
            raise
        self.taken(found)
        return found

    async def delete(self, found: Object) -> None:
        """Delete this version of an object."""
        metadata = found["metadata"]
        try:
            await self._kube.delete(
                PREVIEWS, self.namespace, metadata["name"], metadata["uid"], metadata["resourceVersion"]
            )
        except Conflict:
            await self._look_again(metadata["name"])
            raise
        if identity := self._previews.get(metadata["name"]):
            self._held.pop(identity, None)
            self._ours.pop(identity, None)
        self._forget(metadata["name"])  # the watch may be late

    async def delete_all(self, repository_id: int) -> None:
        """Delete all objects of a repository that another one has replaced."""
        for identity, found in self.all().items():
            if identity.repository_id == repository_id:
                await self.delete(found)

    async def delete_unused_configs(self) -> None:
        """Delete `PreviewConfig` objects that no `Preview` needs. Nothing may be stored at the same time."""
        used = {stored_preview.ref_of(o) for o in self._mirror.whole().values()}
        before = (self._timing.clock.now() - UNUSED_KEPT).strftime("%Y-%m-%dT%H:%M:%SZ")
        for name, config in tuple(self._configs.items()):
            if name in used or config["metadata"].get("creationTimestamp", "") > before:
                continue
            del self._configs[name]  # first, so that a write that needs it creates it again
            try:
                await self._kube.delete(PREVIEW_CONFIGS, self.namespace, name, config["metadata"]["uid"])
            except GreenroomError as error:
                log.warning("a PreviewConfig that nothing needs could not be deleted", name=name, why=str(error))
