"""The running services of a preview and their versions. All sentences about running services use this module. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.core.model.catalog import ProcessKind, Service
from greenroom.core.model.engine import Health, ObservedPreview, Running
from greenroom.core.model.spec import PreviewSpec, same_pods
from greenroom.core.planning.chart_values import revision


@dataclass(frozen=True, slots=True)
class Serving:
    """The services of a preview, sorted by what their own pods run.

    `current` run the version and settings of the spec, and `previous` run earlier ones. `down` has the names of
    services without a ready pod. A service that has only cron jobs is in none of them. `starting` has the commits that
    the spec wants and that do not run yet, without duplicates.
    """

    current: tuple[Running, ...] = ()
    previous: tuple[Running, ...] = ()
    down: tuple[str, ...] = ()
    starting: tuple[str, ...] = ()

    @property
    def versions(self) -> dict[str, tuple[str, ...]]:
        """Return the commits that run, each with the names of its services."""
        found: dict[str, tuple[str, ...]] = {}
        for service in (*self.previous, *self.current):
            found[service.sha] = (*found.get(service.sha, ()), service.service)
        return found


NOTHING = Serving()


def serving(spec: PreviewSpec, preview: ObservedPreview | None) -> Serving:
    """Sort the services of a spec by the version that runs. `spec` may be newer than the one that the engine
    applies.
    """
    running = {s.service: s for s in preview.services} if preview else {}
    wanted = {v.service: v for v in spec.build.versions}
    current, previous, down, starting = [], [], [], []
    for service in spec.services:
        if all(p.kind is ProcessKind.CRON for p in service.processes):
            continue
        now, version = running.get(service.name), wanted.get(service.name)
        if now is None or not now.ready:
            down.append(service.name)
        elif now.outdated or (version and now.digest != version.digest) or _changed(service, spec, preview):
            previous.append(now)
        else:
            current.append(now)
        if version and (now is None or not now.ready or now.sha != version.sha):
            starting.append(version.sha)
    return Serving(tuple(current), tuple(previous), tuple(down), tuple(dict.fromkeys(starting)))


def serves_only(spec: PreviewSpec, preview: ObservedPreview | None) -> bool:
    """Return whether every service of a spec runs its version and settings, and nothing else answers."""
    runs = serving(spec, preview)
    ready = preview is not None and preview.health is Health.READY and same_pods(preview.spec, spec)
    return ready and not spec.prepared and not spec.asleep and not runs.previous and not runs.down


def _changed(service: Service, spec: PreviewSpec, preview: ObservedPreview | None) -> bool:
    """Return whether the engine still applies another version or other settings of a service."""
    if preview is None:
        return False
    old = next((s for s in preview.spec.services if s.name == service.name), None)
    return old is None or revision(old, preview.spec) != revision(service, spec)
