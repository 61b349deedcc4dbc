"""The status of the `Preview` objects, which `kubectl get previews` shows. No decision depends on it.

A pull request that waits for its preview gets an object too, which stores nothing yet. If a person edits or deletes an
object, it is written again. An object is deleted an hour after its preview is removed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from greenroom.argocd import preview_object
from greenroom.argocd.client import EVENTS, Kube, Object
from greenroom.argocd.known_sets import KnownSets
from greenroom.argocd.preview_object import View
from greenroom.argocd.preview_objects import AT_ONCE, PreviewObjects
from greenroom.argocd.timing import Timing
from greenroom.core.model.records import EMPTY, records
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.core.model.status import Stage, Status
from greenroom.core.planning import backoff
from greenroom.core.planning.backoff import growing
from greenroom.errors import GreenroomError

log = structlog.get_logger(__name__)

REMOVED_KEPT = timedelta(hours=1)
RESTORE_PAUSES = (0.0, 0.0, 0.0, 0.0, *growing(1.0, 60.0))
RESTORES_FORGOTTEN = 600.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The views, and the ids of the repositories for which they are complete."""

    views: Mapping[Identity, View] = field(default_factory=dict)
    read: frozenset[int] = frozenset()


class PublishedPreviews:
    """Writer of the status of the objects.

    `restore` writes the stored data of a repository again. `discard` deletes an object that stores
    nothing.
    """

    def __init__(
        self,
        kube: Kube,
        objects: PreviewObjects,
        known: KnownSets,
        restore: Callable[[int], Awaitable[None]],
        discard: Callable[[Identity, Object], Awaitable[None]],
        timing: Timing,
    ) -> None:
        self._kube = kube
        self._objects = objects
        self._known = known
        self._restore = restore
        self._discard = discard
        self._timing = timing
        self._wanted = _Wanted()
        self._poked = asyncio.Event()
        self._doubted: dict[str, tuple[float, str]] = {}
        self._refused: dict[str, str] = {}
        self._restored: dict[int, tuple[int, float]] = {}
        self._taken: dict[str, tuple[Object, Object]] = {}
        self._current: dict[Identity, tuple[View, str]] = {}
        objects.changed = self._poked.set

    def show(self, statuses: Mapping[Identity, Status], read: Iterable[int], troubles: Mapping[str, str]) -> None:
        """Write these statuses soon, each with the current spec.

        `read` are the ids of the repositories that were read: their previews without a status do not exist. `troubles`
        maps the short names of repositories that cannot be read now to a sentence.
        """
        now = self._timing.clock.monotonic()
        self._doubted = {name: (self._doubted.get(name, (now, ""))[0], why) for name, why in troubles.items()}
        views = {i: View(s, self._spec(i)) for i, s in statuses.items() if s.stage is not Stage.NONE}
        self._wanted = _Wanted(views, frozenset(read))
        self._poked.set()

    def _doubtful(self, view: View) -> View:
        """Return the view with the trouble of its repository, if the trouble has lasted long enough."""
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
        """Write each status that differs from what it should be, and delete objects without a pull request.

        An error about one object does not delay the others. Raise `Doubt` without a current copy.
        """
        wanted, refused, turns = self._wanted, dict[str, str](), asyncio.Semaphore(AT_ONCE)
        found = self._objects.all()

        async def attempt(name: str, work: Awaitable[None]) -> None:
            async with turns:
                try:
                    await work
                except GreenroomError as error:
                    refused[name] = str(error)
                except Exception:  # an error about one object must not delay the others
                    log.exception("a Preview object could not be written", name=name)

        async with asyncio.TaskGroup() as group:
            for repository_id, name in self._changed(found).items():
                if self._may_restore(repository_id):
                    group.create_task(attempt(name, self._restore(repository_id)))
            for identity, latest in wanted.views.items():
                view = self._doubtful(latest)
                if not self._is_current(identity, view, found.get(identity)):
                    group.create_task(attempt(latest.status.name, self._follow(identity, view, found.get(identity))))
            for identity, old in found.items():
                if identity not in wanted.views and self._is_over(identity, old, wanted.read):
                    group.create_task(attempt(old["metadata"]["name"], self._delete(identity, old)))
        for name, why in refused.items() - self._refused.items():
            log.warning("a Preview object could not be written; Greenroom retries", name=name, why=why)
        self._refused = refused

    def _changed(self, found: Iterable[Identity]) -> dict[int, str]:
        """Return the names, by id, of the repositories whose objects do not hold the data that they should."""
        changed, there = dict[int, str](), defaultdict[int, list[Identity]](list)
        for identity in found:
            there[identity.repository_id].append(identity)
        for preview_set in self._known.served.values():
            mine = {Identity(preview_set.repository_id, n): r for n, r in records(preview_set).items()}
            kept = dict.fromkeys(there[preview_set.repository_id], EMPTY) | mine
            held = (self._objects.carries(preview_set.repository, i, k) for i, k in kept.items())
            if not all(held):
                changed[preview_set.repository_id] = preview_set.repository
        return changed

    def _may_restore(self, repository_id: int) -> bool:
        """Return whether objects may be written again now. Slow down if something else changes them each time."""
        now = self._timing.clock.monotonic()
        tries, at = self._restored.get(repository_id, (0, now))
        if now < at:
            return False
        tries = 0 if now - at > RESTORES_FORGOTTEN else tries
        self._restored[repository_id] = tries + 1, now + backoff.pause(RESTORE_PAUSES, tries)
        return True

    def _is_current(self, identity: Identity, view: View, old: Object | None) -> bool:
        """Return whether an object was written from this view and has not changed. Removed ones have to be deleted."""
        version = old["metadata"].get("resourceVersion", "") if old else ""
        return view.status.stage is not Stage.REMOVED and self._current.get(identity) == (view, version)

    def _is_over(self, identity: Identity, old: Object, read: frozenset[int]) -> bool:
        """Return whether an object may be deleted: its repository was read, and no pull request needs it."""
        removed = (old.get("status") or {}).get("state") == Stage.REMOVED.value
        kept = removed and not preview_object.removed_before(old, self._timing.clock.now() - REMOVED_KEPT)
        return identity.repository_id in read and not kept and self._objects.is_empty(identity, old)

    async def _follow(self, identity: Identity, view: View, old: Object | None) -> None:
        over = self._timing.clock.now() - REMOVED_KEPT
        if old and view.status.stage is Stage.REMOVED and preview_object.removed_before(old, over):
            if self._objects.is_empty(identity, old):
                await self._delete(identity, old)
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

    async def _delete(self, identity: Identity, old: Object) -> None:
        await self._discard(identity, old)
        self._current.pop(identity, None)
        self._taken.pop(old["metadata"]["name"], None)
