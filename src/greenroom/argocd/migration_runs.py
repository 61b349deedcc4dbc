"""The runs of migrations in a preview's pods. Pure functions of pods as the API returns them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from greenroom.argocd.client import Object
from greenroom.argocd.pods import (
    MIGRATE,
    REVISION,
    ROLE,
    SERVICE,
    annotation,
    created,
    going,
    label,
    of,
    standing,
    statuses,
)
from greenroom.core.model.catalog import Service
from greenroom.core.model.spec import PreviewSpec
from greenroom.core.planning.chart_values import revision

BEFORE, AFTER = "report-before", "report-after"
MARGIN = timedelta(seconds=30)
"""Allowance for the difference between the clocks of the two pods' nodes."""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A migration that ended in one pod, with the pod of its database.

    `since` is a time before its first snapshot, `seconds` is whole because the API's times are. An exit code of 0 means
    that the second snapshot was taken.
    """

    service: str
    pod: str
    uid: str
    need: str
    database: str
    container: str
    exit_code: int
    since: str
    seconds: float

    @property
    def key(self) -> tuple[str, bool]:
        """Return what identifies its report: the retries of a migration that failed share one."""
        return self.uid, self.exit_code != 0


def ended_runs(pods: list[Object], spec: PreviewSpec) -> tuple[EndedRun, ...]:
    """Return the run of each service that migrates a seeded database, as soon as it has ended.

    Only pods of the spec's version count, and of several the newest one.
    """
    return tuple(run for service in spec.services if (run := _ended_run(pods, spec, service)))


def _ended_run(pods: list[Object], spec: PreviewSpec, service: Service) -> EndedRun | None:
    wanted = revision(service, spec)
    migrating = [process for process in standing(service) if process.migrates]
    made = [p for m in migrating for p in of(pods, service.name, m.name) if annotation(p, REVISION) == wanted]
    pod = max(made, key=created, default=None)
    return _of_pod(pod, pods, service.name) if pod else None


def _of_pod(pod: Object, pods: list[Object], service: str) -> EndedRun | None:
    need = _host(pod)
    database = max((p for p in pods if _holds(p, need)), key=created, default=None)
    init = {status["name"]: status for status, init in statuses(pod) if init}
    before, migrated = _over(init.get(BEFORE)), _over(init.get(MIGRATE))
    migrated = migrated or ((init.get(MIGRATE) or {}).get("lastState") or {}).get("terminated") or {}
    if not (need and database and before.get("startedAt") and migrated):
        return None
    exit_code = int(migrated.get("exitCode") or 0)
    if exit_code == 0 and not _over(init.get(AFTER)):
        return None
    return EndedRun(
        service=service,
        pod=str(pod["metadata"]["name"]),
        uid=str(pod["metadata"]["uid"]),
        need=need,
        database=str(database["metadata"]["name"]),
        container=str(database["spec"]["containers"][0]["name"]),
        exit_code=exit_code,
        since=(datetime.fromisoformat(before["startedAt"]) - MARGIN).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=_lasted(migrated),
    )


def _host(pod: Object) -> str:
    """Return the host of the database that a pod's first snapshot describes; empty if it takes none."""
    containers = pod["spec"].get("initContainers") or ()
    env = (e for c in containers if c["name"] == BEFORE for e in c.get("env") or ())
    return next((str(e.get("value", "")) for e in env if e["name"] == "PGHOST"), "")


def _holds(pod: Object, need: str) -> bool:
    return bool(need) and (label(pod, ROLE), label(pod, SERVICE)) == ("need", need) and not going(pod)


def _over(status: dict[str, Any] | None) -> dict[str, Any]:
    """Return how a container ended; empty while it has not."""
    return ((status or {}).get("state") or {}).get("terminated") or {}


def _lasted(ended: dict[str, Any]) -> float:
    """Return for how many seconds a container ran, at least one: a migration under a second starts and ends in one."""
    times = [datetime.fromisoformat(ended[key]) for key in ("startedAt", "finishedAt") if ended.get(key)]
    return max(1.0, (times[1] - times[0]).total_seconds()) if len(times) == 2 else 1.0
