"""Builds of seed images in the cluster: their Jobs, once each, and how they end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from argocd_engine.fake import FakeKube
from greenroom.argocd import seed_jobs
from greenroom.argocd.client import JOBS, PODS, SERVICES, Kind, Object
from greenroom.argocd.seed_builds import SeedBuilds
from greenroom.argocd.seed_jobs import BuildSettings
from greenroom.argocd.timing import Timing
from greenroom.background import Tasks
from greenroom.core.model.codec import loaded
from greenroom.core.model.engine import BuildFailed
from greenroom.core.model.seeds import SeedBuild, SeedInputs, Source
from greenroom.errors import Failed, FixCredentials, Refused, RetryLater
from waiting import until

SETTINGS = BuildSettings(
    "test", "greenroom-seeds", "ghcr.io/greenroom/greenroom:1", "greenroom-seeds", "https://api.github.com", ("r:5000",)
)
INPUTS = SeedInputs("postgresql", "16", "docker.io/library/postgres:16", "d" * 40, extensions=("pgcrypto",))
BUILD = SeedBuild(
    INPUTS, Source("acme/shop", "a" * 40), "seed/shop.sql", f"r.example.com/seeds:{INPUTS.tag}", (("orders", 5),)
)
BAKE, COURIER = f"seed-{BUILD.key}", f"seed-{BUILD.key}-courier"


def pod_of(job: Object) -> Any:
    return job["spec"]["template"]["spec"]


def containers(job: Object) -> dict[str, Any]:
    return {c["name"]: c for c in pod_of(job)["containers"]}


MADE = seed_jobs.bake(BUILD, SETTINGS) | {"metadata": {**seed_jobs.bake(BUILD, SETTINGS)["metadata"], "uid": "uid-1"}}
OBJECTS = [
    seed_jobs.bake(BUILD, SETTINGS),
    seed_jobs.service(BUILD, SETTINGS, MADE),
    seed_jobs.courier(BUILD, SETTINGS, MADE),
]


@pytest.mark.parametrize("version", ["1.31", "1.34"])
@pytest.mark.parametrize("made", OBJECTS, ids=["bake", "service", "courier"])
def test_kubernetes_accepts_the_objects(made: Object, version: str) -> None:
    assert kubernetes_validate.validate(made, version, strict=True) == version


def test_pod_that_restores_the_dump_has_no_credentials() -> None:
    bake, courier = OBJECTS[0], OBJECTS[2]
    assert "secret" not in json.dumps(pod_of(bake)).lower()
    assert pod_of(bake)["automountServiceAccountToken"] is False
    assert [v["name"] for v in pod_of(bake)["volumes"]] == ["work", "tmp"]
    assert containers(bake)["database"]["image"] == INPUTS.base
    assert [e["name"] for e in containers(bake)["database"]["env"]] == ["WORK"]
    assert containers(courier).keys() == {"courier"}, "what has the credentials runs nothing of the dump"


def test_pods_meet_pod_security_restricted() -> None:
    for job in (OBJECTS[0], OBJECTS[2]):
        pod = pod_of(job)
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_courier_gets_the_build_and_the_token_of_its_agent() -> None:
    env = {e["name"]: e.get("value") for e in containers(OBJECTS[2])["courier"]["env"]}
    assert loaded(SeedBuild, json.loads(str(env["GREENROOM_SEED_BUILD"]))) == BUILD
    assert env["GREENROOM_SEED_TOKEN"] == "uid-1"
    assert containers(OBJECTS[2])["courier"]["args"] == [
        "seed",
        "courier",
        f"http://{BAKE}.greenroom-seeds:8080",
        "--insecure",
        "r:5000",
    ]


class Played:
    """Builds that follow the Jobs of a fake cluster."""

    def __init__(self, kube: FakeKube | None = None) -> None:
        self.kube = kube or FakeKube()
        self.tasks = Tasks()
        self.woken = 0
        self.builds = SeedBuilds(self.kube, SETTINGS, self._wake, Timing())  # type: ignore[arg-type]

    def _wake(self) -> None:
        self.woken += 1

    async def __aenter__(self) -> Played:
        await self.builds.run(self.tasks)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.tasks.aclose()

    def job(self, name: str) -> Object:
        return self.kube.objects[JOBS.plural, "greenroom-seeds", name]

    def ends(self, name: str, kind: str, message: str = "") -> None:
        condition = {"type": kind, "status": "True", "message": message}
        self.kube.put(JOBS.plural, {**self.job(name), "status": {"conditions": [condition]}})


async def test_build_is_started_once_and_reported_until_its_courier_ends() -> None:
    async with Played() as played:
        await played.builds.start(BUILD)
        assert played.builds.building() == {BUILD.key}
        await played.builds.start(BUILD)
        jobs = {name for kind, _, name in played.kube.objects if kind == JOBS.plural}
        assert jobs == {BAKE, COURIER}
        assert (SERVICES.plural, "greenroom-seeds", BAKE) in played.kube.objects
        played.ends(COURIER, "Complete")
        await until(lambda: played.woken > 0)
        assert played.builds.building() == frozenset()
        assert played.builds.failed() == {}


async def test_build_that_was_interrupted_while_it_started_is_completed() -> None:
    async with Played() as played:
        await played.kube.create(JOBS, "greenroom-seeds", seed_jobs.bake(BUILD, SETTINGS))
        assert played.builds.building() == frozenset()
        await played.builds.start(BUILD)
        token = containers(played.job(COURIER))["courier"]["env"][1]["value"]
        assert token == played.job(BAKE)["metadata"]["uid"]


async def test_failed_build_says_what_its_courier_wrote() -> None:
    async with Played() as played:
        await played.builds.start(BUILD)
        ended = {"terminated": {"exitCode": 1, "message": "seed/shop.sql is cut off at byte 4,096.\n"}}
        labels = {"job-name": COURIER}
        played.kube.put(
            PODS.plural,
            {
                "metadata": {"name": f"{COURIER}-x", "namespace": "greenroom-seeds", "labels": labels},
                "status": {"containerStatuses": [{"name": "courier", "state": ended}]},
            },
        )
        played.ends(COURIER, "Failed", "Job has reached the specified backoff limit")
        await until(lambda: played.woken > 0)
        assert played.builds.failed() == {BUILD.key: BuildFailed("seed/shop.sql is cut off at byte 4,096.")}


async def test_failed_build_without_a_message_says_what_kubernetes_says() -> None:
    async with Played() as played:
        await played.builds.start(BUILD)
        played.ends(COURIER, "Failed", "Job was active longer than specified deadline")
        await until(lambda: played.woken > 0)
        [failed] = played.builds.failed().values()
        assert failed.why == "The seed image could not be built: Job was active longer than specified deadline"


async def test_build_waits_while_an_earlier_one_is_cleaned_up() -> None:
    async with Played() as played:
        await played.builds.start(BUILD)
        played.ends(BAKE, "Complete")
        with pytest.raises(RetryLater, match="is being cleaned up") as found:
            await played.builds.start(BUILD)
        assert found.value.after == 30, "the pull request may bring another dump meanwhile, which must not wait"


async def test_without_settings_nothing_is_built_or_read() -> None:
    builds = SeedBuilds(FakeKube(), None, lambda: None, Timing())  # type: ignore[arg-type]
    assert (builds.building(), builds.failed()) == (frozenset(), {})
    with pytest.raises(Failed, match="build: cluster"):
        await builds.start(BUILD)


async def test_seeds_that_cannot_be_watched_block_no_preview() -> None:
    builds = SeedBuilds(FakeKube(), SETTINGS, lambda: None, Timing())  # type: ignore[arg-type]
    assert (builds.building(), builds.failed()) == (frozenset(), {}), "its Jobs were never listed"


async def test_start_does_not_wait_for_jobs_that_cannot_be_listed() -> None:
    class Denied(FakeKube):
        async def listed(self, kind: Kind, namespace: str = "", **params: str) -> tuple[list[Object], str]:
            raise Refused(f"Kubernetes does not allow Greenroom to list {kind.plural}.")

    tasks = Tasks()
    builds = SeedBuilds(Denied(), SETTINGS, lambda: None, Timing(first_copy=0.05))  # type: ignore[arg-type]
    await builds.run(tasks)
    assert (builds.building(), builds.failed()) == (frozenset(), {})
    await tasks.aclose()


async def test_job_of_another_installation_is_reported_and_never_followed() -> None:
    async with Played() as played:
        theirs = replace(SETTINGS, installation="other")
        await played.kube.create(JOBS, "greenroom-seeds", seed_jobs.bake(BUILD, theirs))
        with pytest.raises(Failed, match="belongs to the installation other"):
            await played.builds.start(BUILD)
        assert played.builds.building() == frozenset()


async def test_build_that_kubernetes_refuses_is_reported_and_concerns_no_other_preview() -> None:
    class Full(FakeKube):
        async def create(self, kind: Kind, namespace: str, wanted: Object) -> Object:
            raise FixCredentials("Kubernetes denied the request: exceeded quota: jobs.")

    async with Played(Full()) as played:
        with pytest.raises(Failed, match="exceeded quota"):
            await played.builds.start(BUILD)
        failed = played.builds.failed()[BUILD.key]
        assert failed.why.startswith("The seed image cannot be built in this cluster. Kubernetes denied")


def test_dump_whose_functions_write_without_end_fills_no_node() -> None:
    """A full node evicts the databases of previews, and with them their data."""
    for job in (OBJECTS[0], OBJECTS[2]):
        folders = [v["emptyDir"] for v in pod_of(job)["volumes"] if "emptyDir" in v]
        assert folders
        assert all(folder.get("sizeLimit") for folder in folders)


def test_courier_starts_without_its_secret_to_say_that_it_is_missing() -> None:
    """A pod whose Secret is missing never starts, and its Job would end without a reason after 20 minutes."""
    [token] = [e for e in containers(OBJECTS[2])["courier"]["env"] if e["name"] == "GREENROOM_GITHUB_TOKEN"]
    assert token["valueFrom"]["secretKeyRef"]["optional"] is True
