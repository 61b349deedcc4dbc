"""As much of Argo CD, of controllers and of a node as the life of a preview needs, inside the fake API server's process.

The ApplicationSet controller asks the plugin for specs, makes and changes Applications, never deletes one, and takes the
refresh annotation off at the end of its pass. Applications are synced into a namespace with pods; a deleted one takes its
namespace along before its finalizer goes.
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
import time
import uuid
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chaos.cluster import Object, Server, Store, now

REFRESH = "argocd.argoproj.io/application-set-refresh"
REPOSITORY_ID, NUMBER = "greenroom.dev/repository-id", "greenroom.dev/number"
TICK, REQUEUE_SECONDS, AGAIN_SECONDS = 0.05, 8.0, 0.5
OWNED = ("app.kubernetes.io/managed-by", "greenroom.dev/installation", "greenroom.dev/repository")


class ArgoCD:
    """The controllers. Each turn works on everything that is due; delays are drawn, so that steps interleave."""

    def __init__(self, store: Store, server: Server, chance: random.Random, plugin: str, token: str) -> None:
        self.store = store
        self.server = server
        self.given: dict[str, Object] = {}
        self._chance = chance
        self._plugin = f"{plugin}/api/v1/getparams.execute"
        self._token = token
        self._asks: dict[str, asyncio.Task[None]] = {}
        self._due: dict[str, float] = {}
        self._synced: dict[str, tuple[str, float]] = {}
        self._ready_at: dict[str, float] = {}

    async def run(self) -> None:
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            while True:
                await asyncio.sleep(TICK)
                if not self.server.trouble.get("argo-away"):
                    self._application_sets(client)
                    for application in self.store.of("applications"):
                        self._application(application)
                for namespace in self.store.of("namespaces"):
                    self._namespace(namespace)
                self._pods()

    # --- the ApplicationSet controller ---

    def _application_sets(self, client: httpx2.AsyncClient) -> None:
        for found in self.store.of("applicationsets"):
            name = found["metadata"]["name"]
            wants = REFRESH in (found["metadata"].get("annotations") or {})
            due = self._due.get(name, 0.0) <= time.monotonic()
            asking = name in self._asks and not self._asks[name].done()
            if asking or not (due or (wants and self._due[name] - time.monotonic() > AGAIN_SECONDS)):
                continue
            self._due[name] = time.monotonic() + REQUEUE_SECONDS
            self._asks[name] = asyncio.create_task(self._reconcile(client, name, found["metadata"]["namespace"]))

    async def _reconcile(self, client: httpx2.AsyncClient, name: str, where: str) -> None:
        headers = {"authorization": f"Bearer {self._token}"}
        try:
            answer = await client.post(self._plugin, json={"applicationSetName": name, "input": {}}, headers=headers)
            entries = answer.json()["output"]["parameters"] if answer.status_code == 200 else None
        except (httpx2.HTTPError, ValueError, KeyError):
            entries = None
        if entries is None:
            self._due[name] = time.monotonic() + AGAIN_SECONDS
            return
        await asyncio.sleep(self._chance.uniform(0, 0.2))
        place = ("applicationsets", where, name)
        if place not in self.store.objects:
            return
        template = self.store.objects[place]["spec"]["template"]
        for spec in entries:
            self._made(where, template, spec)
        current = copy.deepcopy(self.store.objects[place])
        (current["metadata"].get("annotations") or {}).pop(REFRESH, None)
        self.store.put("applicationsets", current)

    def _made(self, where: str, template: Object, spec: Object) -> None:
        """Make or change the Application of one spec; what people set by hand stays."""
        filled = _filled(template, spec)
        name = filled["metadata"]["name"]
        old = self.store.objects.get(("applications", where, name))
        made: Object = copy.deepcopy(old) if old else {"metadata": {"name": name, "namespace": where}}
        made |= {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "spec": filled["spec"]}
        made["metadata"]["labels"] = filled["metadata"].get("labels", {})
        made["metadata"]["annotations"] = filled["metadata"].get("annotations", {})
        if not made["metadata"].get("deletionTimestamp"):
            made["metadata"]["finalizers"] = list(filled["metadata"].get("finalizers", ()))
        self.store.put("applications", made)

    # --- the application controller ---

    def _application(self, found: Object) -> None:
        metadata, spec = found["metadata"], found["spec"]
        namespace = spec["destination"]["namespace"]
        if metadata.get("deletionTimestamp"):
            self._let_go(found, namespace)
            return
        if not (spec.get("syncPolicy") or {}).get("automated"):
            return
        uid, wanted = metadata["uid"], str(spec["source"]["helm"]["values"])
        known, at = self._synced.get(uid, ("", 0.0))
        if known != wanted:
            self._synced[uid] = (wanted, time.monotonic() + self._chance.uniform(0.05, 0.6))
        elif at and at <= time.monotonic():
            space = self.store.objects.get(("namespaces", "", namespace))
            if space is not None and space["metadata"].get("deletionTimestamp"):
                return  # one of before is still going
            self._sync(found, namespace, json.loads(wanted))
            self._synced[uid] = (wanted, 0.0)

    def _let_go(self, found: Object, namespace: str) -> None:
        place = ("namespaces", "", namespace)
        space = self.store.objects.get(place)
        mine = space is not None and space["metadata"]["annotations"].get("of") == found["metadata"]["uid"]
        if space is not None and mine:
            if not space["metadata"].get("deletionTimestamp"):
                self.store.delete(place)
            return
        gone = copy.deepcopy(found)
        gone["metadata"]["finalizers"] = []
        self.store.put("applications", gone)

    def _sync(self, found: Object, namespace: str, values: Object) -> None:
        metadata = found["metadata"]
        labels = {k: v for k, v in metadata["labels"].items() if k in (*OWNED, REPOSITORY_ID, NUMBER)}
        annotations = {"of": metadata["uid"]}
        space = {
            "metadata": {"name": namespace, "labels": labels, "annotations": annotations, "finalizers": ["kubernetes"]}
        }
        self.store.put("namespaces", {**space, "status": {"phase": "Active"}})
        wanted = {} if values["preview"]["asleep"] else values["services"]
        for name, service in ((n, s) for n, s in wanted.items() if s["image"]):
            for process in service["processes"]:
                self._pod(namespace, labels, name, process, service)
        for pod in self.store.of("pods", namespace):
            if pod["metadata"]["labels"]["app.kubernetes.io/name"] not in wanted:
                self.store.remove(("pods", namespace, pod["metadata"]["name"]))
        self._operated(found)

    def _operated(self, found: Object) -> None:
        done = copy.deepcopy(found)
        operation = {"phase": "Succeeded", "startedAt": now(), "syncResult": {"source": found["spec"]["source"]}}
        done["status"] = {"operationState": operation, "resources": [], "sync": {"status": "Synced"}}
        self.store.put("applications", done)

    def _pod(self, namespace: str, labels: Object, name: str, process: str, service: Object) -> None:
        kinds = {
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/component": process,
            "greenroom.dev/role": "service",
        }
        made_from = {"greenroom.dev/revision": service["revision"], "greenroom.dev/sha": service["sha"]}
        for pod in self.store.of("pods", namespace):
            old = pod["metadata"]
            if old["labels"]["app.kubernetes.io/name"] == name and old["annotations"] == made_from:
                return
        pod_name = f"{name}-{process}-{uuid.UUID(int=self._chance.getrandbits(128)).hex[:8]}"
        waiting = {"name": process, "ready": False, "restartCount": 0, "image": service["image"], "state": {}}
        made = self.store.put(
            "pods",
            {
                "metadata": {
                    "name": pod_name,
                    "namespace": namespace,
                    "labels": {**labels, **kinds},
                    "annotations": made_from,
                },
                "spec": {"containers": [{"name": process, "image": service["image"]}]},
                "status": {"phase": "Pending", "conditions": [], "containerStatuses": [waiting]},
            },
        )
        self.given[made["metadata"]["uid"]] = service
        self._ready_at[made["metadata"]["uid"]] = time.monotonic() + self._chance.uniform(0.05, 0.6)

    # --- the node, and the namespace controller ---

    def _pods(self) -> None:
        for pod in self.store.of("pods"):
            at = self._ready_at.get(pod["metadata"]["uid"])
            if at is not None and at <= time.monotonic():
                del self._ready_at[pod["metadata"]["uid"]]
                self._started(copy.deepcopy(pod))

    def _started(self, pod: Object) -> None:
        """The pod serves, and those of before go; the pod of a commit that cannot start crashes."""
        metadata, [container] = pod["metadata"], pod["status"]["containerStatuses"]
        if metadata["annotations"]["greenroom.dev/sha"].startswith("bad"):
            ended = {"exitCode": 1, "reason": "Error", "startedAt": now(), "finishedAt": now()}
            container |= {"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
            container["lastState"] = {"terminated": ended}
            self.store.put("pods", pod)
            return
        container |= {
            "ready": True,
            "state": {"running": {"startedAt": now()}},
            "containerID": f"x://{metadata['uid']}",
        }
        pod["status"]["phase"] = "Running"
        pod["status"]["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": now()}]
        self.store.put("pods", pod)
        for other in self.store.of("pods", metadata["namespace"]):
            theirs = other["metadata"]
            same = theirs["labels"]["app.kubernetes.io/name"] == metadata["labels"]["app.kubernetes.io/name"]
            if same and theirs["uid"] != metadata["uid"]:
                self.store.remove(("pods", metadata["namespace"], theirs["name"]))

    def _namespace(self, found: Object) -> None:
        metadata = found["metadata"]
        if not metadata.get("deletionTimestamp") or self._chance.random() > 0.2:
            return
        for pod in self.store.of("pods", metadata["name"]):
            self.store.remove(("pods", metadata["name"], pod["metadata"]["name"]))
        gone = copy.deepcopy(found)
        gone["metadata"]["finalizers"] = []
        self.store.put("namespaces", gone)

    # --- looking from outside ---

    def objects(self) -> list[Object]:
        """Applications and namespaces of previews, with how many pods each has."""
        found = []
        for plural, kind in (("applications", "Application"), ("namespaces", "namespace")):
            for one in self.store.of(plural):
                labels, name = one["metadata"].get("labels") or {}, one["metadata"]["name"]
                if labels.get(NUMBER) and labels.get(REPOSITORY_ID):
                    key = {"repo": int(labels[REPOSITORY_ID]), "number": int(labels[NUMBER])}
                    pods = len(
                        self.store.of("pods", one["spec"]["destination"]["namespace"] if "spec" in one else name)
                    )
                    found.append({**key, "kind": kind, "name": name, "uid": one["metadata"]["uid"], "pods": pods})
        return found

    def answer(self, host: str) -> Object | None:
        """What the pod behind a host answers."""
        for pod in self.store.of("pods"):
            service = self.given[pod["metadata"]["uid"]]
            if service["host"] == host and pod["status"]["conditions"]:
                links = {target: link["url"] for target, link in service["links"].items()}
                return {"commit": service["sha"], "links": links}
        return None


def _filled(value: Any, spec: Object) -> Any:
    """A template of an ApplicationSet with the fields of a spec: `{{ .field }}` and `{{ toJson .field }}`."""
    if isinstance(value, dict):
        return {key: _filled(inner, spec) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, spec) for inner in value]
    if not isinstance(value, str) or not value.startswith("{{ "):
        return value
    words = value.removeprefix("{{ ").removesuffix(" }}").split()
    found = spec[words[-1].removeprefix(".")]
    return json.dumps(found) if words[0] == "toJson" else found


def ingress(argo: ArgoCD) -> Starlette:
    """The cluster's ingress: pages of previews by host."""

    async def page(request: Request) -> Response:
        found = argo.answer(request.headers.get("host", ""))
        return JSONResponse(found) if found else JSONResponse({}, 404)

    return Starlette(routes=[Route("/{path:path}", page)])


def control(argo: ArgoCD) -> Starlette:
    """Where the driver looks, and orders trouble."""

    async def look(request: Request) -> Response:
        return JSONResponse({"objects": argo.objects()})

    async def trouble(request: Request) -> Response:
        argo.server.trouble = await request.json()
        if argo.server.trouble.get("forgets"):
            argo.server.forget()
        return JSONResponse({})

    return Starlette(routes=[Route("/look", look), Route("/trouble", trouble, methods=["POST"])])
