"""The status of the `Preview` objects: what `kubectl get previews` shows. Nothing is ever read from it.

A pull request that waits for its preview gets an object too, which stores nothing yet. An object that a person edits or
deletes is written again. An object stays for an hour after the removal of its preview.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from greenroom.argocd import preview_object
from greenroom.argocd.applicationset import identity_of, repository_id_of
from greenroom.argocd.client import EVENTS, Kube, Object
from greenroom.argocd.known_sets import KnownSets
from greenroom.argocd.preview_object import View
from greenroom.argocd.preview_objects import AT_ONCE, PreviewObjects
from greenroom.argocd.timing import Timing
from greenroom.core.model.records import EMPTY, records
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.core.model.status import Stage, Status
from greenroom.errors import GreenroomError

log = structlog.get_logger(__name__)

REMOVED_KEPT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The views, and the ids of the repositories of which they are all."""

    views: Mapping[Identity, View] = field(default_factory=dict)
    read: frozenset[int] = frozenset()


class PublishedPreviews:
    """Writes the status of the objects. `restore` writes again what an object of a repository is to store."""

    def __init__(
        self,
        kube: Kube,
        objects: PreviewObjects,
        known: KnownSets,
        restore: Callable[[int], Awaitable[None]],
        timing: Timing,
    ) -> None:
        self._kube = kube
        self._objects = objects
        self._known = known
        self._restore = restore
        self._timing = timing
        self._wanted = _Wanted()
        self._poked = asyncio.Event()
        self._doubted: dict[str, tuple[float, str]] = {}
        self._refused: dict[str, str] = {}
        self._taken: dict[str, tuple[Object, Object]] = {}
        self._current: dict[Identity, tuple[View, str]] = {}
        objects.changed = self._poked.set

    def show(self, statuses: Mapping[Identity, Status], read: Iterable[int], troubles: Mapping[str, str]) -> None:
        """Write these statuses soon, each with the spec that the engine works from now.

        `read` are the ids of the repositories that were read: their previews without a status do not exist. `troubles`
        maps the short names of repositories that cannot be read now to a sentence.
        """
        now = self._timing.clock.monotonic()
        self._doubted = {name: (self._doubted.get(name, (now, ""))[0], why) for name, why in troubles.items()}
        views = {i: View(s, self._spec(i)) for i, s in statuses.items() if s.stage is not Stage.NONE}
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

    async def run(self) -> None:
        """Keep the objects current until canceled."""
        while True:
            self._poked.clear()
            with contextlib.suppress(GreenroomError):  # the watch is interrupted, and logs it
                await self.write()
            await self._timing.clock.sleep(self._timing.publish_pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.repair_every):  # removed ones are deleted after an hour
                    await self._poked.wait()

    async def write(self) -> None:
        """Write each status that differs from what it should be, and delete the objects of no pull request.

        An object that is refused does not keep the others from being written. Raise `Doubt` without a current copy.
        """
        wanted, refused, turns = self._wanted, dict[str, str](), asyncio.Semaphore(AT_ONCE)
        found = self._objects.all()

        async def attempt(name: str, work: Awaitable[None]) -> None:
            async with turns:
                try:
                    await work
                except GreenroomError as error:
                    refused[name] = str(error)
                except Exception:  # one object must not keep the others from being written
                    log.exception("a Preview object could not be written", name=name)

        async with asyncio.TaskGroup() as group:
            for repository_id, name in self._changed(found).items():
                group.create_task(attempt(name, self._restore(repository_id)))
            for identity, latest in wanted.views.items():
                view = self._doubtful(latest)
                if not self._is_current(identity, view, found.get(identity)):
                    group.create_task(attempt(latest.status.name, self._follow(identity, view, found.get(identity))))
            for identity, old in found.items():
                if identity not in wanted.views and self._is_over(old, wanted.read):
                    group.create_task(attempt(old["metadata"]["name"], self._delete(old)))
        for name, why in refused.items() - self._refused.items():
            log.warning("a Preview object could not be written; Greenroom retries", name=name, why=why)
        self._refused = refused

    def _changed(self, found: Iterable[Identity]) -> dict[int, str]:
        """Return the repositories, by id with a name, of which the objects do not hold what they should."""
        changed, there = dict[int, str](), set(found)
        for preview_set in self._known.served.values():
            kept = {Identity(preview_set.repository_id, n): r for n, r in records(preview_set).items()}
            others = {i: EMPTY for i in there if i.repository_id == preview_set.repository_id and i not in kept}
            held = (self._objects.carries(preview_set.repository, i, k) for i, k in (kept | others).items())
            if not all(held):
                changed[preview_set.repository_id] = preview_set.repository
        return changed

    def _is_current(self, identity: Identity, view: View, old: Object | None) -> bool:
        """Return whether an object was written from this view and has not changed. Removed ones have to be deleted."""
        version = old["metadata"].get("resourceVersion", "") if old else ""
        return view.status.stage is not Stage.REMOVED and self._current.get(identity) == (view, version)

    def _is_over(self, old: Object, read: frozenset[int]) -> bool:
        """Return whether an object that no pull request has belongs to a repository that was read."""
        removed = (old.get("status") or {}).get("state") == Stage.REMOVED.value
        kept = removed and not preview_object.removed_before(old, self._timing.clock.now() - REMOVED_KEPT)
        return repository_id_of(old) in read and not kept and self._objects.is_empty(old)

    async def _follow(self, identity: Identity, view: View, old: Object | None) -> None:
        over = self._timing.clock.now() - REMOVED_KEPT
        if old and view.status.stage is Stage.REMOVED and preview_object.removed_before(old, over):
            if self._objects.is_empty(old):
                await self._delete(old)
        elif old or view.status.stage is not Stage.REMOVED:
            await self._write(identity, view, old)

    async def _write(self, identity: Identity, view: View, old: Object | None) -> None:
        now = self._timing.clock.now()
        if old is None:
            old = await self._objects.show_only(preview_object.repository_of(view.status), identity)
        name, before = old["metadata"]["name"], old.get("status") or {}
        wanted = preview_object.object_status(view, before, old["metadata"].get("generation"), now)
        if self._differs(name, old, wanted):
            old = await self._objects.write_status(name, wanted)
            self._taken[name] = wanted, old.get("status") or {}
            if (before.get("state"), before.get("reason")) != (wanted["state"], wanted["reason"]):
                with contextlib.suppress(GreenroomError):  # the status says the same
                    told = preview_object.event(self._objects.namespace, old, view.status, now)
                    await self._kube.create(EVENTS, self._objects.namespace, told)
        self._current[identity] = view, old["metadata"].get("resourceVersion", "")

    def _differs(self, name: str, found: Object, wanted: Object) -> bool:
        """Return whether a status must be written. An older definition drops fields, which would never become equal."""
        now = found.get("status") or {}
        return bool(now != wanted and self._taken.get(name) != (wanted, now))

    async def _delete(self, old: Object) -> None:
        await self._objects.delete(old)
        if identity := identity_of(old):
            self._current.pop(identity, None)
        self._taken.pop(old["metadata"]["name"], None)
