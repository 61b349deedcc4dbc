"""The values that the preview chart receives for one preview, and the revision of a service's pods that follows."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import timedelta
from typing import Any

from greenroom.core.model.catalog import Need, Platform, Process, Service
from greenroom.core.model.spec import Link, PreviewSpec, SeedImage

_ROOM = 1.2
"""Ephemeral storage of a need that starts from a seed, as a multiple of the size of the seed's data."""


def parameters(spec: PreviewSpec, platform: Platform) -> dict[str, object]:
    """Return the parameter set that an ApplicationSet's plugin generator receives for one preview: JSON values only.

    https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators-Plugin/
    """
    return {
        "name": spec.names.name,
        "namespace": spec.names.namespace,
        "installation": platform.installation,
        "repository": spec.names.repository,
        "repositoryId": str(spec.id.repository_id),
        "number": str(spec.id.number),
        "headSha": spec.build.head_sha,
        "chartVersion": spec.chart.version,
        "values": {
            "preview": {
                "repository": spec.names.repository,
                "repositoryId": str(spec.id.repository_id),
                "slug": spec.pull_request.slug,
                "number": spec.id.number,
                "installation": platform.installation,
                "label": spec.names.label,
                "dataGeneration": spec.data.generation,
                "retry": spec.build.retry,
                "asleep": spec.asleep,
            },
            "services": {service.name: _service(service, spec) for service in spec.services},
            "manifests": {
                manifest.name: [json.loads(each) for each in manifest.objects]
                for service in spec.services
                for manifest in service.manifests
            },
            "settings": json.loads(spec.chart.settings),
        },
    }


def revision(service: Service, spec: PreviewSpec) -> str:
    """Return a hash of the inputs of a service's pods, 12 hex digits. Pods carry it, which distinguishes old pods from
    new ones.
    """
    made_from = json.dumps(
        [_values(service, spec), spec.data.generation, spec.chart.version, spec.chart.settings], sort_keys=True
    )
    return hashlib.sha256(made_from.encode()).hexdigest()[:12]


def _service(service: Service, spec: PreviewSpec) -> dict[str, Any]:
    opened = [{"namespace": c.namespace, "port": c.port} for c in spec.links.callers if c.service == service.name]
    return {**_values(service, spec), "openTo": opened, "revision": revision(service, spec)}


def _values(service: Service, spec: PreviewSpec) -> dict[str, Any]:
    version = spec.version(service.name)
    own = {} if service.run_as_user is None else {"runAsUser": service.run_as_user}  # if unset, pods do not change
    return {
        **own,
        "image": f"{service.image.repository}@{version.digest}" if version else "",
        "sha": version.sha if version else "",
        "host": spec.names.host(service.name) or "",
        "web": service.web.name if service.web else "",
        "processes": {p.name: _process(p) for p in service.processes},
        "migrate": {"command": list(service.migrate), "timeoutSeconds": _seconds(service.migrate_timeout)},
        "needs": {
            need.name: {
                "kind": need.kind,
                "version": need.version,
                "image": need.image,
                "variables": {variable: part for part, variable in need.variables},
                "storage": need.storage.value,
                "memory": need.memory,
                "size": need.size,
                **_seed(need, spec.data.seed(service.name, need.name), spec),
            }
            for need in service.needs
        },
        "sharedNeeds": [
            {
                "service": need.service,
                "name": need.name,
                "variables": {variable: part for part, variable in need.variables},
            }
            for need in service.shared_needs
        ],
        "links": {k.target: _link(k) for k in spec.links.targets if k.service == service.name},
        "env": dict(service.env) | spec.config.variables(service.name),
        "envFrom": list(service.env_from),
        "resources": {
            "cpu": service.resources.cpu,
            "memory": service.resources.memory,
            "memoryLimit": service.resources.memory_limit,
        },
    }


def _seed(need: Need, seed: SeedImage | None, spec: PreviewSpec) -> dict[str, object]:
    """Return the values of a need's seed and resets; nothing without them, so that such pods do not change.

    A container copies each file of a layer that it opens, so the data needs its size again, and room for changes.
    """
    resets: dict[str, object] = {}
    if spec.data.resets and need in (n for _, n in spec.resettable):
        resets["resets"] = spec.data.resets
    if seed is None:
        return resets
    room = {"room": f"{math.ceil(seed.size * _ROOM / 2**20)}Mi"} if seed.size else {}
    name = seed.reference.rpartition(":")[0]
    return {**resets, "image": f"{name}@{seed.digest}", "seed": {"mode": need.seed_options.mode.value, **room}}


def _seconds(limit: timedelta | None) -> int:
    """Return whole seconds, at least one; 0 for no limit."""
    return max(1, int(limit.total_seconds())) if limit else 0


def _link(link: Link) -> dict[str, object]:
    elsewhere = {"namespace": link.namespace, "port": link.port} if link.namespace and link.port else {}
    variables = {variable: part for part, variable in link.variables}
    return {"variables": variables, "url": link.url, "public": link.public, **elsewhere}


def _process(process: Process) -> dict[str, object]:
    return {
        "kind": process.kind.value,
        "command": list(process.command),
        "port": process.port,
        "schedule": process.schedule,
        "replicas": process.replicas,
        "migrates": process.migrates,
        "probe": process.probe,
    }
