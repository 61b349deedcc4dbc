"""The `Preview` objects of an installation: what `kubectl get previews` shows. Nothing is ever read from them.

An object that a person deletes is written again. An object stays for an hour after the removal of its preview.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from greenroom.argocd import preview_object
from greenroom.argocd.applicationset import INSTALLATION, InstallationSpec, identity_of, repository_id_of
from greenroom.argocd.client import EVENTS, PREVIEWS, Conflict, Kube, NoSuchKind, Object
from greenroom.argocd.informer import Mirror
from greenroom.argocd.known_sets import KnownSets
from greenroom.argocd.preview_object import View
from greenroom.argocd.receipt import ours
from greenroom.argocd.set_writer import NO_VERSION
from greenroom.argocd.timing import Timing
from greenroom.background import Tasks
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.core.model.status import Stage, Status
from greenroom.errors import GreenroomError

log = structlog.get_logger(__name__)

REMOVED_KEPT = timedelta(hours=1)
AT_ONCE = 8
GOING = (Stage.REMOVING, Stage.REMOVED)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The views by object name, and the ids of the repositories of which they are all."""

    views: Mapping[str, View] = field(default_factory=dict)
    read: frozenset[int] = frozenset()


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
        self._watched = False
        self._doubted: dict[str, tuple[float, str]] = {}
        self._refused: dict[str, str] = {}
        self._taken: dict[tuple[str, str], tuple[Object, Object]] = {}
        self._current: dict[str, tuple[View, str]] = {}
        labels = f"{INSTALLATION}={frame.installation}"
        self._mirror = Mirror(kube, PREVIEWS, self._changed, timing, namespace=namespace, labels=labels)

    def show(self, statuses: Mapping[Identity, Status], read: Iterable[int], troubles: Mapping[str, str]) -> None:
        """Write these statuses soon, each with the spec that the engine works from now.

        `read` are the ids of the repositories that were read: their previews without a status do not exist. `troubles`
        maps the short names of repositories that cannot be read now to a sentence.
        """
        now = self._timing.clock.monotonic()
        self._doubted = {name: (self._doubted.get(name, (now, ""))[0], why) for name, why in troubles.items()}
        views: dict[str, View] = {}
        for identity, status in statuses.items():
            name = preview_object.name_of(self._frame, status)
            gone = status.stage is Stage.REMOVED and name in views  # a repository that was replaced had this name
            if status.stage is not Stage.NONE and not gone:
                views[name] = View(status, self._spec(identity))
        self._wanted = _Wanted(views, frozenset(read))
        self._poked.set()

    def _doubtful(self, view: View) -> View:
        """Return the view with the trouble of its repository, if that has lasted."""
        since, why = self._doubted.get(view.status.repository, (0.0, ""))
        lasts = self._timing.clock.monotonic() - since >= self._timing.doubt_lasts
        return replace(view, trouble=why) if why and lasts else view

    def _spec(self, identity: Identity) -> PreviewSpec | None:
        preview_set = self._known.served.get(identity.repository_id)
        return preview_set.specs.get(identity.number) if preview_set else None

    async def run(self, tasks: Tasks) -> None:
        """Keep the objects current until canceled."""
        await self._installed()
        if not self._watched:
            self._watched = True
            tasks.keep("previews watch", self._mirror.run)
        await self._mirror.ready.wait()
        while True:
            self._poked.clear()
            with contextlib.suppress(GreenroomError):  # the watch is interrupted, and logs it
                await self.write()
            await self._timing.clock.sleep(self._timing.publish_pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.repair_every):  # removed ones are deleted after an hour
                    await self._poked.wait()

    async def _installed(self) -> None:
        """Wait until the cluster knows the kind. Log the reason once if it does not."""
        told = ""
        while True:
            try:
                await self._kube.listed(PREVIEWS, self._namespace)
                return
            except NoSuchKind:
                why = (
                    "The Preview resource is not installed in the cluster. Run: kubectl apply -f charts/greenroom/crds"
                )
            except GreenroomError as error:
                why = str(error)
            if why != told:
                log.warning("Preview objects cannot be read; `kubectl get previews` may be empty or outdated", why=why)
            told = why
            await self._timing.clock.sleep(self._timing.repair_every)

    def _changed(self, found: Object) -> None:
        self._poked.set()

    async def write(self) -> None:
        """Write each object that differs from what it should be, and delete those of no pull request.

        An object that is refused does not keep the others from being written. Raise `Doubt` without a current copy.
        """
        wanted, refused, turns = self._wanted, dict[str, str](), asyncio.Semaphore(AT_ONCE)
        found = {name: o for (_, name), o in self._mirror.whole().items()}
        shown = {view.status.identity for view in wanted.views.values()}

        async def attempt(name: str, work: Awaitable[None]) -> None:
            async with turns:
                try:
                    await work
                except GreenroomError as error:
                    refused[name] = str(error)
                except Exception:  # one object must not keep the others from being written
                    log.exception("a Preview object could not be written", name=name)

        async with asyncio.TaskGroup() as group:
            for name, latest in wanted.views.items():
                view = self._doubtful(latest)
                if not self._is_current(name, view, found.get(name)):
                    group.create_task(attempt(name, self._follow(name, view, found.get(name))))
            for name, old in found.items():
                if name not in wanted.views and (identity_of(old) in shown or self._is_over(old, wanted.read)):
                    group.create_task(attempt(name, self._delete(old)))
        for name, why in refused.items() - self._refused.items():
            log.warning("a Preview object could not be written; Greenroom retries", name=name, why=why)
        self._refused = refused

    def _is_current(self, name: str, view: View, old: Object | None) -> bool:
        """Return whether an object was written from this view and has not changed. Removed ones have to be deleted."""
        version = old["metadata"].get("resourceVersion", "") if old else ""
        return view.status.stage is not Stage.REMOVED and self._current.get(name) == (view, version)

    def _is_over(self, old: Object, read: frozenset[int]) -> bool:
        """Return whether an object that no pull request has belongs to a repository that was read."""
        removed = (old.get("status") or {}).get("state") == Stage.REMOVED.value
        kept = removed and not preview_object.removed_before(old, self._timing.clock.now() - REMOVED_KEPT)
        return repository_id_of(old) in read and not kept

    async def _follow(self, name: str, view: View, old: Object | None) -> None:
        over = self._timing.clock.now() - REMOVED_KEPT
        if old and identity_of(old) != view.status.identity:
            await self._delete(old)  # of an earlier repository with this name
        elif old and view.status.stage is Stage.REMOVED and preview_object.removed_before(old, over):
            await self._delete(old)
        elif old or view.status.stage is not Stage.REMOVED:
            await self._write(name, view, old)

    async def _write(self, name: str, view: View, old: Object | None) -> None:
        now = self._timing.clock.now()
        body = preview_object.preview_object(self._frame, self._namespace, view)
        if old and view.spec is None and view.status.stage in GOING:
            body["spec"] = old["spec"]  # what ran, until nothing is left of it
        if old is None:
            body["metadata"]["resourceVersion"] = NO_VERSION  # another installation may have an object of this name
        if old is None or self._differs("spec", name, old, body["spec"]):
            old = await self._apply(name, body)
            self._taken["spec", name] = body["spec"], old["spec"]
            self._mirror.written(old)
        before = old.get("status") or {}
        wanted = preview_object.object_status(view, before, old["metadata"].get("generation"), now)
        if self._differs("status", name, old, wanted):
            old = await self._write_status(name, wanted)
            if (before.get("state"), before.get("reason")) != (wanted["state"], wanted["reason"]):
                with contextlib.suppress(GreenroomError):  # the status says the same
                    told = preview_object.event(self._namespace, old, view.status, now)
                    await self._kube.create(EVENTS, self._namespace, told)
        self._current[name] = view, old["metadata"].get("resourceVersion", "")

    async def _apply(self, name: str, body: Object) -> Object:
        try:
            return await self._kube.apply(PREVIEWS, self._namespace, name, body)
        except Conflict:
            await self._look_again(name)
            raise

    async def _look_again(self, name: str) -> None:
        """Correct the copy of one object, which the watch may do late or never."""
        found = await self._kube.get(PREVIEWS, self._namespace, name)
        if found is None:
            self._mirror.forget({"metadata": {"namespace": self._namespace, "name": name}})
        elif ours(found, self._frame.installation):
            self._mirror.written(found)

    async def _write_status(self, name: str, wanted: Object) -> Object:
        whole = {"apiVersion": PREVIEWS.version, "kind": "Preview", "metadata": {"name": name}, "status": wanted}
        try:
            found = await self._kube.apply(PREVIEWS, self._namespace, f"{name}/status", whole)
        except GreenroomError:
            await self._look_again(name)  # it may have been deleted a moment ago
            raise
        self._taken["status", name] = wanted, found.get("status") or {}
        self._mirror.written(found)
        return found

    def _differs(self, part: str, name: str, found: Object, wanted: Object) -> bool:
        """Return whether a part must be written. An older definition drops fields, which would never become equal."""
        now = found.get(part) or {}
        return bool(now != wanted and self._taken.get((part, name)) != (wanted, now))

    async def _delete(self, old: Object) -> None:
        metadata = old["metadata"]
        await self._kube.delete(PREVIEWS, self._namespace, metadata["name"], metadata["uid"])
        self._current.pop(metadata["name"], None)
        for part in ("spec", "status"):
            self._taken.pop((part, metadata["name"]), None)
