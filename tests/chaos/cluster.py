"""A Kubernetes API server over HTTP, in a process of its own that outlives a killed Greenroom, with Argo CD inside.

It knows what the engine uses: lists and watches with resource versions, server-side apply and merge patches with
preconditions, deletion with finalizers. Start it with `python -m chaos.cluster FOLDER`; it writes `FOLDER/cluster.json` and a
kubeconfig.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import random
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from greenroom.asgi_server import running

Object = dict[str, Any]
Place = tuple[str, str, str]
KEPT_EVENTS = 5000
BOOKMARK_SECONDS = 5.0


class Refused(Exception):
    """An answer of the API that is an error."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message}
        self.status["code"] = str(code)


@dataclass(slots=True)
class Store:
    """The objects by plural, namespace and name, and every change of them in order."""

    objects: dict[Place, Object] = field(default_factory=dict)
    events: list[tuple[int, str, str, Object]] = field(default_factory=list)
    version: int = 1000
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: list[Callable[[str, Object], None]] = field(default_factory=list)

    def put(self, plural: str, body: Object) -> Object:
        """Make or change an object; one that stays as it is keeps its version."""
        made = copy.deepcopy(body)
        metadata = made["metadata"]
        place = (plural, metadata.get("namespace", ""), metadata["name"])
        old = self.objects.get(place)
        if old is None:
            metadata["uid"] = str(uuid.uuid4())
            metadata["creationTimestamp"] = now()
        else:
            metadata |= {key: old["metadata"][key] for key in ("uid", "creationTimestamp", "resourceVersion")}
            if made == old:
                return copy.deepcopy(old)
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            return self.remove(place)
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        self.objects[place] = made
        self._tell(plural, "ADDED" if old is None else "MODIFIED", made)
        return copy.deepcopy(made)

    def remove(self, place: Place) -> Object:
        """Take an object away at once."""
        found = self.objects.pop(place)
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        self._tell(place[0], "DELETED", found)
        return found

    def delete(self, place: Place) -> Object:
        """Begin a deletion: what has finalizers stays until they are gone."""
        found = copy.deepcopy(self.objects[place])
        if found["metadata"].get("finalizers"):
            found["metadata"].setdefault("deletionTimestamp", now())
            return self.put(place[0], found)
        return self.remove(place)

    def of(self, plural: str, namespace: str = "") -> list[Object]:
        return [o for (p, n, _), o in self.objects.items() if p == plural and namespace in ("", n)]

    def _tell(self, plural: str, kind: str, found: Object) -> None:
        self.events.append((self.version, plural, kind, copy.deepcopy(found)))
        del self.events[:-KEPT_EVENTS]
        for listener in self.listeners:
            listener(plural, found)
        self.changed.set()
        self.changed = asyncio.Event()


class Server:
    """The ASGI application. `trouble` maps what goes wrong to its chance for each request."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self.store = store
        self.trouble: dict[str, float] = {}
        self._chance = chance
        self._forgotten = 0

    def forget(self) -> None:
        """Compact: no watch can go on from before now."""
        self._forgotten = self.store.version

    def happens(self, name: str) -> bool:
        return self._chance.random() < self.trouble.get(name, 0.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body = await request.body()
        query = {k: v[-1] for k, v in parse_qs(scope["query_string"].decode()).items()}
        plural, namespace, name, more = _place(scope["path"])
        if self.happens("slow"):
            await asyncio.sleep(self._chance.uniform(0.2, 1.5))
        if query.get("watch") == "true":
            await self._watch(plural, namespace, query, send)
            return
        try:
            if self.happens("errors"):
                raise Refused(self._chance.choice((500, 503, 429)), "InternalError", "the server is not ready")
            if more == "log":
                await _text(send, "the last line\n")
                return
            answer = self._answer(request.method, (plural, namespace, name), query, body, scope["headers"])
            lost = request.method != "GET" and self.happens("lost-answers")
            await (_cut(send) if lost or self.happens("cuts") else _json(send, 200, answer))
        except Refused as error:
            await _json(send, error.code, error.status)

    def _answer(self, method: str, place: Place, query: dict[str, str], body: bytes, headers: Any) -> Object:
        if method == "GET" and not place[2]:
            return self._listed(place[0], place[1], query)
        if method == "POST":
            return self._created(place, json.loads(body))
        found = self.store.objects.get(place)
        if method in ("PATCH", "PUT", "DELETE") and found and place[0] != "leases" and self.happens("conflicts"):
            self._touched(place)  # somebody else was faster
            found = self.store.objects.get(place)
        kind = dict(headers).get(b"content-type", b"")
        if method == "PATCH" and b"apply-patch" in kind:
            return self._applied(place, json.loads(body))
        if found is None:
            raise Refused(404, "NotFound", f'{place[0]} "{place[2]}" not found')
        match method:
            case "GET":
                return found
            case "PATCH":
                return self._merged(place, json.loads(body))
            case "PUT":
                return self._replaced(place, json.loads(body))
            case "DELETE":
                return self._deleted(place, json.loads(body or b"{}"))
        raise Refused(405, "MethodNotAllowed", method)

    def _touched(self, place: Place) -> None:
        found = copy.deepcopy(self.store.objects[place])
        found.setdefault("status", {})["touched"] = self.store.version
        self.store.put(place[0], found)

    def _listed(self, plural: str, namespace: str, query: dict[str, str]) -> Object:
        items = [o for o in self.store.of(plural, namespace) if _matches(o, query.get("labelSelector", ""))]
        return {"kind": "List", "metadata": {"resourceVersion": str(self.store.version)}, "items": items}

    def _created(self, place: Place, body: Object) -> Object:
        name = body["metadata"]["name"]
        if (place[0], place[1], name) in self.store.objects:
            raise Refused(409, "AlreadyExists", f"{name} exists")
        return self.store.put(place[0], body)

    def _applied(self, place: Place, body: Object) -> Object:
        old = self.store.objects.get(place, {})
        _current(old, body)
        return self.store.put(place[0], merged(old, body))

    def _merged(self, place: Place, body: Object) -> Object:
        old = self.store.objects[place]
        _current(old, body)
        return self.store.put(place[0], merged(old, body))

    def _replaced(self, place: Place, body: Object) -> Object:
        _current(self.store.objects[place], body)
        return self.store.put(place[0], body)

    def _deleted(self, place: Place, body: Object) -> Object:
        found, wanted = self.store.objects[place]["metadata"], body.get("preconditions") or {}
        for key in ("uid", "resourceVersion"):
            if wanted.get(key) not in (None, found[key]):
                raise Refused(409, "Conflict", f"the {key} is {found[key]}, not {wanted[key]}")
        return self.store.delete(place)

    # --- watching ---

    async def _watch(self, plural: str, namespace: str, query: dict[str, str], send: Send) -> None:
        store, version = self.store, int(query.get("resourceVersion") or 0)
        loop = asyncio.get_running_loop()
        end = loop.time() + float(query.get("timeoutSeconds") or 60)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        oldest = store.events[0][0] - 1 if len(store.events) == KEPT_EVENTS else 0
        if version < max(oldest, self._forgotten):
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            await _line(send, {"type": "ERROR", "object": gone})
            await send({"type": "http.response.body", "body": b""})
            return
        marked = loop.time()
        while loop.time() < end:
            news = store.changed
            for at, kind_of, kind, found in [e for e in store.events if e[0] > version]:
                version = at
                mine = kind_of == plural and namespace in ("", found["metadata"].get("namespace", ""))
                if mine and _matches(found, query.get("labelSelector", "")):
                    await _line(send, {"type": kind, "object": found})
            if self.happens("cuts"):
                await _line(send, None)
                return
            if loop.time() - marked > BOOKMARK_SECONDS:
                marked = loop.time()
                await _line(send, {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await news.wait()
        await send({"type": "http.response.body", "body": b""})


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merged(old: Object, new: Object) -> Object:
    """A merge patch: null takes a key away, lists are whole."""
    result = copy.deepcopy(old)
    for key, value in new.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            before = result.get(key)
            result[key] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _current(old: Object, body: Object) -> None:
    wanted = (body.get("metadata") or {}).get("resourceVersion")
    if old and wanted not in (None, old["metadata"]["resourceVersion"]):
        raise Refused(409, "Conflict", "the object has been modified; please apply your changes to the latest version")


def _place(path: str) -> tuple[str, str, str, str]:
    """Plural, namespace, name and subresource of a path."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    plural, name, more = [*parts, "", ""][:3]
    return plural, namespace, name, more


def _matches(found: Object, selector: str) -> bool:
    wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in wanted.items())


async def _json(send: Send, code: int, answer: Object) -> None:
    await send({"type": "http.response.start", "status": code, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


async def _text(send: Send, text: str) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode()})


async def _line(send: Send, event: Object | None) -> None:
    """One event of a watch; None breaks off in the middle of one."""
    body = json.dumps(event).encode() + b"\n" if event else b'{"type": "MODI'
    await send({"type": "http.response.body", "body": body, "more_body": event is not None})


async def _cut(send: Send) -> None:
    """End the connection in the middle of an answer."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100000")]})
    await send({"type": "http.response.body", "body": b"{"})


def kubeconfig(url: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "greenroom", "user": {"token": "a-token"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "greenroom"}}],
        "current-context": "fake",
    }


def ended_with(parent: TextIO) -> None:
    """End this process as soon as the one that started it does."""

    def wait() -> None:
        parent.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


async def run(folder: Path, order: Object) -> None:
    """Serve until the process is ended."""
    from chaos.argo import ArgoCD, control, ingress

    chance = random.Random(order["seed"])
    store = Store()
    server = Server(store, chance)
    argo = ArgoCD(store, server, chance, order["plugin"], order["token"])
    async with running(server) as api, running(ingress(argo)) as web, running(control(argo)) as orders:
        (folder / "kubeconfig").write_text(json.dumps(kubeconfig(api)))
        (folder / "cluster.new").write_text(json.dumps({"api": api, "ingress": web, "control": orders}))
        (folder / "cluster.new").rename(folder / "cluster.json")
        await argo.run()


if __name__ == "__main__":
    order = json.loads(sys.stdin.readline())
    ended_with(sys.stdin)
    asyncio.run(run(Path(sys.argv[1]), order))
