"""The trouble of a preview: of all pods that do not run, the one behind the others. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from greenroom.argocd.client import Object
from greenroom.argocd.pod_trouble import START, Trouble, of_pod
from greenroom.argocd.pods import (
    MIGRATE,
    REVISION,
    ROLE,
    annotation,
    created,
    going,
    label,
    of,
    ready,
    standing,
    statuses,
    steady,
)
from greenroom.core.model.catalog import Process, Service
from greenroom.core.model.spec import PreviewSpec
from greenroom.core.planning.chart_values import revision

SLOW_START = timedelta(minutes=10)


def trouble(pods: list[Object], spec: PreviewSpec, now: datetime) -> Trouble | None:
    """Return what keeps the spec's version from running, or None. Of several troubles, return the one behind the
    others.

    A service that crashes or does not answer while what it depends on is still starting is not in trouble yet. A crash
    from before the database that it shares was migrated does not count. `now` is compared with times from the cluster's
    clock.
    """
    for pod in pods:
        if label(pod, ROLE) == "need" and not going(pod) and (found := of_pod(pod, None, now)):
            return found
    troubles = {s.name: found for s in spec.services if (found := _trouble(pods, spec, s, now))}
    starting = {s.name: _starting(pods, spec, s, troubles, now) for s in spec.services}

    def counts(found: Trouble) -> bool:
        return found.rank == START or not (starting[found.service] or _past(pods, spec, found))

    def order(found: Trouble) -> tuple[bool, bool, int]:
        depends = bool(_dependencies(spec, found.service) & troubles.keys())
        return found.rank != START, depends, found.rank

    return min(filter(counts, troubles.values()), key=order, default=None)


def suspects(pods: list[Object], spec: PreviewSpec, service: str) -> list[tuple[Service, Object, Process]]:
    """Return what a failing service depends on and the pull request changes, each with a pod to read the log of.

    Empty if the failing service itself runs the pull request's commit: then its own log counts.
    """
    shas = {v.service: v.sha for v in spec.build.versions}
    if not service or shas.get(service) == spec.build.head_sha:
        return []
    needed = _dependencies(spec, service)
    changed = [s for s in spec.services if s.name in needed and shas.get(s.name) == spec.build.head_sha]
    newest = [(s, p, max(_made(pods, spec, s, p), key=created, default=None)) for s in changed for p in standing(s)[:1]]
    return [(service, pod, process) for service, process, pod in newest if pod is not None]


def _trouble(pods: list[Object], spec: PreviewSpec, service: Service, now: datetime) -> Trouble | None:
    """Return the trouble of a service that is reported first, whatever it depends on."""
    found = [
        replace(it, process=process, service=service.name)
        for process in standing(service)
        for pod in _made(pods, spec, service, process)
        if not steady(pod, now) and (it := of_pod(pod, service, now))
    ]
    return min(found, key=lambda it: it.rank, default=None)


def _made(pods: list[Object], spec: PreviewSpec, service: Service, process: Process) -> list[Object]:
    """Return the pods of a process that have the spec's version."""
    wanted = revision(service, spec)
    return [p for p in of(pods, service.name, process.name) if annotation(p, REVISION) == wanted]


def _dependencies(spec: PreviewSpec, name: str) -> set[str]:
    """Return the services of this preview that a service uses, or whose need it shares."""
    service = next(s for s in spec.services if s.name == name)
    used = {k.target for k in spec.links.targets if k.own and k.service == name}
    return (used | {need.service for need in service.shared_needs}) - {name}


def _starting(
    pods: list[Object], spec: PreviewSpec, user: Service, troubles: Mapping[str, Trouble], now: datetime
) -> bool:
    """Return whether something that a service depends on is not up yet, and is not in trouble itself.

    What takes longer than `SLOW_START` hides no failure of others any more.
    """
    needed = _dependencies(spec, user.name) - troubles.keys()
    return any(_comes(pods, spec, user, service, now) for service in spec.services if service.name in needed)


def _comes(pods: list[Object], spec: PreviewSpec, user: Service, service: Service, now: datetime) -> bool:
    """Return whether a service was just started and does not answer yet, or has not migrated what it shares."""
    made = [pod for process in standing(service) for pod in _made(pods, spec, service, process)]
    if not standing(service) or any(now - datetime.fromisoformat(created(pod)) >= SLOW_START for pod in made):
        return False
    used = any(k.own and (k.service, k.target) == (user.name, service.name) for k in spec.links.targets)
    answers = not used or any(ready(pod) for pod in made)
    return not answers or (_migrates_for(user, service) and not any(_migrated_at(pod) for pod in made))


def _migrates_for(user: Service, service: Service) -> bool:
    """Return whether the pods of a service migrate a database that the user shares."""
    shares = any(need.service == service.name for need in user.shared_needs)
    return shares and bool(service.migrate) and any(process.migrates for process in standing(service))


def _past(pods: list[Object], spec: PreviewSpec, found: Trouble) -> bool:
    """Return whether a container crashed before the database that it shares was migrated. It runs again soon."""
    user = next(s for s in spec.services if s.name == found.service)
    owners = [s for s in spec.services if _migrates_for(user, s)]
    times = [_migrated_at(p) for s in owners for process in standing(s) for p in _made(pods, spec, s, process)]
    moments = [datetime.fromisoformat(t) for t in times if t]
    return bool(found.ended and moments) and datetime.fromisoformat(found.ended) < max(moments)


def _migrated_at(pod: Object) -> str:
    """Return when the pod's migration succeeded; empty before that."""
    for status, init in statuses(pod):
        over = (status.get("state") or {}).get("terminated") or {}
        if init and status["name"] == MIGRATE and over and not over.get("exitCode"):
            return str(over.get("finishedAt") or "")
    return ""
