"""The Kubernetes API in the few verbs that Greenroom needs, over the one HTTP stack.

Configuration, tokens and certificates are lightkube's; the verbs are ours because its watch ends on a refused
reconnect, its delete takes no preconditions, and its objects are typed where ours are Argo CD's.
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from greenroom.errors import Doubt, Failed, FixConfiguration, FixCredentials, Mistake, RetryLater

Object = dict[str, Any]
Writing = Callable[[], AbstractAsyncContextManager[None]]
MANAGER = "greenroom"
PAGE = 500
TIMEOUT = httpx2.Timeout(10, read=30)
LOG_BYTES = 64 * 1024


class Conflict(Doubt):
    """Somebody else changed the object, or it is another one than was meant."""


class Expired(Doubt):
    """The version that a watch wanted to go on from is too old: list again."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource of the API: its group and version (`v1`, `apps/v1`), and its plural name."""

    version: str
    plural: str

    def path(self, namespace: str = "", name: str = "") -> str:
        """The path of a collection, of all namespaces when none is given, or of one object."""
        root = f"/api/{self.version}" if "/" not in self.version else f"/apis/{self.version}"
        where = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{where}/{self.plural}" + (f"/{name}" if name else "")


APPLICATIONS = Kind("argoproj.io/v1alpha1", "applications")
APPLICATION_SETS = Kind("argoproj.io/v1alpha1", "applicationsets")
LEASES = Kind("coordination.k8s.io/v1", "leases")
NAMESPACES = Kind("v1", "namespaces")
PODS = Kind("v1", "pods")
EVENTS = Kind("v1", "events")
CLAIMS = Kind("v1", "persistentvolumeclaims")
VOLUMES = Kind("v1", "persistentvolumes")
INGRESSES = Kind("networking.k8s.io/v1", "ingresses")


class Kube:
    """One cluster, as one account. Errors are `errors.*`; None is what the API itself says does not exist.

    Each write is made within a `writing`, which may refuse it and cut it off.
    """

    def __init__(self, client: httpx2.AsyncClient, writing: Writing = nullcontext) -> None:
        self._client = client
        self._writing = writing

    @classmethod
    def open(cls, kubeconfig: str) -> Kube:
        """A client from a kubeconfig file, or from the pod's own ServiceAccount when that is empty."""
        try:
            from lightkube.config.client_adapter import AsyncClient, ConnectionParams
            from lightkube.config.kubeconfig import KubeConfig
        except ImportError:
            sentence = "`engine: argocd` needs the extra `cluster`, which is not installed."
            fix = "Install it: pip install 'greenroom[cluster]'."
            raise FixConfiguration(sentence, (Mistake("greenroom.yaml", "engine", sentence, fix),)) from None
        try:
            found = KubeConfig.from_file(Path(kubeconfig)) if kubeconfig else KubeConfig.from_service_account()
            config = found.get()
            if config is None or config.user is None:
                raise ValueError("it names no user")
            client = AsyncClient(config, ConnectionParams(timeout=TIMEOUT, trust_env=False))
        except Exception as error:  # lightkube's, PyYAML's, KeyError, OSError: all mean that the file is no use
            where = kubeconfig or "the pod's ServiceAccount"
            sentence = f"Kubernetes cannot be reached with {where} ({error})."
            fix = "Run in a pod, or name a file under `argocd.kubeconfig`."
            raise FixConfiguration(sentence, (Mistake("greenroom.yaml", "argocd.kubeconfig", sentence, fix),)) from None
        return cls(client)

    def within(self, writing: Writing) -> Kube:
        """The same cluster over the same connections, written to within that."""
        return Kube(self._client, writing)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, or None when the API says that it does not exist."""
        return await self._send("GET", kind.path(namespace, name), missing=True)

    async def listed(self, kind: Kind, namespace: str = "", **params: str) -> tuple[list[Object], str]:
        """All objects, every page, and the version of the list. Raises `Doubt` when a page cannot be trusted."""
        found: list[Object] = []
        query = {"limit": str(PAGE), **params}
        while True:
            page = await self._send("GET", kind.path(namespace), params=query)
            metadata = (page or {}).get("metadata") or {}
            if page is None or not isinstance(page.get("items"), list) or not metadata.get("resourceVersion"):
                raise Doubt(f"The list of {kind.plural} is not whole; it is read again.")
            found += page["items"]
            if not metadata.get("continue"):
                return found, str(metadata["resourceVersion"])
            query["continue"] = metadata["continue"]

    async def apply(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """Server-side apply as the owner of every field in `body`; `Conflict` when it names another version.

        With one that no object has, it makes the object or is refused.
        https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        params = {"fieldManager": MANAGER, "force": "true"}
        return await self._written("PATCH", kind.path(namespace, name), body, "application/apply-patch+yaml", params)

    async def merge(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """A merge patch."""
        params = {"fieldManager": MANAGER}
        return await self._written("PATCH", kind.path(namespace, name), body, "application/merge-patch+json", params)

    async def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        """A new object; `Conflict` when it exists."""
        return await self._written("POST", kind.path(namespace), body, "application/json", {})

    async def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """The whole object; `Conflict` when its version is no longer the present one."""
        return await self._written("PUT", kind.path(namespace, name), body, "application/json", {})

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str, version: str = "") -> None:
        """Begin the deletion of that very object, in that version if one is named; none when it is gone.

        `Conflict` when it is another one.
        """
        preconditions = {"uid": uid, **({"resourceVersion": version} if version else {})}
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
        path = kind.path(namespace, name)
        async with self._writing():
            await self._send("DELETE", path, content=json.dumps(body), missing=True)

    async def logs(self, namespace: str, pod: str, container: str, lines: int, *, previous: bool = False) -> list[str]:
        """The last lines that a container wrote; none when they cannot be had."""
        params = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        params["limitBytes"] = str(LOG_BYTES)  # a line may be as long as its writer likes
        path = f"{PODS.path(namespace, pod)}/log"
        try:
            response = await self._client.get(path, params=params)
        except httpx2.HTTPError:
            return []
        return response.text.splitlines()[-lines:] if response.status_code == 200 else []

    async def watch(self, kind: Kind, namespace: str, version: str, seconds: int, labels: str) -> AsyncIterator[Object]:
        """Events since a version, `{"type": ..., "object": ...}`, until the server ends it; `Expired`: list again."""
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
                # Events end in \n only; aiter_lines would also cut at other line ends, which a container may write.
                async for chunk in response.aiter_bytes():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in filter(None, lines):
                        yield _event(line, kind)
                if rest:
                    yield _event(rest, kind)
        except httpx2.HTTPError as error:
            raise RetryLater(f"The watch of {kind.plural} was cut ({type(error).__name__}).") from None

    async def _written(
        self, method: str, path: str, body: Object, content_type: str, params: Mapping[str, str]
    ) -> Object:
        headers = {"content-type": content_type}
        async with self._writing():
            answer = await self._send(method, path, content=json.dumps(body), headers=headers, params=params)
        if answer is None:
            raise Doubt(f"Kubernetes answered {method} {path} with nothing.")
        return answer

    async def _send(self, method: str, path: str, *, missing: bool = False, **given: Any) -> Object | None:
        try:
            response = await self._client.request(method, path, **given)
        except httpx2.HTTPError as error:
            raise RetryLater(f"Kubernetes cannot be reached ({type(error).__name__}: {error}).") from None
        if response.status_code == 404 and missing and _status(response).get("reason") == "NotFound":
            return None
        if response.status_code >= 300:
            raise _error(response, path)
        try:
            answer = response.json()
        except ValueError:
            raise Doubt(f"Kubernetes answered {method} {path} with something that is no JSON.") from None
        if not isinstance(answer, dict):
            raise Doubt(f"Kubernetes answered {method} {path} with something that is no object.")
        return answer


def _event(line: bytes, kind: Kind) -> Object:
    try:
        event = json.loads(line)
    except ValueError:
        raise RetryLater(f"The watch of {kind.plural} was cut in the middle of an event.") from None
    if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
        raise RetryLater(f"The watch of {kind.plural} gave something that is no event.")
    if event.get("type") == "ERROR":
        # 410 Gone comes inside a watch that was answered 200.
        raise Expired(f"The watch of {kind.plural} ended: {event['object'].get('message', 'without a reason')}.")
    return event


def _status(response: httpx2.Response) -> Object:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def _error(response: httpx2.Response, what: str) -> Exception:
    code, status = response.status_code, _status(response)
    message = str(status.get("message") or response.reason_phrase or "without a reason").strip().rstrip(".")
    if code == 401:
        return FixCredentials(f"Kubernetes does not know our token ({message}). Mount the ServiceAccount's own.")
    if code == 403:
        return FixCredentials(f"Kubernetes refuses: {message}. Compare the roles and policies of charts/greenroom.")
    if code == 409:
        return Conflict(f"Kubernetes refuses {what}: {message}.")
    if code == 410:
        return Expired(f"The version asked for is too old: {message}.")
    if code == 422 or (code == 500 and "typed patch" in message):
        return Failed(f"Kubernetes does not take what we send for {what}: {message}.")
    if code == 429 or code >= 500:
        return RetryLater(f"Kubernetes is not ready for {what} ({code}: {message}).")
    return Doubt(f"Kubernetes answered {what} with {code}: {message}.")
