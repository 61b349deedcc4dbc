"""Observation of one preview that Argo CD holds. It only reads.

*Ready* means that every process runs the spec's version and that an HTTP probe through the public host answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from greenroom import logs
from greenroom.argocd import pod_trouble, sync_status, troubles
from greenroom.argocd import pods as reading
from greenroom.argocd.client import EVENTS, NAMESPACES, Kube, Object
from greenroom.argocd.look import Look
from greenroom.argocd.migration_reports import MigrationReports
from greenroom.argocd.namespaces import held_by
from greenroom.argocd.pod_trouble import Trouble
from greenroom.argocd.probe import Prober, PublicHosts
from greenroom.argocd.stopwatch import Stopwatch
from greenroom.argocd.timing import Timing
from greenroom.core.comment.log_excerpt import excerpt
from greenroom.core.messages import PLATFORM
from greenroom.core.model.engine import Health
from greenroom.core.model.migration_report import ServiceMigration
from greenroom.core.model.spec import PreviewSpec

LOG_LINES = 20
SUSPECT_LINES = 10
LOG_READ = 200  # the line that names the cause may come well before the last one
# The kubelet answers 200 with this sentence when the container's log is gone. The container did not write it.
RUNTIMES_ERROR = re.compile(
    r"(?:unable to retrieve container logs for \w+://|failed to try resolving symlinks in path)"
)


@dataclass(frozen=True, slots=True)
class Ground:
    """The sources of a look. `pods` returns the local copy of a namespace's pods; without `logs` no log is read."""

    previews: Kube
    pods: Callable[[str], list[Object]]
    prober: Prober
    logs: bool
    timing: Timing


class Observer:
    """Looks at one preview, and remembers the last look and how long its conditions have held."""

    def __init__(self, ground: Ground, reports: MigrationReports | None = None) -> None:
        clock = ground.timing.clock
        self.last: Look | None = None
        self._ground = ground
        self._reports = reports
        self._hosts = PublicHosts(ground.prober)
        self._refused, self._refused_spec = Stopwatch(clock), Stopwatch(clock)
        self._going, self._bare, self._silent = Stopwatch(clock), Stopwatch(clock), Stopwatch(clock)

    @property
    def refused_for(self) -> float | None:
        """Return for how many seconds Argo CD has refused the present spec; None when the last look shows no
        refusal.
        """
        return self._refused_spec.age if self.last and self.last.refused else None

    async def look(self, application: Object, spec: PreviewSpec) -> Look:
        """Look once at the preview of this spec. Raise `Doubt` or `RetryLater` when a cluster does not answer well.

        Scrub the text from Argo CD, Kubernetes and containers here, on behalf of all later readers.
        """
        found = await self._seen(application, spec)
        lines, migrations = tuple(logs.scrub(line) for line in found.log), self._migrations(spec)
        self.last = replace(found, why=logs.scrub(found.why), log=lines, migrations=migrations)
        return self.last

    def _migrations(self, spec: PreviewSpec) -> tuple[ServiceMigration, ...]:
        if self._reports is None or not self._ground.logs:
            return ()
        return self._reports.of(self._ground.pods(spec.names.namespace), spec)

    async def _seen(self, application: Object, spec: PreviewSpec) -> Look:
        timing = self._ground.timing
        pods, now = self._ground.pods(spec.names.namespace), timing.clock.now()
        look = self._facts(application, spec, pods, now)
        going = self._going.held(bool(application["metadata"].get("deletionTimestamp")))
        if going is not None:
            late = going >= timing.removal_patience
            return replace(look, health=Health.REMOVING, why=await self._why_still_there(spec) if late else "")
        if spec.asleep or (self.last and self.last.uid != look.uid):
            self._hosts.forget()  # probe again after sleep, or when the Application was recreated
        if refusal := self._refusal(application, spec):
            return replace(look, health=Health.FAILED, why=refusal, fix=PLATFORM, refused=True)
        if spec.prepared:
            return await self._preparing(look, pods, now)
        if spec.asleep:
            return replace(look, health=Health.READY)
        if reading.settled(pods, spec, now):
            return await self._answering(look)
        self._silent.reset()
        return await self._starting(look, pods, now)

    def _facts(self, application: Object, spec: PreviewSpec, pods: list[Object], now: datetime) -> Look:
        prober = self._ground.prober
        services = tuple(reading.running(pods, spec, s, prober.url(spec, s), now) for s in spec.services)
        return Look(
            uid=application["metadata"]["uid"],
            spec=spec,
            health=Health.UPDATING if any(s.ready and s.sha for s in services) else Health.STARTING,
            services=services,
            since=datetime.fromisoformat(application["metadata"]["creationTimestamp"]),
            lives=reading.lives(pods, spec),
            manual_overrides=sync_status.manual_parameters(application),
            calls=reading.calls(pods, spec),
        )

    def _refusal(self, application: Object, spec: PreviewSpec) -> str:
        """Return why Argo CD refuses the spec, once that lasts; empty otherwise.

        A restart of Argo CD briefly looks like a refusal to render. A failed operation has no such delay.
        """
        found = sync_status.refusal(application)
        if self.last is None or self.last.spec != spec:
            self._refused_spec.reset()  # another spec counts as a new try
        self._refused_spec.held(bool(found))
        patience = 0.0 if sync_status.failed(application) else self._ground.timing.render_patience
        return found if self._refused.lasts(bool(found), patience) else ""

    async def _preparing(self, look: Look, pods: list[Object], now: datetime) -> Look:
        """Return the observation of a preview without services. It is prepared once its needs are ready."""
        if reading.needs_ready(pods, look.spec):
            self._bare.reset()
            return replace(look, health=Health.PREPARED)
        found = troubles.trouble(pods, look.spec, now) or await self._why_no_pod(pods, look.spec)
        return replace(look, health=Health.FAILED, why=found.why, fix=found.fix) if found else look

    async def _answering(self, look: Look) -> Look:
        """Return the look at a preview whose processes all run: ready as soon as its public hosts answer."""
        self._bare.reset()
        silence = await self._hosts.silence(look.spec)
        lasts = self._silent.lasts(bool(silence), self._ground.timing.silence_patience)
        if not silence:
            return replace(look, health=Health.READY)
        return replace(look, why=f"Every process is running, but {silence}.") if lasts else look

    async def _starting(self, look: Look, pods: list[Object], now: datetime) -> Look:
        """Return the look at a preview whose processes do not all run, with the reason if something keeps them."""
        spec = look.spec
        found = troubles.trouble(pods, spec, now) or await self._why_no_pod(pods, spec)
        if found is None:
            return look
        if found.silent:
            found = pod_trouble.with_probe(found, await self._events(spec, "reason=Unhealthy"))
        look = replace(look, health=Health.FAILED, why=found.why, fix=found.fix, failing=found.service)
        before = self.last
        if before and before.log and (before.spec, before.why) == (spec, logs.scrub(found.why)):
            return replace(look, log=before.log)  # later lines do not change the reason
        return replace(look, log=(*await self._log(spec, found), *await self._beside(spec, found, pods)))

    async def _why_no_pod(self, pods: list[Object], spec: PreviewSpec) -> Trouble | None:
        process = reading.missing_need(pods, spec) if spec.prepared else reading.missing(pods, spec)
        if not self._bare.lasts(bool(process), self._ground.timing.no_pod_patience):
            return None
        return pod_trouble.not_created(await self._events(spec, "reason=FailedCreate"), process)

    async def _events(self, spec: PreviewSpec, which: str) -> list[Object]:
        selector = f"{which},type=Warning"
        events, _ = await self._ground.previews.listed(EVENTS, spec.names.namespace, fieldSelector=selector)
        return events

    async def _log(self, spec: PreviewSpec, found: Trouble) -> tuple[str, ...]:
        if not found.pod or not self._ground.logs:
            return ()
        # The runtime may have deleted the log of one container and still have that of the one before or after it.
        for previous in (found.previous, not found.previous):
            lines = await self._ground.previews.logs(
                spec.names.namespace, found.pod, found.container, LOG_READ, previous=previous
            )
            if own := tuple(line for line in lines if not RUNTIMES_ERROR.match(line)):
                return excerpt(own, LOG_LINES)
        return ()

    async def _beside(self, spec: PreviewSpec, found: Trouble, pods: list[Object]) -> tuple[str, ...]:
        """Return the last lines of what the failing service depends on and the pull request changes, with a heading."""
        shown: list[str] = []
        for service, pod, process in troubles.suspects(pods, spec, found.service):
            there = Trouble("", pod["metadata"]["name"], process.name)
            if lines := await self._log(spec, there):
                shown += [f"--- {service.name}, which this pull request changes ---", *lines[-SUSPECT_LINES:]]
        return tuple(shown)

    async def _why_still_there(self, spec: PreviewSpec) -> str:
        namespace = await self._ground.previews.get(NAMESPACES, "", spec.names.namespace)
        return held_by(namespace) if namespace else "Argo CD has not finished deleting the preview's Application."
