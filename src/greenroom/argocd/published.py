"""The `Preview` objects of an installation: what `kubectl get previews` shows. Nothing is ever read from them.

An object that a person edits or deletes is written again. An object stays for an hour after the removal of its preview.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from greenroom.argocd import preview_object
from greenroom.argocd.applicationset import INSTALLATION, InstallationSpec, identity_of
from greenroom.argocd.client import EVENTS, PREVIEWS, Kube, NoSuchKind, Object
from greenroom.argocd.informer import Mirror
from greenroom.argocd.known_sets import KnownSets
from greenroom.argocd.timing import Timing
from greenroom.background import Tasks
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.core.model.status import Stage, Status
from greenroom.errors import GreenroomError

log = structlog.get_logger(__name__)

REMOVED_KEPT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The statuses of all pull requests. `complete` means that a preview without one does not exist."""

    statuses: Mapping[Identity, Status] = field(default_factory=dict)
    complete: bool = False


class PublishedPreviews:
    """Writes the objects of one installation into one namespace of Argo CD's cluster."""

    def __init__(self, kube: Kube, frame: InstallationSpec, namespace: str, known: KnownSets, timing: Timing) -> None:
        self._kube = kube
        self._frame = frame
        self._namespace = namespace
        self._known = known
        self._timing = timing
        self._wanted = _Wanted()
        self._poked = asyncio.Event()
        self._refused: dict[str, str] = {}
        self._taken: dict[tuple[str, str], tuple[Object, Object]] = {}
        labels = f"{INSTALLATION}={frame.installation}"
        self._mirror = Mirror(kube, PREVIEWS, self._changed, timing, namespace=namespace, labels=labels)

    def show(self, statuses: Mapping[Identity, Status], *, complete: bool) -> None:
        """Write these statuses soon. Unless they are `complete`, leave the objects of other pull requests alone."""
        self._wanted = _Wanted(dict(statuses), complete)
        self._poked.set()

    async def run(self, tasks: Tasks) -> None:
        """Keep the objects current until canceled."""
        await self._installed()
        tasks.keep("watch of previews", self._mirror.run)
        await self._mirror.ready.wait()
        while True:
            self._poked.clear()
            try:
                await self.write()
            except GreenroomError as error:
                log.warning("the Preview objects could not be written", why=str(error))
            await self._timing.clock.sleep(self._timing.publish_pause)
            try:
                async with asyncio.timeout(self._timing.repair_every):  # removed ones are deleted after an hour
                    await self._poked.wait()
            except TimeoutError:
                continue

    async def _installed(self) -> None:
        """Wait until the cluster knows the kind. Log once if it does not."""
        told = False
        while True:
            try:
                await self._kube.listed(PREVIEWS, self._namespace)
                return
            except NoSuchKind:
                if not told:
                    log.warning(
                        "`kubectl get previews` shows nothing: the cluster does not know Preview objects."
                        " Run: kubectl apply -f charts/greenroom/crds"
                    )
                told = True
            except GreenroomError as error:
                log.warning("the Preview objects could not be read", why=str(error))
            await self._timing.clock.sleep(self._timing.repair_every)

    def _changed(self, found: Object) -> None:
        self._poked.set()

    async def write(self) -> None:
        """Write each object that differs from what it should be, and delete those of no pull request.

        An object that is refused does not keep the others from being written. Raise `Doubt` without a current copy.
        """
        statuses = {i: s for i, s in self._wanted.statuses.items() if s.stage is not Stage.NONE}
        found = {identity_of(o): o for o in self._mirror.whole().values()}
        refused = {}
        for identity, status in statuses.items():
            try:
                await self._follow(status, found.pop(identity, None))
            except GreenroomError as error:
                refused[preview_object.name_of(self._frame, status)] = str(error)
        if self._wanted.complete:
            for old in found.values():
                await self._delete(old)
        for name, why in refused.items() - self._refused.items():
            log.warning("a Preview object could not be written; Greenroom retries", name=name, why=why)
        self._refused = refused

    async def _follow(self, status: Status, old: Object | None) -> None:
        over = self._timing.clock.now() - REMOVED_KEPT
        if old and status.stage is Stage.REMOVED and preview_object.removed_before(old, over):
            await self._delete(old)
        elif old or status.stage is not Stage.REMOVED:
            await self._write(status, old)

    def _spec(self, identity: Identity) -> PreviewSpec | None:
        preview_set = self._known.served.get(identity.repository_id)
        return preview_set.specs.get(identity.number) if preview_set else None

    async def _write(self, status: Status, old: Object | None) -> None:
        name, spec, now = (
            preview_object.name_of(self._frame, status),
            self._spec(status.identity),
            self._timing.clock.now(),
        )
        body = preview_object.preview_object(self._frame, self._namespace, status, spec)
        if old and spec is None and "build" in old["spec"]:
            body["spec"] = old["spec"]  # what ran, until nothing is left of it
        if old is None or self._differs("spec", name, old, body["spec"]):
            old = await self._kube.apply(PREVIEWS, self._namespace, name, body)
            self._taken["spec", name] = body["spec"], old["spec"]
            self._mirror.written(old)
        before = old.get("status") or {}
        wanted = preview_object.object_status(status, spec, before, now)
        if not self._differs("status", name, old, wanted):
            return
        whole = {**{k: body[k] for k in ("apiVersion", "kind")}, "metadata": {"name": name}, "status": wanted}
        found = await self._kube.apply(PREVIEWS, self._namespace, f"{name}/status", whole)
        self._taken["status", name] = wanted, found.get("status") or {}
        self._mirror.written(found)
        if (before.get("state"), before.get("reason")) != (wanted["state"], wanted["reason"]):
            with contextlib.suppress(GreenroomError):  # the status tells the same
                told = preview_object.event(self._namespace, found, status, now)
                await self._kube.create(EVENTS, self._namespace, told)

    def _differs(self, part: str, name: str, found: Object, wanted: Object) -> bool:
        """Return whether a part must be written. An older definition drops fields, which would never become equal."""
        now = found.get(part) or {}
        return bool(now != wanted and self._taken.get((part, name)) != (wanted, now))

    async def _delete(self, old: Object) -> None:
        metadata = old["metadata"]
        await self._kube.delete(PREVIEWS, self._namespace, metadata["name"], metadata["uid"])
        for part in ("spec", "status"):
            self._taken.pop((part, metadata["name"]), None)
