"""A Kubernetes API in memory, and as much of Argo CD's ApplicationSet controller as the engine's four verbs meet."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from greenroom.argocd.applicationset import REFRESH
from greenroom.argocd.client import (
    APPLICATION_SETS,
    APPLICATIONS,
    LEASES,
    NAMESPACES,
    PODS,
    Conflict,
    Kind,
    LogText,
    Object,
    Vanished,
    Writing,
)
from greenroom.errors import Doubt, GreenroomError, RetryLater

Rows = list[dict[str, Any]] | None


@dataclass
class FakeKube:
    """The verbs of `Kube`. `broken` makes the next writes fail with that error."""

    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    deleted: list[tuple[str, str]] = field(default_factory=list)
    broken: GreenroomError | None = None
    reads: int = 0
    _applied: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    _versions: itertools.count[int] = field(default_factory=lambda: itertools.count(100))
    _watchers: list[tuple[str, asyncio.Queue[Object]]] = field(default_factory=list)
    on_change: Callable[[str, Object], None] = lambda plural, found: None
    wrote: Callable[..., Awaitable[LogText | None]] | None = None

    async def aclose(self) -> None:
        return None

    def within(self, writing: Writing) -> Connection:
        return Connection(self, writing)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        self.reads += 1
        return copy.deepcopy(self.objects.get((kind.plural, namespace, name)))

    async def listed(self, kind: Kind, namespace: str = "", **params: str) -> tuple[list[Object], str]:
        self.reads += 1
        found = [
            copy.deepcopy(o)
            for (plural, where, _), o in self.objects.items()
            if plural == kind.plural and (not namespace or where == namespace) and _matches(o, params)
        ]
        return found, str(next(self._versions))

    async def apply(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        self.writing(kind, name)
        name, _, subresource = name.partition("/")
        if subresource and (kind.plural, namespace, name) not in self.objects:
            raise Doubt(f"{name} was not found.")
        if subresource:  # only that part of the object may change
            return self.put(kind.plural, {**self.objects[(kind.plural, namespace, name)], "status": body["status"]})
        old = self.objects.get((kind.plural, namespace, name), {})
        wanted = body["metadata"].get("resourceVersion")
        if old and wanted not in (None, old["metadata"]["resourceVersion"]):
            raise Conflict("the object has been modified")
        before = self._applied.get((kind.plural, namespace, name), {}) if old else {}
        self._applied[kind.plural, namespace, name] = copy.deepcopy(body)
        return self.put(kind.plural, _merged(_without(old, before, body), body))

    async def merge(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        self.writing(kind, name)
        old = self.objects.get((kind.plural, namespace, name))
        if old is None:
            raise Doubt(f"{name} does not exist")
        return self.put(kind.plural, _merged(old, body))

    async def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        self.writing(kind, body["metadata"]["name"])
        if (kind.plural, namespace, body["metadata"]["name"]) in self.objects:
            raise Conflict("it exists")
        return self.put(kind.plural, body)

    async def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        self.writing(kind, name)
        old = self.objects.get((kind.plural, namespace, name))
        if old is None:
            raise Vanished(f"{name} no longer exists")
        if body["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            raise Conflict("somebody was faster")
        return self.put(kind.plural, body)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str, version: str = "") -> None:
        found = self.objects.get((kind.plural, namespace, name))
        if found is None:
            return
        if found["metadata"]["uid"] != uid or version not in ("", found["metadata"]["resourceVersion"]):
            raise Conflict("another uid, or another version")
        self.remove(kind.plural, namespace, name)
        self.deleted.append((kind.plural, name))

    async def logs(self, *args: object, **more: object) -> list[str]:
        return ["the last line"]

    async def log_since(self, *args: str | int) -> LogText | None:
        return await self.wrote(*args) if self.wrote else None

    async def watch(self, kind: Kind, namespace: str, version: str, seconds: int, labels: str) -> AsyncIterator[Object]:
        queue: asyncio.Queue[Object] = asyncio.Queue()
        self._watchers.append((kind.plural, queue))
        while True:
            yield await queue.get()

    # --- what others do ---

    def put(self, plural: str, body: Object) -> Object:
        """An object comes or changes."""
        made = copy.deepcopy(body)
        metadata = made["metadata"]
        metadata["resourceVersion"] = str(next(self._versions))
        metadata.setdefault("uid", f"uid-{metadata['resourceVersion']}")
        metadata.setdefault("creationTimestamp", "2026-11-01T10:00:00Z")
        before = self.objects.get((plural, metadata.get("namespace", ""), metadata["name"]), {})
        same = before.get("spec") == made.get("spec")
        metadata["generation"] = before.get("metadata", {}).get("generation", 0) + (not same or not before)
        self.objects[(plural, metadata.get("namespace", ""), metadata["name"])] = made
        self._tell(plural, "MODIFIED", made)
        self.on_change(plural, made)
        return copy.deepcopy(made)

    def remove(self, plural: str, namespace: str, name: str) -> None:
        found = self.objects.pop((plural, namespace, name))
        self._tell(plural, "DELETED", found)

    def _tell(self, plural: str, event: str, found: Object) -> None:
        for watched, queue in self._watchers:
            if watched == plural:
                queue.put_nowait({"type": event, "object": copy.deepcopy(found)})

    def writing(self, kind: Kind, name: str) -> None:
        """Something is written now."""
        if self.broken:
            raise self.broken


class Connection:
    """One client's way to a cluster, each write within a context as `Kube.within` says. `cut`: nothing comes through.

    While `late` is not set, writes of the engine are on their way; those that `arrives` says do so although their
    sender has given up.
    """

    def __init__(self, kube: Any, writing: Writing = nullcontext) -> None:
        self.cut = False
        self.late: asyncio.Event | None = None
        self.arrives = False
        self.begun = asyncio.Event()
        self._sent: list[asyncio.Task[Any]] = []
        self._kube = kube
        self._writing = writing

    def within(self, writing: Writing) -> Connection:
        return Connection(self, writing)

    async def arrive(self) -> None:
        """What was on its way arrives now; whether it is taken is the cluster's business."""
        assert self.late is not None
        self.late.set()
        await asyncio.gather(*self._sent, return_exceptions=True)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._kube, name)
        if name == "aclose" or not asyncio.iscoroutinefunction(call):
            return call
        return self._write(call) if name in ("apply", "merge", "create", "replace", "delete") else self._read(call)

    def _read(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def read(*given: Any, **more: Any) -> Any:
            if self.cut:
                raise RetryLater("Kubernetes cannot be reached.")
            return await call(*given, **more)

        return read

    def _write(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def late(*given: Any) -> Any:
            assert self.late is not None
            self.begun.set()
            await self.late.wait()
            return await call(*given)

        async def written(*given: Any) -> Any:
            async with self._writing():
                if self.late is None or given[0] == LEASES:
                    return await self._read(call)(*given)
                if not self.arrives:
                    return await late(*given)
                self._sent.append(asyncio.create_task(late(*given)))
                return await asyncio.shield(self._sent[-1])

        return written


@dataclass
class FakeArgo:
    """Argo CD's part: asks for the specs of a set that wants a refresh, makes Applications, takes the annotation off."""

    kube: FakeKube
    ask: Callable[[str], Rows]
    deletes: bool = False
    asleep: bool = False
    asked: list[str] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            for (plural, _, name), found in list(self.kube.objects.items()):
                if plural == APPLICATION_SETS.plural and REFRESH in (found["metadata"].get("annotations") or {}):
                    self._reconcile(name, found)

    def _reconcile(self, name: str, found: Object) -> None:
        if self.asleep:
            return
        self.asked.append(name)
        try:
            entries = self.ask(name)
        except Doubt:
            return
        if entries is None:
            return
        where = found["metadata"]["namespace"]
        for spec in entries:
            self.application(where, found, spec)
        if self.deletes:
            kept = {r["name"] for r in entries}
            for plural, namespace, other in list(self.kube.objects):
                if plural == APPLICATIONS.plural and other not in kept and other.startswith(name):
                    self.kube.remove(plural, namespace, other)
        current = copy.deepcopy(self.kube.objects[(APPLICATION_SETS.plural, where, name)])
        del current["metadata"]["annotations"][REFRESH]
        self.kube.put(APPLICATION_SETS.plural, current)

    def application(self, where: str, found: Object, spec: dict[str, Any]) -> None:
        template = found["spec"]["template"]
        filled = {"{{ .repository }}": spec.get("repository"), "{{ .repositoryId }}": spec.get("repositoryId")}
        filled["{{ .number }}"] = spec.get("number")
        labels = {k: filled.get(v, v) for k, v in template["metadata"]["labels"].items()}
        old = self.kube.objects.get((APPLICATIONS.plural, where, spec["name"]), {})
        made = _merged(
            old,
            {
                "metadata": {
                    "name": spec["name"],
                    "namespace": where,
                    "labels": labels,
                    "annotations": {"greenroom.dev/row": spec["row"]},
                },
                "spec": {"source": {"helm": {"values": str(spec["values"])}}},
            },
        )
        if made != old:
            self.kube.put(APPLICATIONS.plural, made)


def pod_of(namespace: str, name: str, labels: dict[str, str], **more: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": labels, **more.pop("metadata", {})}
    return {"metadata": metadata, "spec": {"containers": [{"image": "r/x@sha256:0"}]}, "status": more}


def namespace_of(name: str, labels: dict[str, str]) -> Object:
    return {"metadata": {"name": name, "labels": labels}, "status": {}}


KINDS = (APPLICATION_SETS, APPLICATIONS, NAMESPACES, PODS)


def _without(old: Object, before: Object, now: Object) -> Object:
    """The object without the fields that its owner applied before and no longer names."""
    kept = {k: v for k, v in old.items() if k in now or k not in before}
    for key, value in kept.items():
        if all(isinstance(each.get(key), dict) for each in (old, before, now)):
            kept[key] = _without(value, before[key], now[key])
    return kept


def _matches(found: Object, params: dict[str, str]) -> bool:
    wanted = dict(p.split("=", 1) for p in params.get("labelSelector", "").split(",") if p)
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(k) == v for k, v in wanted.items())


def _merged(old: Object, new: Object) -> Object:
    result = dict(old)
    for key, value in new.items():
        before = result.get(key)
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return result
