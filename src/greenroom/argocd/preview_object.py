"""The status of a `Preview` object of Kubernetes, from a preview's status and spec. Pure.

People may read these objects, so they hold no title of a pull request, no value of the environment and no log line.
https://kubernetes.io/docs/reference/using-api/api-concepts/
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from greenroom.argocd.client import PREVIEWS, Object
from greenroom.core.model.spec import PreviewSpec
from greenroom.core.model.status import SERVES, Stage, Status

DOUBT = "Doubt"
ENDING = "Ending"
PROGRESSING = (Stage.WAITING, Stage.QUEUED, Stage.STARTING, Stage.UPDATING, Stage.REMOVING)
WARNINGS = (Stage.FAILED, Stage.HELD, Stage.BLOCKED, Stage.EXPIRING)
SHORT = 7
HOSTS = 3


@dataclass(frozen=True, slots=True)
class View:
    """Content of an object: the status of a pass and the spec that it served. `spec` is None while nothing is to run.

    `trouble` says why the repository has not been read for a while; empty if it has been.
    """

    status: Status
    spec: PreviewSpec | None = None
    trouble: str = ""

    @property
    def newest(self) -> bool:
        """Return whether the spec is of the head that the status speaks of: one of the two may be older."""
        return self.spec is not None and self.spec.build.head_sha == self.status.head_sha


def repository_of(status: Status) -> str:
    """Return the short name of a preview's repository in a form that an object's name may have.

    A repository that another one replaced under its name is called `shop@1296269`.
    """
    return status.repository.replace("@", ".")


def object_status(view: View, before: Mapping[str, Any], generation: int | None, now: datetime) -> Object:
    """Return the `status` of the object. A condition of `before` that did not change keeps its time.

    `generation` is that of the object whose spec belongs to this status: `kubectl wait` ignores an older condition.
    """
    status = view.status
    urls = [s.url for s in status.services if s.url]
    services = [
        {"name": s.service, "url": s.url, "sha": s.sha, "digest": s.digest, "ready": s.ready, "note": s.note}
        for s in status.services
    ]
    removed = before.get("removedAt") or _time(now) if status.stage is Stage.REMOVED else None
    return _without_none(
        {
            "observedGeneration": generation,
            "state": status.stage.value,
            "reason": status.reason.code,
            "message": status.reason.text,
            "fix": status.reason.fix or None,
            "url": urls[0] if urls else None,
            "addresses": _shown(urls) or None,
            "pullRequest": {"author": status.author, "url": status.url},
            "commit": _commit(view),
            "services": services,
            "links": [{"service": k.service, "target": k.target, "source": k.name, "why": k.why} for k in status.links],
            "expires": status.expires and _time(status.expires),
            "removedAt": removed,
            "conditions": _conditions(view, before, generation, now),
        }
    )


def _shown(urls: Sequence[str]) -> str:
    """Return addresses as `kubectl get ingress` shows hosts: at most three, then how many more there are."""
    more = f" + {len(urls) - HOSTS} more..." if len(urls) > HOSTS else ""
    return ",".join(urls[:HOSTS]) + more


def _commit(view: View) -> Object:
    """Return the commit of the pull request, those that ready pods run, and both in a few characters:
    `91bd0e2 -> 4f2c1a9`.

    A service that the pull request does not change runs the commit of its base branch.
    """
    status, spec = view.status, view.spec
    served = sorted({s.sha for s in status.services if s.ready and s.sha})
    wanted, shown = status.head_sha[:SHORT], ",".join(sha[:SHORT] for sha in served)
    base = {v.sha for v in spec.build.versions} if spec and view.newest else set()
    current = set(served) <= {status.head_sha} | base
    summary = wanted if current or not served else f"{shown} -> {wanted}" if wanted else shown
    return _without_none({"wanted": status.head_sha or None, "served": served, "summary": summary})


def _conditions(view: View, before: Mapping[str, Any], generation: int | None, now: datetime) -> list[Object]:
    """Return the four conditions. While the repository cannot be read, all but `Held` are unknown.

    A pod that is stopping may still get requests: an ingress controller learns with a delay that it stops.
    """
    status = view.status
    serves = status.stage in SERVES and status.serves_head and view.newest
    ends = serves and bool(status.ending)
    known = {c.get("type"): c for c in before.get("conditions") or () if isinstance(c, dict)}
    holds = {
        "Ready": serves and not ends,
        "Serving": status.serving,
        "Held": status.stage is Stage.HELD,
        "Progressing": status.stage in PROGRESSING or ends,
    }
    made = []
    for kind, true in holds.items():
        old = known.get(kind) or {}
        unknown = view.trouble and kind != "Held"
        text = "Unknown" if unknown else str(true)
        said = {"reason": camel(status.reason.code), "message": str(status.reason)}
        if ends and kind in ("Ready", "Progressing"):
            message = f"An earlier version of {', '.join(status.ending)} has not stopped yet."
            said = {"reason": ENDING, "message": message}
        if unknown:  # the sentence may change with each try
            lasting = old.get("status") == "Unknown" and old.get("message")
            said = {"reason": DOUBT, "message": lasting or view.trouble}
        at = old["lastTransitionTime"] if old.get("status") == text and old.get("lastTransitionTime") else _time(now)
        condition = {"type": kind, "status": text, **said, "lastTransitionTime": at, "observedGeneration": generation}
        made.append(_without_none(condition))
    return made


def event(namespace: str, found: Object, status: Status, now: datetime) -> Object:
    """Return a Kubernetes event that tells the new state of a preview.

    https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
    """
    metadata, at, tick = found["metadata"], _time(now), int(now.timestamp() * 1e6)
    about = {"apiVersion": PREVIEWS.version, "kind": "Preview", "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{status.stage.name.lower()}.{tick:x}", "namespace": namespace},
        "involvedObject": {**about, "name": metadata["name"], "uid": metadata["uid"]},
        "type": "Warning" if status.stage in WARNINGS else "Normal",
        "reason": camel(status.stage.value),
        "message": str(status.reason),
        "source": {"component": "greenroom"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def removed_before(found: Object, time: datetime) -> bool:
    """Return whether an object is that of a preview whose removal was proven before this time."""
    at = (found.get("status") or {}).get("removedAt")
    return isinstance(at, str) and at <= _time(time)


def camel(code: str) -> str:
    """Return a reason's code in the form that conditions require: `no-image` becomes `NoImage`."""
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", code)) or "Unknown"


def _time(time: datetime) -> str:
    """Return a time as Kubernetes writes it. Times of this form can be compared as texts."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _without_none(value: Object) -> Object:
    return {k: v for k, v in value.items() if v is not None}
