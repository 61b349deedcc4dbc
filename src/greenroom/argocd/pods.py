"""The state of a preview's pods: the version that serves, the data that they hold, and the hosts that they call.

Pure functions of pods as the API returns them. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from greenroom.argocd.client import Object
from greenroom.core.linking.addresses import host_of
from greenroom.core.model.catalog import Process, ProcessKind, Service
from greenroom.core.model.engine import Life, Running
from greenroom.core.model.spec import PreviewSpec, Version
from greenroom.core.planning.chart_values import revision

SERVICE = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
ROLE = "greenroom.dev/role"
REVISION = "greenroom.dev/revision"
SHA = "greenroom.dev/sha"
STORAGE = "greenroom.dev/storage"
DATA_GENERATION = "greenroom.dev/data-generation"
MIGRATE = "migrate"
WAIT = "wait-"
PATIENCE = timedelta(seconds=60)


def ready(pod: Object) -> bool:
    """Return whether the pod is in service, and is neither terminating nor ended."""
    return not going(pod) and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions(pod))


def steady(pod: Object, now: datetime) -> bool:
    """Return whether the pod is in service, and not just ready between two crashes."""
    return ready(pod) and not any(crashed(status, now) for status, _ in statuses(pod))


def going(pod: Object) -> bool:
    """Return whether the pod is terminating or has ended."""
    ended = (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
    return ended or bool(pod["metadata"].get("deletionTimestamp"))


def _runs(pod: Object) -> bool:
    """Return whether a container of the pod runs. Ready or not, and terminating or not, it may call and be called."""
    return any("running" in (s.get("state") or {}) for s in (pod.get("status") or {}).get("containerStatuses") or ())


def _may_answer(pod: Object) -> bool:
    """Return whether a container of the pod runs or may start again.

    A container that has just crashed is shown as terminated, and the kubelet starts it again before it says so, also in
    a pod that is being deleted if it has not seen the deletion yet. Only the last phase is certain.
    https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase
    """
    return (pod.get("status") or {}).get("phase") not in ("Failed", "Succeeded")


def of(pods: Iterable[Object], service: str, process: str) -> list[Object]:
    """Return the pods of one process that are neither terminating nor ended."""
    return [p for p in pods if (label(p, SERVICE), label(p, COMPONENT)) == (service, process) and not going(p)]


def standing(service: Service) -> tuple[Process, ...]:
    """Return the processes that always run."""
    return tuple(p for p in service.processes if p.kind is not ProcessKind.CRON)


def settled(pods: list[Object], spec: PreviewSpec, now: datetime) -> bool:
    """Return whether all processes run the spec's version with the wanted replicas, and nothing older is in service."""
    for service in spec.services:
        wanted = revision(service, spec)
        for process in standing(service):
            mine = [p for p in of(pods, service.name, process.name) if ready(p)]
            current = [p for p in mine if annotation(p, REVISION) == wanted and steady(p, now)]
            replicas = 1 if process.migrates else process.replicas
            if len(current) < replicas or len(current) < len(mine):
                return False
    return True


def running(pods: list[Object], spec: PreviewSpec, service: Service, url: str, now: datetime) -> Running:
    """Return what serves one service now: the newest ready version, or an empty version when none is ready."""
    processes = standing(service)
    crons = {p.name for p in service.processes if p not in processes}
    own = [p for p in pods if (label(p, SERVICE), label(p, ROLE)) == (service.name, "service")]
    mine = [p for p in own if label(p, COMPONENT) not in crons]  # also of a process that the spec no longer has
    live = [[p for p in of(pods, service.name, process.name) if steady(p, now)] for process in processes]
    shown = max((p for group in live[:1] for p in group), key=lambda p: (created(p), _name(p)), default=None)
    if not processes:
        wanted = _wanted(spec, service)
        return Running(service.name, url, *((wanted.sha, wanted.digest) if wanted else ("", "")), ready=bool(wanted))
    if shown is None:
        return Running(service.name, url, "", "", ready=False)
    image = next((c["image"] for c in shown["spec"]["containers"]), "")
    earlier = [p for p in mine if _may_answer(p) and annotation(p, REVISION) != revision(service, spec)]
    commits = {annotation(p, SHA) for p in earlier} - {annotation(shown, SHA), ""}
    since = next((c.get("lastTransitionTime") for c in conditions(shown) if c["type"] == "Ready"), None)
    return Running(
        service=service.name,
        url=url,
        sha=annotation(shown, SHA),
        digest=image.partition("@")[2],
        ready=all(live),
        since=datetime.fromisoformat(since) if since else None,
        outdated=any(annotation(p, REVISION) != revision(service, spec) for group in live for p in group),
        ending=bool(earlier),
        leaves=max(commits, default=""),
    )


def calls(pods: list[Object], spec: PreviewSpec) -> frozenset[str]:
    """Return the hosts that the links of the running pods point to, read from their environment.

    Pods of an older spec count too: until they exit, they call the hosts that they were started with. So do pods that
    are not ready for a moment.
    """
    found: set[str] = set()
    for service in spec.services:
        variables = {
            v for k in spec.links.targets if k.service == service.name for part, v in k.variables if part != "port"
        }
        processes = {p.name for p in standing(service)}
        mine = (p for p in pods if label(p, SERVICE) == service.name and label(p, COMPONENT) in processes)
        given = (e for pod in mine if _runs(pod) for c in pod["spec"]["containers"] for e in c.get("env") or ())
        found |= {host_of(e.get("value") or "") for e in given if e["name"] in variables}
    return frozenset(found - {""})


def lives(pods: list[Object], spec: PreviewSpec) -> tuple[Life, ...]:
    """Return the containers and pods whose data ends with them, by the name of the need's object.

    An annotation from the chart says which of the two holds the data: the container (`ephemeral`: the data is in the
    image), or the pod with its volume. A cache has no life, because it may be empty at any time.
    https://kubernetes.io/docs/concepts/storage/volumes/#emptydir
    """
    found = []
    holders = {need.kind for service in spec.services for need in service.needs}  # other containers hold no data
    for pod in pods:
        storage = annotation(pod, STORAGE)
        if label(pod, ROLE) != "need" or storage not in ("ephemeral", "pod") or going(pod):
            continue
        for status in (pod.get("status") or {}).get("containerStatuses") or ():
            begun = ((status.get("state") or {}).get("running") or {}).get("startedAt")
            if begun and status.get("containerID") and status["name"] in holders:
                need, holder = label(pod, SERVICE), status["containerID"].rpartition("/")[2][:12]
                if storage == "pod":
                    begun, holder = pod["status"].get("startTime", begun), pod["metadata"]["uid"]
                overtaken = any(_served_before(p, begun) for p in pods if _waits_for(p, need) and _stays(p, spec))
                found.append(Life(need, holder, overtaken))
    return tuple(sorted(found, key=lambda life: life.need))


def missing(pods: list[Object], spec: PreviewSpec) -> str:
    """Return the name of the first need or process that lacks a pod; empty when none does.

    A need counts when a pod waits for it. A process needs a pod of the spec's version.
    """
    there = {label(p, SERVICE) for p in pods if label(p, ROLE) == "need" and not going(p)}
    for pod in pods:
        for status, init in statuses(pod):
            waits_for = status["name"].removeprefix(WAIT)
            waiting = init and waits_for != status["name"] and "running" in (status.get("state") or {})
            if waiting and not going(pod) and waits_for not in there:
                return str(waits_for)
    for service in spec.services:
        wanted = revision(service, spec)
        for process in standing(service):
            if not any(annotation(p, REVISION) == wanted for p in of(pods, service.name, process.name)):
                return f"{service.name}-{process.name}"
    return ""


def missing_need(pods: list[Object], spec: PreviewSpec) -> str:
    """Return the name of the first need without a pod that has not ended; empty when none lacks one."""
    return next((name for name in _needs(spec) if not _of_need(pods, name)), "")


def needs_ready(pods: list[Object], spec: PreviewSpec) -> bool:
    """Return whether every need has a pod in service."""
    return all(any(ready(pod) for pod in _of_need(pods, name)) for name in _needs(spec))


def _needs(spec: PreviewSpec) -> list[str]:
    return [f"{service.name}-{need.name}" for service in spec.services for need in service.needs]


def _of_need(pods: list[Object], name: str) -> list[Object]:
    return [p for p in pods if label(p, ROLE) == "need" and called(label(p, SERVICE), name) and not going(p)]


def called(name: str, plain: str) -> bool:
    """Return whether this is the chart's name for SERVICE-PART: unchanged, or cut and with a hash."""
    return name == plain or re.fullmatch(re.escape(plain[:43].rstrip("-")) + "-[0-9a-f]{8}", name) is not None


def crashed(status: dict[str, Any], now: datetime) -> bool:
    """Return whether a container crashed at least twice and has not been running for a minute since."""
    last = (status.get("lastState") or {}).get("terminated") or {}
    runs = (status.get("state") or {}).get("running")
    moment = runs is not None and age(status, now) < PATIENCE
    return bool(last.get("exitCode")) and status.get("restartCount", 0) >= 2 and (moment or not status.get("ready"))


def age(status: dict[str, Any], now: datetime) -> timedelta:
    """Return how long a container has been running; zero if it is not."""
    begun = ((status.get("state") or {}).get("running") or {}).get("startedAt")
    return now - datetime.fromisoformat(begun) if begun else timedelta(0)


def _served_before(pod: Object, begun: str) -> bool:
    """Return whether a container of this service pod started before that time, and so migrated data that is gone."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    starts = (((s.get("state") or {}).get("running") or {}).get("startedAt") for s in statuses)
    return not going(pod) and any(s and s < begun for s in starts)


def statuses(pod: Object) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield the states of the init containers (True) and of the containers (False)."""
    status = pod.get("status") or {}
    for found in status.get("initContainerStatuses") or ():
        yield found, True
    for found in status.get("containerStatuses") or ():
        yield found, False


def conditions(pod: Object) -> list[dict[str, Any]]:
    """Return the conditions of a pod."""
    found: list[dict[str, Any]] = (pod.get("status") or {}).get("conditions") or []
    return found


def label(pod: Object, name: str) -> str:
    """Return a label; empty if there is none."""
    return str((pod["metadata"].get("labels") or {}).get(name, ""))


def annotation(pod: Object, name: str) -> str:
    """Return an annotation; empty if there is none."""
    return str((pod["metadata"].get("annotations") or {}).get(name, ""))


def _name(pod: Object) -> str:
    return str(pod["metadata"].get("name", ""))


def created(pod: Object) -> str:
    """Return the time at which the pod was created, as the API returns it."""
    return str(pod["metadata"].get("creationTimestamp", ""))


def _stays(pod: Object, spec: PreviewSpec) -> bool:
    """Return whether a pod belongs to the data generation of the spec. Others are replaced, and migrate then."""
    return annotation(pod, DATA_GENERATION) in ("", str(spec.data.generation))


def _waits_for(pod: Object, need: str) -> bool:
    """Return whether a pod starts only after this need answers."""
    return any(c["name"] == f"{WAIT}{need}" for c in pod["spec"].get("initContainers") or ())


def _wanted(spec: PreviewSpec, service: Service) -> Version | None:
    return next((v for v in spec.build.versions if v.service == service.name), None)
