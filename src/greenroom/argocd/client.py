"""The Kubernetes API in the few verbs that Greenroom needs, over the one HTTP stack.

The verbs are our own, and not lightkube's. Its watch ends on a refused reconnect, its delete takes no preconditions,
and its objects are typed, while ours are Argo CD's.
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import httpx2

from greenroom.errors import Doubt, Failed, FixCredentials, RetryLater

Object = dict[str, Any]
Writing = Callable[[], AbstractAsyncContextManager[None]]
MANAGER = "greenroom"
PAGE = 500
TIMEOUT = httpx2.Timeout(10, read=30)
LOG_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogText:
    """The text that a container wrote. `cut` means that it wrote more."""

    text: str
    cut: bool = False


class Conflict(Doubt):
    """Another writer changed the object, or it is not the intended object."""


class Vanished(Doubt):
    """The object that was to be replaced no longer exists."""


class NoSuchKind(Doubt):
    """The cluster does not know this kind of object: its definition is not installed."""


class Expired(Doubt):
    """The version from which a watch was to continue is too old: list again."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource of the API: its group and version (`v1`, `apps/v1`), and its plural name."""

    version: str
    plural: str

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of a collection, in all namespaces when none is given, or of one object."""
        root = f"/api/{self.version}" if "/" not in self.version else f"/apis/{self.version}"
        where = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{where}/{self.plural}" + (f"/{name}" if name else "")


APPLICATIONS = Kind("argoproj.io/v1alpha1", "applications")
APPLICATION_SETS = Kind("argoproj.io/v1alpha1", "applicationsets")
LEASES = Kind("coordination.k8s.io/v1", "leases")
NAMESPACES = Kind("v1", "namespaces")
PODS = Kind("v1", "pods")
EVENTS = Kind("v1", "events")
JOBS = Kind("batch/v1", "jobs")
SERVICES = Kind("v1", "services")
VOLUMES = Kind("v1", "persistentvolumes")
PREVIEWS = Kind("greenroom.dev/v1alpha1", "previews")
PREVIEW_CONFIGS = Kind("greenroom.dev/v1alpha1", "previewconfigs")


class Kube:
    """One cluster, accessed with one account.

    Errors are `errors.*`. None means that the API itself reports that an object does not exist. Each write runs in a
    `writing` context, which may refuse it or cut it off.
    """

    def __init__(self, client: httpx2.AsyncClient, writing: Writing = nullcontext) -> None:
        self._client = client
        self._writing = writing

    def within(self, writing: Writing) -> Kube:
        """Return the same cluster over the same connections, with each write in this `writing` context."""
        return Kube(self._client, writing)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Return one object, or None when the API reports that it does not exist."""
        return await self._send("GET", kind.path(namespace, name), missing=True)

    async def listed(self, kind: Kind, namespace: str = "", **params: str) -> tuple[list[Object], str]:
        """Return all objects of all pages, and the version of the list. Raise `Doubt` when a page cannot be trusted."""
        found: list[Object] = []
        query = {"limit": str(PAGE), **params}
        while True:
            page = await self._send("GET", kind.path(namespace), params=query)
            metadata = (page or {}).get("metadata") or {}
            if page is None or not isinstance(page.get("items"), list) or not metadata.get("resourceVersion"):
                raise Doubt(f"The list of {kind.plural} is incomplete. Greenroom will read it again.")
            found += page["items"]
            if not metadata.get("continue"):
                return found, str(metadata["resourceVersion"])
            query["continue"] = metadata["continue"]

    async def apply(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """Apply an object server-side as the owner of every field in `body`.

        Raise `Conflict` when `body` names another version. With a version that no object has, the call creates the
        object or is rejected.
        https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        params = {"fieldManager": MANAGER, "force": "true"}
        return await self._written("PATCH", kind.path(namespace, name), body, "application/apply-patch+yaml", params)

    async def merge(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """Send a merge patch."""
        params = {"fieldManager": MANAGER}
        return await self._written("PATCH", kind.path(namespace, name), body, "application/merge-patch+json", params)

    async def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        """Create an object. Raise `Conflict` when it exists."""
        return await self._written("POST", kind.path(namespace), body, "application/json", {})

    async def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """Replace the whole object. Raise `Conflict` when its version is not current, and `Vanished` if it is gone."""
        headers, path = {"content-type": "application/json"}, kind.path(namespace, name)
        async with self._writing():
            answer = await self._send("PUT", path, content=json.dumps(body), headers=headers, missing=True)
        if answer is None:
            raise Vanished(f"{path} no longer exists.")
        return answer

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str, version: str = "") -> None:
        """Begin the deletion of this exact object, in this version if one is given. Ignore an object that is gone.

        Raise `Conflict` when the name belongs to a different object.
        """
        preconditions = {"uid": uid, **({"resourceVersion": version} if version else {})}
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
        path = kind.path(namespace, name)
        async with self._writing():
            await self._send("DELETE", path, content=json.dumps(body), missing=True)

    async def logs(self, namespace: str, pod: str, container: str, lines: int, *, previous: bool = False) -> list[str]:
        """Return the last lines that a container wrote; none when they are unavailable."""
        params = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        params["limitBytes"] = str(LOG_BYTES)  # a line has no maximum length
        path = f"{PODS.path(namespace, pod)}/log"
        try:
            response = await self._client.get(path, params=params)
        except httpx2.HTTPError:
            return []
        return response.text.splitlines()[-lines:] if response.status_code == 200 else []

    async def log_since(self, namespace: str, pod: str, container: str, since: str, limit: int) -> LogText | None:
        """Return the first `limit` bytes that a container has written since a time, from its start if `since` is empty.

        Return None when they are unavailable.
        """
        params = {"container": container, "limitBytes": str(limit), **({"sinceTime": since} if since else {})}
        try:
            response = await self._client.get(f"{PODS.path(namespace, pod)}/log", params=params)
        except httpx2.HTTPError:
            return None
        return LogText(response.text, len(response.content) >= limit) if response.status_code == 200 else None

    async def watch(self, kind: Kind, namespace: str, version: str, seconds: int, labels: str) -> AsyncIterator[Object]:
        """Yield events since a version, `{"type": ..., "object": ...}`, until the server ends the watch.

        Raise `Expired` when the version is too old: list again.
        """
        params = {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
            "allowWatchBookmarks": "true",
            "labelSelector": labels,
        }
        timeout = httpx2.Timeout(10, read=None)
        try:
            async with self._client.stream("GET", kind.path(namespace), params=params, timeout=timeout) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise _error(response, kind.plural)
                rest = b""
                # Only \n ends an event. aiter_lines would also split at other line ends, which a container may write.
                async for chunk in response.aiter_bytes():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in filter(None, lines):
                        yield _event(line, kind)
                if rest:
                    yield _event(rest, kind)
        except httpx2.HTTPError as error:
            raise RetryLater(f"The watch of {kind.plural} failed ({type(error).__name__}).") from None

    async def _written(
        self, method: str, path: str, body: Object, content_type: str, params: Mapping[str, str]
    ) -> Object:
        headers = {"content-type": content_type}
        async with self._writing():
            answer = await self._send(method, path, content=json.dumps(body), headers=headers, params=params)
        if answer is None:
            raise Doubt(f"Kubernetes returned an empty body for {method} {path}.")
        return answer

    async def _send(self, method: str, path: str, *, missing: bool = False, **given: Any) -> Object | None:
        try:
            response = await self._client.request(method, path, **given)
        except httpx2.HTTPError as error:
            raise RetryLater(f"The request to Kubernetes failed ({type(error).__name__}: {error}).") from None
        if response.status_code == 404 and missing and _status(response).get("reason") == "NotFound":
            return None
        if response.status_code >= 300:
            raise _error(response, path)
        try:
            answer = response.json()
        except ValueError:
            raise Doubt(f"Kubernetes returned invalid JSON for {method} {path}.") from None
        if not isinstance(answer, dict):
            raise Doubt(f"Kubernetes's response to {method} {path} is not a JSON object.")
        return answer


def _event(line: bytes, kind: Kind) -> Object:
    try:
        event = json.loads(line)
    except ValueError:
        raise RetryLater(f"The watch of {kind.plural} returned an event that is not valid JSON.") from None
    if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
        raise RetryLater(f"The watch of {kind.plural} returned an invalid event.")
    if event.get("type") == "ERROR":
        # 410 Gone arrives inside a watch whose response status is 200.
        raise Expired(f"The watch of {kind.plural} ended: {event['object'].get('message', 'no reason given')}.")
    return event


def _status(response: httpx2.Response) -> Object:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def _error(response: httpx2.Response, what: str) -> Exception:
    code, status = response.status_code, _status(response)
    message = str(status.get("message") or response.reason_phrase or "no reason given").strip().rstrip(".")
    if code == 401:
        return FixCredentials(
            f"Kubernetes rejected Greenroom's credentials ({message}). If Greenroom uses a kubeconfig file, renew the"
            " credentials in that file. Otherwise, mount the token of Greenroom's ServiceAccount."
        )
    if code == 403:
        return FixCredentials(
            f"Kubernetes denied the request: {message}. Compare Greenroom's roles and admission policies in the"
            " cluster with those in charts/greenroom."
        )
    if code == 404 and not status:  # the answer of a path that the API does not have
        return NoSuchKind(f"The Kubernetes API does not have {what}: {message}.")
    if code == 409:
        return Conflict(f"Kubernetes reported a conflict for {what}: {message}.")
    if code == 410:
        return Expired(f"The resource version or continue token in the request for {what} is too old: {message}.")
    if code == 422 or (code == 500 and "typed patch" in message):
        return Failed(f"Kubernetes rejected Greenroom's request for {what}: {message}.")
    if code == 429 or code >= 500:
        return RetryLater(f"Kubernetes could not process the request for {what} ({code}: {message}).")
    return Doubt(f"Kubernetes returned {code} for {what}: {message}.")
