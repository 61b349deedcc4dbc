"""What runs of a preview is decided for each service from its own pods."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import (
    NOW,
    PLATFORM,
    REPOSITORY,
    SERVICE,
    changed,
    decide,
    digest,
    facts,
    identity,
    preview,
    pull_request,
    sha,
    spec,
)
from greenroom.core.comment.serving import serving
from greenroom.core.model.catalog import Platform, Process, ProcessKind, Service
from greenroom.core.model.engine import EngineState, Health, ObservedPreview, PreviewSet, Running
from greenroom.core.model.github import Missing
from greenroom.core.model.spec import PreviewSpec, Version
from greenroom.core.model.status import Stage, Status
from greenroom.core.planning import names

SITE = replace(SERVICE, name="site")
API = replace(SERVICE, name="api", image=replace(SERVICE.image, repository="registry.example.com/api"))
WORKER = replace(API, name="worker", processes=(Process("worker", kind=ProcessKind.WORKER),))
NEW, OLD, BASE = sha(1), sha(1, 50), sha(1, 77)


def of(*services: Service) -> Platform:
    return replace(PLATFORM, repositories=(replace(REPOSITORY, services=services),))


def wanted(*services: Service, base: tuple[str, ...] = ()) -> PreviewSpec:
    """Return the spec of these services: the pull request's version, or the base branch's for those in `base`."""
    versions = [(s, BASE if s.name in base else NEW) for s in services]
    made = tuple(Version(s.name, at, s.image.reference(at, 1), digest(f"{s.name}{at}")) for s, at in versions)
    platform = of(*services)
    naming = names.naming(platform, platform.repositories[0], 1)
    return changed(spec(1, platform), versions=made, services=services, names=naming)


def runs(service: Service, at: str = NEW, *, ready: bool = True, outdated: bool = False) -> Running:
    if not ready:
        return Running(service.name, "", "", "", ready=False)
    return Running(service.name, "", at, digest(f"{service.name}{at}"), True, NOW - timedelta(hours=1), "", outdated)


def shown(
    made: PreviewSpec, health: Health, *services: Running, why: str = "", old: PreviewSpec | None = None
) -> Status:
    """Return the status of a preview with this spec and these running services. `old` is the engine's spec."""
    held = replace(preview(1, old or made, health), services=services, why=why)
    holds = EngineState({identity(): held}, {7: PreviewSet(7, "shop", 1, {1: made})})
    found = pull_request(1, base_sha=BASE, changed=frozenset({"x"}))
    platform = of(*made.services)
    return decide(facts(found, holds=holds), platform, platform.repositories[0], NOW).statuses[identity()]


CRASH = "worker ended with exit code 1."


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ((runs(SITE, ready=False), runs(WORKER, ready=False)), "No version is running."),
        ((runs(SITE), runs(WORKER, ready=False)), f"site runs version {NEW[:7]}; worker is not ready."),
        ((runs(SITE), runs(WORKER, OLD)), f"worker keeps running version {OLD[:7]}; site runs"),
        ((runs(SITE, OLD), runs(WORKER, OLD)), f"The previous version, {OLD[:7]}, keeps running."),
        ((runs(SITE, OLD), runs(WORKER, ready=False)), f"site keeps running version {OLD[:7]}; worker is not ready."),
        ((runs(SITE, outdated=True), runs(WORKER)), f"The current version, {NEW[:7]}, keeps running."),
    ],
)
def test_failure_names_what_the_pods_of_each_service_run(services: tuple[Running, ...], said: str) -> None:
    status = shown(wanted(SITE, WORKER), Health.FAILED, *services, why=CRASH)
    assert status.stage is Stage.FAILED
    assert f"{CRASH} {said}" in status.reason.text


def test_the_base_image_of_one_service_is_not_the_last_version_of_another() -> None:
    made = wanted(SITE, WORKER, base=("worker",))
    status = shown(made, Health.FAILED, runs(SITE, ready=False), runs(WORKER, BASE), why="site ended with exit code 1.")
    assert f"worker runs version {BASE[:7]}; site is not ready." in status.reason.text


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ((runs(SITE, ready=False), runs(WORKER, ready=False)), "The preview is starting."),
        ((runs(SITE), runs(WORKER, ready=False)), "worker is starting; site is running."),
        ((runs(SITE), runs(WORKER)), "All services are running, but some processes or addresses are not ready yet."),
    ],
)
def test_first_start_does_not_mention_an_earlier_version(services: tuple[Running, ...], said: str) -> None:
    for health in (Health.STARTING, Health.UPDATING):
        status = shown(wanted(SITE, WORKER), health, *services)
        assert (status.stage, status.reason.text) == (Stage.STARTING, said)


def test_an_update_names_the_new_version_and_the_one_that_keeps_running() -> None:
    status = shown(wanted(SITE, WORKER), Health.UPDATING, runs(SITE, OLD), runs(WORKER, OLD))
    assert (status.stage, status.reason.text) == (
        Stage.UPDATING,
        f"Version {NEW[:7]} is starting. The previous version, {OLD[:7]}, keeps running.",
    )


def test_settings_are_applied_only_where_pods_have_older_ones() -> None:
    made = wanted(SITE, WORKER)
    said = f"Changes to links, settings or data are being applied. The current version, {NEW[:7]}, keeps running."
    assert shown(made, Health.UPDATING, runs(SITE, outdated=True), runs(WORKER)).reason.text == said
    other = changed(made, services=(replace(SITE, env=(("COLOR", "green"),)), WORKER))
    assert shown(other, Health.READY, runs(SITE), runs(WORKER), old=made).reason.text == said
    assert shown(made, Health.UPDATING, runs(SITE), runs(WORKER)).stage is Stage.STARTING


def test_a_ready_preview_runs_every_service_as_wanted() -> None:
    assert shown(wanted(SITE, WORKER), Health.READY, runs(SITE), runs(WORKER)).stage is Stage.READY
    assert shown(wanted(SITE, WORKER), Health.READY, runs(SITE), runs(WORKER, OLD)).stage is Stage.UPDATING
    assert shown(wanted(SITE, WORKER), Health.READY, runs(SITE), runs(WORKER, ready=False)).stage is Stage.STARTING


@pytest.mark.parametrize("ready", [True, False])
def test_a_push_that_waits_for_its_image_names_only_what_runs(ready: bool) -> None:
    pushed = pull_request(1, head_sha=sha(1, 2))
    held = replace(preview(1), services=(replace(preview(1).services[0], ready=ready),))
    holds = EngineState({identity(): held}, {7: PreviewSet(7, "shop", 1, {1: spec(1)})})
    images = {SERVICE.image.reference(pushed.head_sha, 1): Missing()}
    status = decide(facts(pushed, holds=holds, images=images), PLATFORM, REPOSITORY, NOW).statuses[identity()]
    assert (f"The current version, {NEW[:7]}, keeps running." in status.reason.text) is ready


def test_running_worker_has_no_address() -> None:
    held = replace(runs(SITE, ready=False), url="https://site.example.com")
    assert not shown(wanted(SITE, WORKER), Health.STARTING, held, runs(WORKER)).serving


def test_a_service_with_only_cron_jobs_neither_runs_nor_is_down() -> None:
    nightly = replace(WORKER, name="nightly", processes=(Process("nightly", kind=ProcessKind.CRON),))
    made = wanted(SITE, nightly)
    held: ObservedPreview = replace(preview(1, made), services=(runs(SITE), runs(nightly)))
    assert [s.service for s in serving(made, held).current] == ["site"]


@pytest.mark.parametrize(
    ("services", "health", "serves"),
    [
        ((runs(SITE), runs(WORKER)), Health.READY, True),
        ((runs(SITE), runs(WORKER, OLD)), Health.READY, False),
        ((runs(SITE), runs(WORKER, outdated=True)), Health.READY, False),
        ((runs(SITE), runs(WORKER, ready=False)), Health.READY, False),
        ((runs(SITE), runs(WORKER)), Health.UPDATING, False),
        ((runs(SITE), runs(WORKER)), Health.FAILED, False),
    ],
    ids=["all", "an older one", "older settings", "one is down", "updating", "failed"],
)
def test_head_is_served_when_only_its_images_run(services: tuple[Running, ...], health: Health, serves: bool) -> None:
    status = shown(wanted(SITE, WORKER), health, *services)
    assert (status.head_sha, status.serves_head) == (NEW, serves)


def test_head_is_not_served_while_its_push_waits() -> None:
    made = changed(wanted(SITE), head_sha=OLD)
    assert not shown(made, Health.READY, runs(SITE)).serves_head
