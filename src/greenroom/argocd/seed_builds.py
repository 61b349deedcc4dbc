"""Builds of seed images in the cluster: start their Jobs, follow them, and report how they end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from greenroom import logs
from greenroom.argocd import seed_jobs
from greenroom.argocd.client import JOBS, PODS, SERVICES, Conflict, Kind, Kube, Object
from greenroom.argocd.informer import Mirror
from greenroom.argocd.seed_jobs import OWNER, ROLE, SEED, BuildSettings
from greenroom.argocd.timing import Timing
from greenroom.background import Tasks
from greenroom.core.comment.sanitize import plain
from greenroom.core.model.engine import BuildFailed
from greenroom.core.model.seeds import SeedBuild
from greenroom.errors import Doubt, Failed, GreenroomError, RetryLater

log = structlog.get_logger(__name__)

REFUSED_SECONDS = 300.0
"""Seconds to wait before retrying a build that Kubernetes refused."""


class SeedBuilds:
    """The builds of one installation. Without settings, it builds nothing and has nothing to report.

    `wake` is called when a build ends. A Job's name has the tag of the image in it, so two instances or two pull
    requests never build one image twice.
    """

    def __init__(self, kube: Kube, settings: BuildSettings | None, wake: Callable[[], None], timing: Timing) -> None:
        self._kube = kube
        self._settings = settings
        self._wake = wake
        self._timing = timing
        self._messages: dict[str, str] = {}  # by the uid of a Job
        self._refused: dict[str, BuildFailed] = {}
        self._tasks: Tasks | None = None
        self._jobs = self._mirror(settings) if settings else None

    def _mirror(self, settings: BuildSettings) -> Mirror:
        labels = f"{OWNER}={settings.installation},{SEED}"
        return Mirror(self._kube, JOBS, self._changed, self._timing, namespace=settings.namespace, labels=labels)

    async def run(self, tasks: Tasks) -> None:
        """Start to follow the Jobs, and wait until all that exist are known."""
        self._tasks = tasks
        if self._jobs:
            tasks.keep("Job watch", self._jobs.run)
            with contextlib.suppress(TimeoutError):  # previews without seeds do not need them
                async with asyncio.timeout(self._timing.first_copy):
                    await self._jobs.ready.wait()

    def building(self) -> frozenset[str]:
        """Return the keys of the builds in progress.

        A build without its courier was interrupted while it was started, so it is started again.
        """
        couriers = (job for jobs in self._by_key().values() for job in jobs if _role(job) == "courier")
        return frozenset(job["metadata"]["labels"][SEED] for job in couriers if not _ended(job))

    def failed(self) -> dict[str, BuildFailed]:
        """Return the builds that failed, by key, until their Jobs are deleted."""
        found = dict(self._refused)
        for key, jobs in self._by_key().items():
            wrong = [job for job in jobs if _failure(job)]
            if wrong:
                couriers = [j for j in wrong if _role(j) == "courier"]
                found[key] = BuildFailed(self._why((couriers or wrong)[0]))
        return found

    async def start(self, build: SeedBuild) -> None:
        """Create the Jobs of a build, and the Service between them, as far as they do not exist.

        Raise `RetryLater` while the Jobs of an earlier build wait for their deletion, and `Failed` if Kubernetes
        refuses them: without a namespace, a permission or a quota for builds, everything else still works.
        """
        try:
            await self._start(build)
        except RetryLater:
            raise
        except GreenroomError as error:
            why = f"The seed image cannot be built in this cluster. {error}"
            self._refused[build.key] = BuildFailed(plain(why, 400))
            if self._tasks:
                self._tasks.start("seed build retry", self._forget(build.key))
            raise Failed(why) from None

    async def _forget(self, key: str) -> None:
        """Forget that a build was refused after a while, so that it is tried again."""
        await self._timing.clock.sleep(REFUSED_SECONDS)
        self._refused.pop(key, None)
        self._wake()

    async def _start(self, build: SeedBuild) -> None:
        settings = self._settings
        if settings is None:
            raise Failed(
                "Greenroom does not build seed images in this cluster. To enable builds, set"
                " `seeds: { build: cluster }`."
            )
        job = await self._created(JOBS, seed_jobs.bake(build, settings))
        if _ended(job):
            raise RetryLater(f"An earlier build of {build.reference} is being cleaned up.", after=30)
        await self._created(SERVICES, seed_jobs.service(build, settings, job))
        courier = await self._created(JOBS, seed_jobs.courier(build, settings, job))
        log.info("seed image is being built", image=build.reference, dump=build.path)
        if self._jobs:
            self._jobs.written(job)
            self._jobs.written(courier)

    async def _created(self, kind: Kind, wanted: Object) -> Object:
        """Create an object, or return the one that has its name."""
        metadata = wanted["metadata"]
        try:
            return await self._kube.create(kind, metadata["namespace"], wanted)
        except Conflict:
            found = await self._kube.get(kind, metadata["namespace"], metadata["name"])
            if found is None:
                raise
            if (owner := found["metadata"].get("labels", {}).get(OWNER)) != metadata["labels"][OWNER]:
                name = f"{metadata['namespace']}/{metadata['name']}"
                raise Failed(
                    f"{name} belongs to the installation {owner}. Give each installation its own `seeds.namespace`."
                ) from None
            return found

    def _by_key(self) -> dict[str, list[Object]]:
        """Return the Jobs of each build; none while they cannot be read. To start a build again changes nothing."""
        found: dict[str, list[Object]] = {}
        try:
            jobs = self._jobs.whole() if self._jobs else {}
        except Doubt:
            jobs = {}
        for job in jobs.values():
            found.setdefault(job["metadata"]["labels"][SEED], []).append(job)
        return found

    def _why(self, job: Object) -> str:
        known = self._messages.get(job["metadata"]["uid"], "")
        return known or plain(f"The seed image could not be built: {_failure(job)}", 300)

    def _changed(self, job: Object) -> None:
        if _failure(job) and job["metadata"]["uid"] not in self._messages and self._tasks:
            self._tasks.start("seed build message", self._read(job))
        elif _ended(job):
            self._wake()

    async def _read(self, job: Object) -> None:
        """Read why a Job failed, from the termination message of its pod.

        https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
        """
        selector = f"job-name={job['metadata']['name']}"
        with contextlib.suppress(GreenroomError):
            pods, _ = await self._kube.listed(PODS, job["metadata"]["namespace"], labelSelector=selector)
            found = [
                _termination_message(status)
                for pod in pods
                for status in (pod["status"].get("containerStatuses") or ())
            ]
            self._messages[job["metadata"]["uid"]] = plain(logs.scrub(next(filter(None, found), "")), 400)
        self._wake()


def _role(job: Object) -> str:
    return str(job["metadata"]["labels"].get(ROLE, ""))


def _termination_message(status: Object) -> str:
    ended = (status.get("state") or {}).get("terminated") or {}
    return str(ended.get("message", "")).strip() if ended.get("exitCode") else ""


def _condition(job: Object, kind: str) -> Object | None:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)


def _failure(job: Object) -> str:
    """Return why Kubernetes counts a Job as failed; empty if it did not fail."""
    found = _condition(job, "Failed")
    return str(found.get("message") or found.get("reason") or "its Job failed") if found else ""


def _ended(job: Object) -> bool:
    return _condition(job, "Complete") is not None or bool(_failure(job))
