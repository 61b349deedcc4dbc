"""What pods say, in one plain sentence each; and which version serves, whose data it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from builders import SERVICE, digest, row, sha
from greenroom.argocd import pods as reading
from greenroom.core.catalogue import Need, Process, ProcessKind
from greenroom.core.model import Life
from greenroom.core.rows import revision

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ROW = row(1)
CURRENT = revision(SERVICE, ROW)


def ago(**delta: float) -> str:
    return (NOW - timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(
    *,
    process: str = "web",
    made_from: str = CURRENT,
    serving: bool = False,
    init: tuple[dict[str, Any], ...] = (),
    main: dict[str, Any] | None = None,
    conditions: tuple[dict[str, Any], ...] = (),
    created: str = "2026-11-20T11:00:00Z",
    **metadata: Any,
) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True" if serving else "False", "lastTransitionTime": ago(minutes=1)}
    return {
        "metadata": {
            "name": f"web-{process}-1",
            "namespace": "preview-shop-1",
            "creationTimestamp": created,
            "labels": {reading.SERVICE: SERVICE.name, reading.COMPONENT: process, reading.ROLE: "service"},
            "annotations": {reading.REVISION: made_from, reading.SHA: sha(1)},
            **metadata,
        },
        "spec": {"containers": [{"image": f"registry.test/web@{digest('web')}"}]},
        "status": {
            "phase": "Running",
            "conditions": [ready, *conditions],
            "initContainerStatuses": list(init),
            "containerStatuses": [main] if main else [],
        },
    }


def waiting(name: str, reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "state": {"waiting": {"reason": reason, "message": message}},
        "image": "r.test/web@sha256:1",
        **more,
    }


def running(name: str, since: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "state": {"running": {"startedAt": since}}, **more}


CRASHED = {"terminated": {"exitCode": 1, "reason": "Error"}}
OOM = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
HUNG = {
    "terminated": {
        "exitCode": 124,
        "reason": "Error",
        "startedAt": "2026-03-02T11:00:00Z",
        "finishedAt": "2026-03-02T11:05:00Z",
    }
}
NO_SHELL = {
    "terminated": {
        "exitCode": 128,
        "reason": "StartError",
        "message": 'exec: "sh": executable file not found in $PATH',
    }
}
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient cpu.",
}

TROUBLES: list[tuple[str, dict[str, Any], str]] = [
    (
        "an image that is not there",
        {
            "main": waiting(
                "web", "ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: manifest unknown: not found'
            )
        },
        "The image of shop-web cannot be pulled because the registry does not have it: r.test/web@sha256:1.",
    ),
    (
        "an image that is not given",
        {"main": waiting("web", "ErrImagePull", "401 Unauthorized")},
        "The image of shop-web cannot be pulled because the registry refuses the node's credentials: r.test/web@sha256:1.",
    ),
    (
        "a Secret that is missing",
        {"main": waiting("web", "CreateContainerConfigError", 'secret "shop-settings" not found')},
        'shop-web cannot be started: secret "shop-settings" not found.',
    ),
    (
        "a process that ends",
        {"main": waiting("web", "CrashLoopBackOff", "back-off 20s", restartCount=1, lastState=CRASHED)},
        "shop-web ended with exit code 1.",
    ),
    (
        "the moment between two ends",
        {"main": running("web", ago(seconds=1), restartCount=2, lastState=CRASHED, ready=False)},
        "shop-web ended with exit code 1.",
    ),
    (
        "too much memory",
        {"main": waiting("web", "CrashLoopBackOff", restartCount=3, lastState=OOM)},
        "shop-web was killed because it used more memory than its limit.",
    ),
    (
        "a migration that fails",
        {"init": (waiting("migrate", "CrashLoopBackOff", restartCount=1, lastState=CRASHED),)},
        "The migration of shop-web ended with exit code 1.",
    ),
    (
        "a migration that hangs",
        {"init": (running("migrate", ago(minutes=6)),)},
        "The migration of shop-web runs for longer than 5 min.",
    ),
    (
        "a migration that was ended",
        {"init": (waiting("migrate", "CrashLoopBackOff", restartCount=1, lastState=HUNG),)},
        "The migration of shop-web took longer than 5 min and was ended.",
    ),
    (
        "a migration that was ended and is tried again",
        {"init": (running("migrate", ago(seconds=20), restartCount=1, lastState=HUNG, ready=False),)},
        "The migration of shop-web took longer than 5 min and was ended.",
    ),
    (
        "an image that cannot end its migration",
        {"init": (waiting("migrate", "CrashLoopBackOff", restartCount=1, lastState=NO_SHELL),)},
        'The migration of shop-web cannot be started: exec: "sh": executable file not found in $PATH.'
        " Its image has no `sh` and `timeout` to end it with; set `migrateTimeout: never`.",
    ),
    (
        "a database that does not come",
        {"init": (running("wait-shop-postgresql", ago(seconds=61)),)},
        "shop-web waits for shop-postgresql, which is not ready after 1 min.",
    ),
    (
        "a probe without an answer",
        {"main": running("web", ago(seconds=90), ready=False, restartCount=0)},
        "shop-web runs but does not answer its probe after 1 min.",
    ),
    (
        "no node",
        {"conditions": (UNSCHEDULABLE,)},
        "No node takes shop-web: Insufficient cpu.",
    ),
]


@pytest.mark.parametrize(("given", "sentence"), [t[1:] for t in TROUBLES], ids=[t[0] for t in TROUBLES])
def test_each_trouble_is_one_sentence_that_does_not_tick(given: dict[str, Any], sentence: str) -> None:
    found = reading.trouble([pod(**given)], ROW, NOW)
    assert found is not None
    assert found.why == sentence
    theirs = ("pulled", "secret", "No node", "waits for")
    assert ("platform team" in found.fix) is (any(w in sentence for w in theirs) or "memory" in sentence)
    later = reading.trouble([pod(**given)], ROW, NOW + timedelta(minutes=3))
    assert later is not None
    assert later.why == sentence, "a comment is not edited because time passes"


def test_trouble_of_a_probe_carries_the_process_that_is_probed() -> None:
    found = reading.trouble([pod(main=running("web", ago(seconds=90), ready=False, restartCount=0))], ROW, NOW)
    assert found is not None
    assert found.silent
    assert found.process is not None
    assert found.process.port


@pytest.mark.parametrize(
    "given",
    [
        {"main": waiting("web", "ContainerCreating")},
        {"main": waiting("web", "PodInitializing"), "init": (running("migrate", ago(minutes=4)),)},
        {"main": running("web", ago(seconds=30), ready=False, restartCount=0)},
        {"main": running("web", ago(seconds=2), ready=False, restartCount=1, lastState=CRASHED)},
        {"init": (running("wait-shop-postgresql", ago(seconds=20)),)},
        {"serving": True, "main": running("web", ago(hours=2), ready=True, restartCount=9, lastState=CRASHED)},
        {"made_from": "older", "main": waiting("web", "CrashLoopBackOff", restartCount=3, lastState=CRASHED)},
        {
            "deletionTimestamp": ago(seconds=1),
            "main": waiting("web", "CrashLoopBackOff", restartCount=3, lastState=CRASHED),
        },
    ],
    ids=["creating", "migrating", "starting", "one crash", "waiting", "ready again", "an old version", "going"],
)
def test_what_is_only_on_its_way_is_no_trouble(given: dict[str, Any]) -> None:
    assert reading.trouble([pod(**given)], ROW, NOW) is None


def test_settled_is_when_the_rows_version_alone_is_in_service() -> None:
    assert not reading.settled([], ROW)
    assert not reading.settled([pod()], ROW)
    assert reading.settled([pod(serving=True)], ROW)
    assert not reading.settled([pod(serving=True), pod(serving=True, made_from="older")], ROW)
    assert reading.settled([pod(serving=True), pod(serving=True, made_from="older", deletionTimestamp=NOW)], ROW)


def test_as_many_as_wanted_but_one_of_what_migrates_and_none_of_a_cron() -> None:
    twice = replace(
        SERVICE, processes=(Process("web", port=8080, replicas=2), Process("n", ProcessKind.CRON, schedule="* * * * *"))
    )
    served = row(1, services=(twice,))
    one = pod(serving=True, made_from=revision(twice, served))
    assert not reading.settled([one], served)
    assert reading.settled([one, one], served)
    migrating = replace(twice, processes=(replace(twice.processes[0], migrates=True), twice.processes[1]))
    served = row(1, services=(migrating,))
    assert reading.settled([pod(serving=True, made_from=revision(migrating, served))], served)


def test_what_runs_is_the_newest_version_that_is_ready() -> None:
    old = pod(serving=True, made_from="older", created="2026-11-20T10:00:00Z")
    old["metadata"]["annotations"][reading.SHA] = sha(9)
    assert reading.running([old, pod()], ROW, SERVICE, "https://x").sha == sha(9)
    found = reading.running([old, pod(serving=True)], ROW, SERVICE, "https://x")
    assert (found.sha, found.digest, found.ready) == (sha(1), digest("web"), True)
    nothing = reading.running([pod()], ROW, SERVICE, "https://x")
    assert (nothing.sha, nothing.ready) == ("", False)


NEED = Need("postgresql", "postgresql", "16", (("url", "DATABASE_URL"),))
WITH_DATA = row(1, services=(replace(SERVICE, needs=(NEED,)),))


def database(container: str, since: str, storage: str = "ephemeral") -> dict[str, Any]:
    status = {"name": "postgresql", "containerID": f"containerd://{container * 32}", **running("postgresql", since)}
    return {
        "metadata": {
            "name": "db",
            "labels": {reading.ROLE: "need", reading.SERVICE: "shop-postgresql"},
            "annotations": {reading.STORAGE: storage},
        },
        "spec": {},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


def test_lives_are_named_by_their_containers_and_neither_persistent_data_nor_a_cache_has_one() -> None:
    [life] = reading.lives([database("ab", ago(minutes=1))], WITH_DATA)
    assert (life.need, life.container, life.overtaken) == ("shop-postgresql", "ab" * 6, False)
    assert reading.lives([database("ab", ago(minutes=1), "persistent")], WITH_DATA) == ()
    assert reading.lives([database("ab", ago(minutes=1), "cache")], WITH_DATA) == ()


def test_a_volume_of_the_pod_outlives_its_container_but_not_the_pod() -> None:
    """The stock image's data is on an emptyDir, which a restart of the container alone does not empty."""

    def life(container: str, uid: str, begun: str) -> Life:
        holder = database(container, ago(seconds=5), "pod")
        holder["metadata"]["uid"] = uid
        holder["status"]["startTime"] = begun
        service = pod(serving=True, main=running("web", ago(minutes=1), ready=True))
        service["spec"]["initContainers"] = [{"name": "wait-shop-postgresql"}]
        [found] = reading.lives([holder, service], WITH_DATA)
        return found

    first = life("ab", "u1", ago(minutes=5))
    assert first == life("cd", "u1", ago(minutes=5)), "the same data in another container"
    assert not first.overtaken, "the service migrated this data"
    second = life("ef", "u2", ago(seconds=8))
    assert second.container != first.container
    assert second.overtaken


def test_data_is_overtaken_only_by_a_service_that_waits_for_it_and_started_before() -> None:
    def overtaken(since: str, *waits: str) -> bool:
        served = pod(serving=True, main=running("web", since, ready=True))
        served["spec"]["initContainers"] = [{"name": name} for name in waits]
        [life] = reading.lives([database("ab", ago(minutes=1)), served], WITH_DATA)
        return life.overtaken

    assert overtaken(ago(minutes=5), "wait-shop-postgresql", "migrate")
    assert not overtaken(ago(seconds=5), "wait-shop-postgresql", "migrate")
    assert not overtaken(ago(minutes=5)), "a frontend starts at once, whatever the database does"
    assert not overtaken(ago(minutes=5), "wait-shop-cache"), "a version from before the need joined"


def test_what_others_put_beside_a_database_has_no_data() -> None:
    beside = database("ab", ago(minutes=1))
    proxy = {
        "name": "istio-proxy",
        "containerID": "containerd://" + "cd" * 32,
        **running("istio-proxy", ago(minutes=1)),
    }
    beside["status"]["containerStatuses"].insert(0, proxy | {"name": "istio-proxy"})
    assert [life.container for life in reading.lives([beside], WITH_DATA)] == ["ab" * 6]


def test_a_quota_that_is_too_small_is_told_with_its_numbers() -> None:
    message = (
        'Error creating: pods "shop-web-1" is forbidden: exceeded quota: preview, requested: requests.cpu=50m,'
        " used: requests.cpu=0, limited: requests.cpu=10m"
    )
    events = [
        {"reason": "FailedCreate", "involvedObject": {"name": "shop-web-5d9"}, "message": message},
        {"reason": "FailedCreate", "involvedObject": {"name": "other-1"}, "message": "something else"},
    ]
    found = reading.not_created(events, "shop-web")
    assert found is not None
    assert found.why == (
        "shop-web does not fit the preview's quota: it asks for requests.cpu=50m, requests.cpu=0 is used,"
        " requests.cpu=10m is the limit."
    )
    assert reading.not_created(events, "worker") is None


@pytest.mark.parametrize(("kind", "name"), [("StatefulSet", "shop-postgresql"), ("ReplicaSet", "shop-postgresql-5d9f")])
def test_a_need_without_a_pod_is_told_by_what_kept_it_from_being_made(kind: str, name: str) -> None:
    waits = pod(init=(running("wait-shop-postgresql", ago(seconds=5)),))
    assert reading.missing([waits], ROW) == "shop-postgresql"
    assert reading.missing([waits, database("ab", ago(minutes=1))], ROW) == ""
    message = 'pods "x" is forbidden: exceeded quota: preview, requested: cpu=1, used: cpu=0, limited: cpu=500m'
    event = {"reason": "FailedCreate", "involvedObject": {"kind": kind, "name": name}, "message": message}
    found = reading.not_created([event], "shop-postgresql")
    assert found is not None
    assert found.why.startswith("shop-postgresql does not fit the preview's quota")
    assert "platform team" in found.fix


def test_the_process_without_any_pod_of_the_version_is_named() -> None:
    assert reading.missing([pod(made_from="older")], ROW) == f"{SERVICE.name}-web"
    assert reading.missing([pod()], ROW) == ""
