"""What the pods of a preview say: which version serves, whose data it is, and why something does not start.

Pure: pods as the API gives them, in. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from greenroom.argocd.kube import Object
from greenroom.core.catalogue import Process, ProcessKind, Service
from greenroom.core.model import Life, Running
from greenroom.core.reasons import PLATFORM, span
from greenroom.core.rows import Row, Version, revision

SERVICE = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
ROLE = "greenroom.dev/role"
REVISION = "greenroom.dev/revision"
SHA = "greenroom.dev/sha"
STORAGE = "greenroom.dev/storage"
MIGRATE = "migrate"
WAIT = "wait-"
PATIENCE = timedelta(seconds=60)
PLACING = timedelta(seconds=10)
ENDING = timedelta(seconds=15)
NEVER_RAN = ("StartError", "ContainerCannotRun")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something does not run. `pod` and `container` name whose log tells more; empty when no log does.

    `previous` says that the lines are those of the container before this one; `fix` what helps where it is not a push.
    `silent` says that it runs and fails its readiness probe: an event of the kubelet says how. `process` is the process
    in trouble, None for a need.
    """

    why: str
    pod: str = ""
    container: str = ""
    previous: bool = False
    fix: str = ""
    silent: bool = False
    process: Process | None = None


def ready(pod: Object) -> bool:
    """Whether the pod is in service and stays."""
    return not going(pod) and any(c["type"] == "Ready" and c["status"] == "True" for c in _conditions(pod))


def going(pod: Object) -> bool:
    """Whether the pod is on its way out or has ended."""
    ended = (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
    return ended or bool(pod["metadata"].get("deletionTimestamp"))


def of(pods: Iterable[Object], service: str, process: str) -> list[Object]:
    """The pods of one process that stay."""
    return [p for p in pods if (_label(p, SERVICE), _label(p, COMPONENT)) == (service, process) and not going(p)]


def standing(service: Service) -> tuple[Process, ...]:
    """The processes that always run."""
    return tuple(p for p in service.processes if p.kind is not ProcessKind.CRON)


def settled(pods: list[Object], row: Row) -> bool:
    """Whether every process runs what the row says, as many of it as wanted, and nothing older is in service."""
    for service in row.services:
        wanted = revision(service, row)
        for process in standing(service):
            mine = [p for p in of(pods, service.name, process.name) if ready(p)]
            current = [p for p in mine if _annotation(p, REVISION) == wanted]
            replicas = 1 if process.migrates else process.replicas
            if len(current) < replicas or len(current) < len(mine):
                return False
    return True


def running(pods: list[Object], row: Row, service: Service, url: str) -> Running:
    """What serves of one service now: the newest version that is ready, or the row's as not ready."""
    processes = standing(service)
    live = [[p for p in of(pods, service.name, process.name) if ready(p)] for process in processes]
    shown = max((p for group in live[:1] for p in group), key=lambda p: (_begun(p), _name(p)), default=None)
    if not processes:
        wanted = _wanted(row, service)
        return Running(service.name, url, wanted.sha if wanted else "", wanted.digest if wanted else "", ready=True)
    if shown is None:
        return Running(service.name, url, "", "", ready=False)
    image = next((c["image"] for c in shown["spec"]["containers"]), "")
    since = next((c.get("lastTransitionTime") for c in _conditions(shown) if c["type"] == "Ready"), None)
    return Running(
        service=service.name,
        url=url,
        sha=_annotation(shown, SHA),
        digest=image.partition("@")[2],
        ready=all(live),
        since=datetime.fromisoformat(since) if since else None,
    )


def lives(pods: list[Object], row: Row) -> tuple[Life, ...]:
    """What holds data that ends with it, by the name of the need's object.

    The chart says on each pod what that is: its container (`ephemeral`: the data is in the image), or the pod itself
    with its volume. A cache has no life: it may be empty at any time.
    https://kubernetes.io/docs/concepts/storage/volumes/#emptydir
    """
    found = []
    holders = {need.kind for service in row.services for need in service.needs}  # others in the pod hold nothing
    for pod in pods:
        storage = _annotation(pod, STORAGE)
        if _label(pod, ROLE) != "need" or storage not in ("ephemeral", "pod") or going(pod):
            continue
        for status in (pod.get("status") or {}).get("containerStatuses") or ():
            begun = ((status.get("state") or {}).get("running") or {}).get("startedAt")
            if begun and status.get("containerID") and status["name"] in holders:
                need, holder = _label(pod, SERVICE), status["containerID"].rpartition("/")[2][:12]
                if storage == "pod":
                    begun, holder = pod["status"].get("startTime", begun), pod["metadata"]["uid"]
                overtaken = any(_served_before(p, begun) for p in pods if _waits_for(p, need))
                found.append(Life(need, holder, overtaken))
    return tuple(sorted(found, key=lambda life: life.need))


def trouble(pods: list[Object], row: Row, now: datetime) -> Trouble | None:
    """The first thing that keeps the row's version from running, or None. `now` is the cluster's clock."""
    for pod in pods:
        if _label(pod, ROLE) == "need" and not going(pod) and (found := _pod(pod, None, now)):
            return found
    for service in row.services:
        wanted = revision(service, row)
        for process in standing(service):
            for pod in of(pods, service.name, process.name):
                if _annotation(pod, REVISION) != wanted or ready(pod):
                    continue
                if found := _pod(pod, service.migrate_timeout, now):
                    return replace(found, process=process)
    return None


def missing(pods: list[Object], row: Row) -> str:
    """The name of the first need that is waited for and has no pod, or of the first process that has none of the row's
    version; empty when each has one.
    """
    there = {_label(p, SERVICE) for p in pods if _label(p, ROLE) == "need" and not going(p)}
    for pod in pods:
        for status, init in _statuses(pod):
            waits_for = status["name"].removeprefix(WAIT)
            waiting = init and waits_for != status["name"] and "running" in (status.get("state") or {})
            if waiting and not going(pod) and waits_for not in there:
                return str(waits_for)
    for service in row.services:
        wanted = revision(service, row)
        for process in standing(service):
            if not any(_annotation(p, REVISION) == wanted for p in of(pods, service.name, process.name)):
                return f"{service.name}-{process.name}"
    return ""


def not_created(events: Iterable[Object], process: str) -> Trouble | None:
    """Why Kubernetes makes no pod of a process or need: quota, policy, pod security.

    From the events of its ReplicaSet or StatefulSet.
    """
    told = [e for e in events if e.get("reason") == "FailedCreate" and _called(_owner(e), process)]
    if not told:
        return None
    message = str(max(told, key=_when).get("message", ""))
    if "exceeded quota" in message:
        asked, _, rest = message.partition("exceeded quota: ")[2].partition(", requested: ")[2].partition(", used: ")
        used, _, limit = rest.partition(", limited: ")
        return Trouble(
            f"{process} does not fit the preview's quota: it asks for {asked}, {used} is used, {limit} is the limit.",
            fix=PLATFORM,
        )
    # Each try is another pod with another name.
    why = re.sub(r'^Error creating: |\bpods? "[^"]*" is forbidden: ', "", message).rstrip(".")
    return Trouble(f"Kubernetes makes no pod of {process}: {why}.", fix=PLATFORM)


def with_probe(found: Trouble, events: Iterable[Object]) -> Trouble:
    """Say which probe failed, and how, from the kubelet's latest event about the pod; the same trouble without one.

    https://github.com/kubernetes/kubernetes/blob/master/pkg/probe/http/http.go has the kubelet's words.
    """
    mine = [e for e in events if (e.get("involvedObject") or {}).get("name") == found.pod]
    if found.process is None or not mine:
        return found
    message = str(max(mine, key=_when).get("message", ""))
    port, path = found.process.port, found.process.probe
    asked = f"`GET {path}` on port {port}" if path else f"port {port}"
    if status := re.search(r"statuscode: (\d{3})", message):
        how = f"{asked} answers {status[1]}"
    elif "connection refused" in message:
        how = f"nothing listens on port {port}"
    elif "deadline exceeded" in message or "Timeout" in message:
        how = f"{asked} does not answer in time"
    else:
        return found
    return replace(found, why=f"{found.why.rstrip('.')}: {how}.")


def _pod(pod: Object, migrate_timeout: timedelta | None, now: datetime) -> Trouble | None:
    name = "-".join(v for v in (_label(pod, SERVICE), _label(pod, COMPONENT)) if v and v != "need")
    for condition in _conditions(pod):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            since = condition.get("lastTransitionTime")
            if since and now - datetime.fromisoformat(since) < PLACING:
                return None
            return Trouble(f"No node takes {name}: {_unplaced(str(condition.get('message', '')))}.", fix=PLATFORM)
    for status, init in _statuses(pod):
        if found := _container(pod["metadata"]["name"], name, status, init, migrate_timeout, now):
            return found
    return None


def _container(
    pod: str, name: str, status: dict[str, Any], init: bool, migrate_timeout: timedelta | None, now: datetime
) -> Trouble | None:
    container, state = status["name"], status.get("state") or {}
    what = f"The migration of {name}" if container == MIGRATE else name
    waiting = state.get("waiting") or {}
    last = (status.get("lastState") or {}).get("terminated") or {}
    match waiting.get("reason", ""):
        case "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull":
            return Trouble(
                f"The image of {name} cannot be pulled{_pull(waiting)}: {status.get('image', '')}.", fix=PLATFORM
            )
        case "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError":
            return Trouble(f"{what} cannot be started: {_short(waiting)}.", fix=PLATFORM)
    if container == MIGRATE and migrate_timeout and not status.get("ready") and _lasted(last) >= migrate_timeout:
        took = f"{what} took longer than {span(migrate_timeout)} and was ended."
        return Trouble(took, pod, container, previous=True)
    # Between two crashes it runs for a moment; that is no news until it is ready.
    crashing = status.get("restartCount", 0) >= 2 and not status.get("ready")
    if last.get("exitCode") and (waiting.get("reason") == "CrashLoopBackOff" or crashing):
        if last.get("reason") in NEVER_RAN:
            return Trouble(f"{what} cannot be started: {_short(last)}.{_without_shell(container, last)}")
        return Trouble(f"{what} {_end(last)}", pod, container, previous=True, fix=_more(last))
    begun = (state.get("running") or {}).get("startedAt")
    age = now - datetime.fromisoformat(begun) if begun else timedelta(0)
    if init and container == MIGRATE and migrate_timeout and age > migrate_timeout + ENDING:
        return Trouble(f"{what} runs for longer than {span(migrate_timeout)}.", pod, container)
    if init and container.startswith(WAIT) and age > PATIENCE:
        need = container.removeprefix(WAIT)
        return Trouble(f"{name} waits for {need}, which is not ready after {span(PATIENCE)}.", fix=PLATFORM)
    if not init and begun and not status.get("ready") and age > PATIENCE:
        why = f"{name} runs but does not answer its probe after {span(PATIENCE)}."
        return Trouble(why, pod, container, silent=True)
    return None


def _lasted(ended: dict[str, Any]) -> timedelta:
    """How long a container ran that has ended."""
    times = [ended.get(key) for key in ("startedAt", "finishedAt")]
    begun, over = (datetime.fromisoformat(t) if t else None for t in times)
    return over - begun if begun and over else timedelta(0)


def _without_shell(container: str, ended: dict[str, Any]) -> str:
    """What to do about an image that has not what ends a migration that hangs."""
    if container != MIGRATE or '"sh"' not in str(ended.get("message", "")):
        return ""
    return " Its image has no `sh` and `timeout` to end it with; set `migrateTimeout: never`."


def _more(ended: dict[str, Any]) -> str:
    memory = "Let it use less and push, or have the platform team raise `resources.memoryLimit`."
    return memory if ended.get("reason") == "OOMKilled" else ""


def _end(ended: dict[str, Any]) -> str:
    if ended.get("reason") == "OOMKilled":
        return "was killed because it used more memory than its limit."
    return f"ended with exit code {ended['exitCode']}."


def _pull(waiting: dict[str, Any]) -> str:
    message = _short(waiting).lower()
    if "not found" in message:
        return " because the registry does not have it"
    if "unauthorized" in message or "forbidden" in message or "denied" in message:
        return " because the registry refuses the node's credentials"
    return ""


def _short(state: dict[str, Any]) -> str:
    """What is said of a container, without the ids of containers: each try has another one."""
    said = str(state.get("message") or state.get("reason") or "no reason given")
    return re.sub(r"(?<!sha256:)\b[0-9a-f]{12,64}\b", "...", said).rstrip(".")


def _unplaced(message: str) -> str:
    """What the scheduler says, without how many nodes say so: nodes come and go."""
    why = message.partition(" preemption:")[0]
    why = why.partition(" nodes are available: ")[2] or why
    return ", ".join(sorted({re.sub(r"^\d+ ", "", part) for part in why.rstrip(". ").split(", ")}))


def _served_before(pod: Object, begun: str) -> bool:
    """Whether a container of this service pod started before that time: it migrated data that is gone."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    starts = (((s.get("state") or {}).get("running") or {}).get("startedAt") for s in statuses)
    return not going(pod) and any(s and s < begun for s in starts)


def _statuses(pod: Object) -> Iterator[tuple[dict[str, Any], bool]]:
    status = pod.get("status") or {}
    for found in status.get("initContainerStatuses") or ():
        yield found, True
    for found in status.get("containerStatuses") or ():
        yield found, False


def _conditions(pod: Object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (pod.get("status") or {}).get("conditions") or []
    return found


def _label(pod: Object, name: str) -> str:
    return str((pod["metadata"].get("labels") or {}).get(name, ""))


def _annotation(pod: Object, name: str) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(name, ""))


def _name(pod: Object) -> str:
    return str(pod["metadata"].get("name", ""))


def _begun(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _called(name: str, plain: str) -> bool:
    """Whether the chart calls SERVICE-PART so: as it is, or cut and with a hash."""
    return name == plain or re.fullmatch(re.escape(plain[:43].rstrip("-")) + "-[0-9a-f]{8}", name) is not None


def _waits_for(pod: Object, need: str) -> bool:
    """Whether a pod starts only after that need answers."""
    return any(c["name"] == f"{WAIT}{need}" for c in pod["spec"].get("initContainers") or ())


def _wanted(row: Row, service: Service) -> Version | None:
    return next((v for v in row.versions if v.service == service.name), None)


def _owner(event: Object) -> str:
    """The name of the Deployment or StatefulSet whose pod an event is about."""
    involved = event.get("involvedObject") or {}
    name = str(involved.get("name", ""))
    return name if involved.get("kind") == "StatefulSet" else name.rpartition("-")[0]


def _when(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
