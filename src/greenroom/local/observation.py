"""A preview's state for the controller: its health, and its services as they run now."""

from __future__ import annotations

from collections.abc import Callable

from greenroom.core.linking.addresses import host_of
from greenroom.core.model.catalog import ProcessKind, Service
from greenroom.core.model.engine import ObservedPreview, Running
from greenroom.core.model.spec import Version
from greenroom.local import processes
from greenroom.local.state import Instance, PreviewRecord
from greenroom.local.version_key import key_of


def observed(
    kept: PreviewRecord, proxy_port: int, other_versions: Callable[[Service], tuple[str, ...]]
) -> ObservedPreview:
    """Return a preview as the controller sees it.

    `other_versions` returns a sentence for each need of a service that runs another version than the service asks for.
    """
    services = kept.serving.spec.services if kept.serving else kept.spec.services
    return ObservedPreview(
        identity=kept.identity,
        uid=kept.uid,
        spec=kept.spec,
        health=kept.health,
        services=tuple(_running(kept, s, proxy_port, other_versions(s)) for s in services),
        since=kept.since,
        why=kept.why,
        fix=kept.fix,
        log=kept.log,
        calls=_calls(kept.serving),
        failing=kept.failing,
    )


def _running(kept: PreviewRecord, service: Service, proxy_port: int, notes: tuple[str, ...]) -> Running:
    instance = kept.serving
    version = _version(instance, service.name) if instance else None
    live = [p for p in instance.processes if p.service == service.name] if instance else []
    ending = [p for p in kept.ending if p.service == service.name]
    crons = [p.name for p in service.processes if p.kind is ProcessKind.CRON]
    if crons:
        notes = (*notes, f"cron {', '.join(crons)} does not run on the local engine")
    return Running(
        service=service.name,
        url=_url(kept, service.name, proxy_port),
        sha=version.sha if version else "",
        digest=version.digest if version else "",
        ready=bool(live) and all(processes.alive(p.pid, p.started) for p in live),
        since=instance.ready_at if instance else None,
        note="; ".join(notes),
        outdated=instance is not None and instance.key != key_of(kept.spec),
        ending=any(processes.alive(p.pid, p.started) for p in ending),
    )


def _calls(instance: Instance | None) -> frozenset[str]:
    """Return the public hosts that the links of a version point to. Internal hosts are all the same: this machine."""
    return frozenset(host_of(k.public) for k in instance.spec.links.targets if k.public) if instance else frozenset()


def _url(kept: PreviewRecord, service: str, proxy_port: int) -> str:
    """Return the address of a public service, or an empty string."""
    host = kept.spec.names.host(service)
    return f"http://{host}:{proxy_port}" if host else ""


def _version(instance: Instance, service: str) -> Version | None:
    """Return the version of a service in an instance; None if there is none."""
    return next((v for v in instance.spec.build.versions if v.service == service), None)
