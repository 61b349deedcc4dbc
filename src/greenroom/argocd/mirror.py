"""A copy of a collection that keeps itself current: list, then watch, and list again whenever there is doubt.

`ready` is set after the first whole list; `whole` refuses a copy that stands still, so that nothing is decided from it.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

import structlog

from greenroom.argocd.kube import Expired, Kind, Kube, Object
from greenroom.errors import Doubt, GreenroomError, RetryLater

log = structlog.get_logger(__name__)

SERVER_SECONDS = 240
IDLE_SECONDS = 150  # a bookmark comes about once a minute; a connection that is silent for longer is dead
FRESH_SECONDS = 45.0
LASTED_SECONDS, QUICK_SECONDS = 30.0, 1.0
Key = tuple[str, str]


class Mirror:
    """Objects of one kind by (namespace, name). `changed` is called with each object that came, changed or went."""

    def __init__(
        self, kube: Kube, kind: Kind, changed: Callable[[Object], None], *, namespace: str = "", labels: str = ""
    ) -> None:
        self.items: dict[Key, Object] = {}
        self.ready = asyncio.Event()
        self._kube = kube
        self._kind = kind
        self._changed = changed
        self._namespace = namespace
        self._labels = labels
        self._connected = False
        self._current_at = 0.0

    @property
    def plural(self) -> str:
        """The resource's plural name in Kubernetes, such as `pods`."""
        return self._kind.plural

    def whole(self) -> dict[Key, Object]:
        """The copy. Raises `Doubt` when it was never whole, or the watch has been down for too long."""
        if not self.ready.is_set() or (not self._connected and time.monotonic() - self._current_at > FRESH_SECONDS):
            raise Doubt(f"The copy of {self._kind.plural} is not current; Kubernetes is asked again.")
        return self.items

    async def run(self) -> None:
        """Keep the copy current until cancelled."""
        failures = 0
        while True:
            begun = time.monotonic()
            try:
                await self._follow(await self._list())
            except TimeoutError:
                failures = 0
            except GreenroomError as error:
                failures = 1 if time.monotonic() - begun > LASTED_SECONDS else failures + 1
                if not isinstance(error, Expired):
                    log.warning("the watch is taken up again", kind=self._kind.plural, why=str(error))
                await asyncio.sleep(random.uniform(0.1, min(15.0, 0.2 * 2 ** min(failures, 7))))  # noqa: S311

    async def _list(self) -> str:
        params = {"labelSelector": self._labels} if self._labels else {}
        objects, version = await self._kube.listed(self._kind, self._namespace, **params)
        found = {_key(o): _slim(o) for o in objects}
        before, self.items = self.items, found
        self._current_at = time.monotonic()
        self.ready.set()
        for key in before.keys() | found.keys():
            old, new = before.get(key), found.get(key)
            if old is None or new is None or _version(old) != _version(new):
                self._changed(new or old or {})
        return version

    async def _follow(self, version: str) -> None:
        """Watch from a version; a watch that the server ends is taken up again where it ended."""
        loop = asyncio.get_running_loop()
        self._connected = True
        try:
            while True:
                before, begun = version, time.monotonic()
                events = self._kube.watch(self._kind, self._namespace, version, SERVER_SECONDS, self._labels)
                async with asyncio.timeout(IDLE_SECONDS) as dog:
                    async for event in events:
                        dog.reschedule(loop.time() + IDLE_SECONDS)
                        self._current_at = time.monotonic()
                        version = _version(event["object"])
                        if event["type"] != "BOOKMARK":
                            self._take(event["type"], event["object"])
                if version == before and time.monotonic() - begun < QUICK_SECONDS:
                    raise RetryLater(f"The watch of {self._kind.plural} ended as soon as it began.")
        except GreenroomError:
            # Current until a moment ago, and no longer: from here the clock of `whole` runs.
            self._current_at = time.monotonic()
            raise
        finally:
            self._connected = False

    def _take(self, event: str, found: Object) -> None:
        if event == "DELETED":
            self.items.pop(_key(found), None)
        else:
            self.items[_key(found)] = _slim(found)
        self._changed(found)


def _key(found: Object) -> Key:
    metadata = found.get("metadata") or {}
    return metadata.get("namespace", ""), metadata.get("name", "")


def _version(found: Object) -> str:
    return str((found.get("metadata") or {}).get("resourceVersion", ""))


def _slim(found: Object) -> Object:
    """Without what nobody reads and that is most of the size."""
    (found.get("metadata") or {}).pop("managedFields", None)
    (found.get("status") or {}).pop("history", None)
    return found
