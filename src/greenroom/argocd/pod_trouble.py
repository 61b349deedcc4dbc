"""The reason why one pod does not run, or was not created: one sentence, the same at every moment of a crash loop.

Pure functions of pods and events as the API returns them. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from greenroom.argocd.client import Object
from greenroom.argocd.pods import (
    COMPONENT,
    MIGRATE,
    PATIENCE,
    ROLE,
    SERVICE,
    WAIT,
    age,
    called,
    conditions,
    crashed,
    label,
    statuses,
)
from greenroom.core.messages import NEED_IMAGE, PLATFORM, command_not_found, span
from greenroom.core.model.catalog import Process, Service

STOPPED = timedelta(seconds=20)
"""Time for which a pod that was ready may fail its probe before that is reported.

It is short, because a probe that alternates between failing and passing must be reported, too.
"""
PLACING = timedelta(seconds=10)
ENDING = timedelta(seconds=15)
NEVER_RAN = ("StartError", "ContainerCannotRun")
NOT_FOUND = (126, 127)
"""Exit codes of a shell for a command that cannot be run or was not found."""
START, CRASH, WAIT_FOR = range(3)
"""The order of reports: first a failed start or migration, then a crash, then a failing probe."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """The reason why something does not run. `pod` and `container` name the log with details; empty without one.

    `previous` means that the lines belong to the previous container. `fix` says what helps when a push does not.
    `silent` means that the container runs and fails its readiness probe; a kubelet event says how. `process` is the
    process in trouble, None for a need, and `service` is the service that it belongs to. `ended` is the time at which a
    container crashed, as the API returns it.
    """

    why: str
    pod: str = ""
    container: str = ""
    previous: bool = False
    fix: str = ""
    silent: bool = False
    process: Process | None = None
    service: str = ""
    rank: int = START
    ended: str = ""


def not_created(events: Iterable[Object], process: str) -> Trouble | None:
    """Return why Kubernetes creates no pod of a process or need: quota, policy, pod security.

    The reason comes from the events of its ReplicaSet or StatefulSet.
    """
    told = [e for e in events if e.get("reason") == "FailedCreate" and called(_owner(e), process)]
    if not told:
        return None
    message = str(max(told, key=_when).get("message", ""))
    if "exceeded quota" in message:
        asked, _, rest = message.partition("exceeded quota: ")[2].partition(", requested: ")[2].partition(", used: ")
        used, _, limit = rest.partition(", limited: ")
        return Trouble(
            f"{process} exceeds the preview's quota: it requests {asked}, {used} is already in use, and"
            f" the limit is {limit}.",
            fix=PLATFORM,
        )
    # Each try names a different pod.
    why = re.sub(r'^Error creating: |\bpods? "[^"]*" is forbidden: ', "", message).rstrip(".")
    return Trouble(f"Kubernetes cannot create a pod for {process}: {why}.", fix=PLATFORM)


def with_probe(found: Trouble, events: Iterable[Object]) -> Trouble:
    """Say which probe failed and how, from the kubelet's latest event about the pod. Without one, change nothing.

    https://github.com/kubernetes/kubernetes/blob/master/pkg/probe/http/http.go defines the kubelet's messages.
    """
    mine = [e for e in events if (e.get("involvedObject") or {}).get("name") == found.pod]
    if found.process is None or not mine:
        return found
    message = str(max(mine, key=_when).get("message", ""))
    port, path = found.process.port, found.process.probe
    asked = f"`GET {path}` on port {port}" if path else f"port {port}"
    if status := re.search(r"statuscode: (\d{3})", message):
        how = f"{asked} returns {status[1]}"
    elif "connection refused" in message:
        setting = f"`port:` in services/{found.service}.yaml and the variable PORT"
        how = f"nothing listens on port {port}, which is {setting} (it must listen on 0.0.0.0, not only on 127.0.0.1)"
    elif "deadline exceeded" in message or "Timeout" in message:
        how = f"{asked} timed out"
    else:
        return found
    return replace(found, why=f"{found.why.rstrip('.')}: {how}.")


def of_pod(pod: Object, service: Service | None, now: datetime) -> Trouble | None:
    """Return why a pod does not run, or None. `service` is the one that it belongs to, None for a need."""
    name = _shown(pod)
    for condition in conditions(pod):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            since = condition.get("lastTransitionTime")
            if since and now - datetime.fromisoformat(since) < PLACING:
                return None
            return Trouble(f"No node can run {name}: {_unplaced(str(condition.get('message', '')))}.", fix=PLATFORM)
    for status, init in statuses(pod):
        if found := _container(pod, status, init, service, now):
            return found
    return None


def _shown(pod: Object) -> str:
    """Return what people call the pod's process or need: `shop-web`, `shop-postgresql`."""
    return "-".join(v for v in (label(pod, SERVICE), label(pod, COMPONENT)) if v and v != "need")


def _container(
    of: Object, status: dict[str, Any], init: bool, service: Service | None, now: datetime
) -> Trouble | None:
    migrate_timeout = service.migrate_timeout if service else None
    pod, name = of["metadata"]["name"], _shown(of)
    container, state = status["name"], status.get("state") or {}
    what = f"The migration of {name}" if container == MIGRATE else name
    waiting = state.get("waiting") or {}
    last = (status.get("lastState") or {}).get("terminated") or {}
    match waiting.get("reason", ""):
        case "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull":
            waits_for = container.removeprefix(WAIT) if container.startswith(WAIT) else ""  # with the need's image
            why = f"The image of {waits_for or name} cannot be pulled{_pull(waiting)}: {status.get('image', '')}."
            return Trouble(why, fix=NEED_IMAGE if waits_for or label(of, ROLE) == "need" else PLATFORM)
        case (
            "RunContainerError"
        ):  # the kubelet's word at the moment of the failure; a crash loop says `NEVER_RAN` later
            why = f"{what} cannot be started: {_short(waiting)}.{_without_shell(container, waiting)}"
            return Trouble(why, fix=_configured(container, service))
        case "CreateContainerConfigError" | "CreateContainerError":
            return Trouble(f"{what} cannot be started: {_short(waiting)}.", fix=PLATFORM)
    if container == MIGRATE and migrate_timeout and not status.get("ready") and _lasted(last) >= migrate_timeout:
        took = f"{what} took longer than {span(migrate_timeout)} and was stopped."
        return Trouble(took, pod, container, previous=True)
    backing_off = last.get("exitCode") and waiting.get("reason") == "CrashLoopBackOff"
    if backing_off or crashed(status, now):
        if last.get("reason") in NEVER_RAN:
            why = f"{what} cannot be started: {_short(last)}.{_without_shell(container, last)}"
            return Trouble(why, fix=_configured(container, service))
        fix = _configured(container, service) if last.get("exitCode") in NOT_FOUND else _more(last)
        rank = START if container == MIGRATE else CRASH
        # It is true at every moment of a crash loop: a sentence that changes between two crashes would edit comments.
        then = f" Kubernetes restarts {name}, which counts as ready after {span(PATIENCE)} without a crash."
        if container == MIGRATE and service:
            then = f" The migration command is set under `migrate:` in services/{service.name}.yaml."
        ended = str(last.get("finishedAt") or "")
        return Trouble(f"{what} {_end(last)}{then}", pod, container, previous=True, fix=fix, rank=rank, ended=ended)
    begun = (state.get("running") or {}).get("startedAt")
    ran = age(status, now)
    if init and container == MIGRATE and migrate_timeout and ran > migrate_timeout + ENDING:
        return Trouble(f"{what} has been running for longer than {span(migrate_timeout)}.", pod, container)
    if init and container.startswith(WAIT) and ran > PATIENCE:
        waited = container.removeprefix(WAIT)
        return Trouble(
            f"{name} waits for {waited}, which is not ready after {span(PATIENCE)}.", fix=PLATFORM, rank=WAIT_FOR
        )
    if not init and begun and not status.get("ready"):
        stopped = _stopped_answering(of, begun)
        if (now - stopped <= STOPPED) if stopped else (ran <= PATIENCE):
            return None
        said = f"has not passed its probe after {span(PATIENCE)}."
        if stopped:
            said = f"has failed its probe for more than {span(STOPPED)}."
        return Trouble(f"{name} is running but {said}", pod, container, silent=True, rank=WAIT_FOR)
    return None


def _stopped_answering(pod: Object, begun: str) -> datetime | None:
    """Return when a pod that was ready stopped being so; None if its container was not ready since it began.

    A pod that never was ready has had this condition since before its container began.
    """
    told = next((c.get("lastTransitionTime") for c in conditions(pod) if c["type"] == "Ready"), None)
    at = datetime.fromisoformat(told) if told else None
    return at if at and at > datetime.fromisoformat(begun) else None


def _lasted(ended: dict[str, Any]) -> timedelta:
    """Return how long an ended container ran."""
    times = [ended.get(key) for key in ("startedAt", "finishedAt")]
    begun, over = (datetime.fromisoformat(t) if t else None for t in times)
    return over - begun if begun and over else timedelta(0)


def _without_shell(container: str, ended: dict[str, Any]) -> str:
    """Return the fix for an image that lacks the commands to end a hanging migration; empty otherwise."""
    if container != MIGRATE or '"sh"' not in str(ended.get("message", "")):
        return ""
    return (
        " The image lacks `sh`. Greenroom uses `sh` and `timeout` to stop a migration that hangs."
        " Set `migrateTimeout: never`."
    )


def _configured(container: str, service: Service | None) -> str:
    """Return the fix for a command that does not run: it is in the configuration, or is missing in the image."""
    if service is None:
        return PLATFORM
    return command_not_found("migrate" if container == MIGRATE else "command", service.name)


def _more(ended: dict[str, Any]) -> str:
    memory = "Reduce the process's memory use and push, or ask the platform team to raise `resources.memoryLimit`."
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
        return " because the registry rejects the node's credentials"
    return ""


def _short(state: dict[str, Any]) -> str:
    """Return the message about a container without container ids, which differ on each try."""
    said = str(state.get("message") or state.get("reason") or "no reason given")
    return re.sub(r"(?<!sha256:)\b[0-9a-f]{12,64}\b", "...", said).rstrip(".")


def _unplaced(message: str) -> str:
    """Return the scheduler's reasons without the numbers of nodes, because nodes come and go."""
    why = message.partition(" preemption:")[0]
    why = why.partition(" nodes are available: ")[2] or why
    return ", ".join(sorted({re.sub(r"^\d+ ", "", part) for part in why.rstrip(". ").split(", ")}))


def _owner(event: Object) -> str:
    """Return the name of the Deployment or StatefulSet whose pod an event is about."""
    involved = event.get("involvedObject") or {}
    name = str(involved.get("name", ""))
    return name if involved.get("kind") == "StatefulSet" else name.rpartition("-")[0]


def _when(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
