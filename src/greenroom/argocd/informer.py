"""A copy of a collection that stays current: list, then watch, and list again whenever there is doubt.

`ready` is set after the first complete list. `whole` rejects an outdated copy, so that no decision depends on it.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog

from greenroom.argocd.client import Expired, Kind, Kube, Object
from greenroom.argocd.timing import DEFAULT, Timing
from greenroom.core.planning import backoff
from greenroom.errors import Doubt, GreenroomError, RetryLater

log = structlog.get_logger(__name__)

SHORTEST_PAUSE = 0.1
Key = tuple[str, str]


class Mirror:
    """Objects of one kind by (namespace, name). It calls `changed` with each added, changed or deleted object."""

    def __init__(
        self,
        kube: Kube,
        kind: Kind,
        changed: Callable[[Object], None],
        timing: Timing = DEFAULT,
        *,
        namespace: str = "",
        labels: str = "",
    ) -> None:
        self.items: dict[Key, Object] = {}
        self.ready = asyncio.Event()
        self._kube = kube
        self._kind = kind
        self._changed = changed
        self._namespace = namespace
        self._labels = labels
        self._timing = timing
        self._monotonic = timing.clock.monotonic
        self._newest: dict[Key, str] = {}
        self._connected = False
        self._current_at = 0.0

    @property
    def plural(self) -> str:
        """Return the resource's plural name in Kubernetes, such as `pods`."""
        return self._kind.plural

    def whole(self) -> dict[Key, Object]:
        """Return the copy. Raise `Doubt` when it was never complete, or the watch has been down for too long."""
        stale = not self._connected and self._monotonic() - self._current_at > self._timing.copy_fresh
        if not self.ready.is_set():
            raise Doubt(f"Greenroom has not finished reading the {self._kind.plural}.")
        if stale:
            raise Doubt(
                f"Greenroom's copy of the {self._kind.plural} is out of date. Greenroom will read the"
                f" {self._kind.plural} again."
            )
        return self.items

    def written(self, found: Object) -> None:
        """Take the answer of a write into the copy, before the watch brings it."""
        self.items[_key(found)] = _slim(found)
        self._newest[_key(found)] = _version(found)

    def forget(self, found: Object) -> None:
        """Take an object out of the copy that a write did not find."""
        self.items.pop(_key(found), None)
        self._newest.pop(_key(found), None)

    async def run(self) -> None:
        """Keep the copy current until canceled."""
        failures = 0
        while True:
            begun = self._monotonic()
            try:
                await self._follow(await self._list())
            except TimeoutError:
                failures = 0
            except GreenroomError as error:
                failures = 1 if self._monotonic() - begun > self._timing.watch_settled else failures + 1
                if not isinstance(error, Expired):
                    log.warning("the watch was interrupted; restarting it", kind=self._kind.plural, why=str(error))
                # Random pauses: all watches end at once when the API server restarts.
                longest = backoff.pause(self._timing.watch_pauses, failures)
                await self._timing.clock.sleep(random.uniform(SHORTEST_PAUSE, longest))  # noqa: S311

    async def _list(self) -> str:
        params = {"labelSelector": self._labels} if self._labels else {}
        objects, version = await self._kube.listed(self._kind, self._namespace, **params)
        found = {_key(o): _slim(o) for o in objects}
        # A list may have started before one of our own writes, and returned after it.
        found |= {key: o for key, o in self.items.items() if _is_after(self._newest.get(key, ""), version)}
        before, self.items = self.items, found
        self._current_at = self._monotonic()
        self.ready.set()
        for key in before.keys() | found.keys():
            old, new = before.get(key), found.get(key)
            if old is None or new is None or _version(old) != _version(new):
                self._changed(new or old or {})
        return version

    async def _follow(self, version: str) -> None:
        """Watch from a version. When the server ends the watch, resume it where it ended."""
        loop, timing = asyncio.get_running_loop(), self._timing
        self._connected = True
        try:
            while True:
                before, begun = version, self._monotonic()
                events = self._kube.watch(self._kind, self._namespace, version, timing.watch_server, self._labels)
                async with asyncio.timeout(timing.watch_idle) as dog:
                    async for event in events:
                        dog.reschedule(loop.time() + timing.watch_idle)
                        self._current_at = self._monotonic()
                        version = _version(event["object"])
                        if event["type"] != "BOOKMARK":
                            self._take(event["type"], event["object"])
                if version == before and self._monotonic() - begun < self._timing.watch_quick:
                    raise RetryLater(f"The watch of {self._kind.plural} ended as soon as it started.")
        except GreenroomError:
            # The copy was current until now. `whole` counts its age from this moment.
            self._current_at = self._monotonic()
            raise
        finally:
            self._connected = False

    def _take(self, event: str, found: Object) -> None:
        if self._is_older(found):  # an event from before our own write, which is already in the copy
            return
        if event == "DELETED":
            self.forget(found)
        else:
            self.items[_key(found)] = _slim(found)
        self._changed(found)

    def _is_older(self, found: Object) -> bool:
        """Return whether an event is older than our own last write of the object.

        https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
        """
        if _is_after(self._newest.get(_key(found), ""), _version(found)):
            return True
        self._newest.pop(_key(found), None)
        return False


def _key(found: Object) -> Key:
    metadata = found.get("metadata") or {}
    return metadata.get("namespace", ""), metadata.get("name", "")


def _is_after(version: str, other: str) -> bool:
    return version.isdecimal() and other.isdecimal() and int(version) > int(other)


def _version(found: Object) -> str:
    return str((found.get("metadata") or {}).get("resourceVersion", ""))


def _slim(found: Object) -> Object:
    """Remove the parts of an object that nothing reads and that are most of its size."""
    (found.get("metadata") or {}).pop("managedFields", None)
    (found.get("status") or {}).pop("history", None)
    return found
