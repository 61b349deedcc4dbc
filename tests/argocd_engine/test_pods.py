"""What pods say, in one plain sentence each; and which version serves, whose data it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from builders import SERVICE, changed, digest, sha, spec
from greenroom.argocd import pod_trouble, troubles
from greenroom.argocd import pods as reading
from greenroom.core.messages import command_not_found
from greenroom.core.model.catalog import Need, Process, ProcessKind, Service, SharedNeed
from greenroom.core.model.engine import Life
from greenroom.core.model.spec import Link, PreviewSpec, Version
from greenroom.core.planning.chart_values import revision

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ROW = spec(1)
CURRENT = revision(SERVICE, ROW)
LOOP = " Kubernetes restarts shop-web, which counts as ready after 1 min without a crash."


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
    at = ago(minutes=1) if serving else created  # a pod has this condition since it was created
    ready = {"type": "Ready", "status": "True" if serving else "False", "lastTransitionTime": at}
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


def test_running_pods_call_the_hosts_they_were_started_with() -> None:
    variables = (("url", "PAYMENTS_URL"), ("port", "PAYMENTS_PORT"))
    linked = spec(1, targets=(Link(SERVICE.name, "payments", variables, "http://payments.staging", ""),))

    def calling(url: str, **more: Any) -> dict[str, Any]:
        default: dict[str, Any] = {"serving": True, "main": running("web", ago(minutes=9))}
        made = pod(made_from="another revision", **default | more)
        given = {"PAYMENTS_URL": url, "PAYMENTS_PORT": "8080", "DATABASE_URL": "postgres://db"}
        made["spec"]["containers"][0]["env"] = [
            *({"name": n, "value": v} for n, v in given.items()),
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
        ]
        return made

    pods = [
        calling("http://payments.preview-payments-17:8080"),
        calling("http://not-ready-now", serving=False),
        calling("http://not-started", serving=False, main=waiting("web", "ContainerCreating")),
        calling("http://ended", deletionTimestamp="2026-11-20T11:59:00Z", main={"name": "web", "state": CRASHED}),
        calling("http://ending", deletionTimestamp="2026-11-20T11:59:00Z"),
    ]
    assert reading.calls(pods, linked) == {"payments.preview-payments-17", "not-ready-now", "ending"}


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
        "The image of shop-web cannot be pulled because the registry rejects the node's credentials: r.test/web@sha256:1.",
    ),
    (
        "an image with which it waits for its database",
        {
            "init": [waiting("wait-shop-db", "ErrImagePull", "manifest unknown: not found")],
            "main": waiting("web", "PodInitializing", ""),
        },
        "The image of shop-db cannot be pulled because the registry does not have it: r.test/web@sha256:1.",
    ),
    (
        "a Secret that is missing",
        {"main": waiting("web", "CreateContainerConfigError", 'secret "shop-settings" not found')},
        'shop-web cannot be started: secret "shop-settings" not found.',
    ),
    (
        "a process that ends",
        {"main": waiting("web", "CrashLoopBackOff", "back-off 20s", restartCount=1, lastState=CRASHED)},
        f"shop-web ended with exit code 1.{LOOP}",
    ),
    (
        "the moment between two ends",
        {"main": running("web", ago(seconds=1), restartCount=2, lastState=CRASHED, ready=False)},
        f"shop-web ended with exit code 1.{LOOP}",
    ),
    (
        "too much memory",
        {"main": waiting("web", "CrashLoopBackOff", restartCount=3, lastState=OOM)},
        f"shop-web was killed because it used more memory than its limit.{LOOP}",
    ),
    (
        "a migration that fails",
        {"init": (waiting("migrate", "CrashLoopBackOff", restartCount=1, lastState=CRASHED),)},
        "The migration of shop-web ended with exit code 1. The migration command is set under `migrate:` in services/shop.yaml.",
    ),
    (
        "a migration that hangs",
        {"init": (running("migrate", ago(minutes=6)),)},
        "The migration of shop-web has been running for longer than 5 min.",
    ),
    (
        "a migration that was ended",
        {"init": (waiting("migrate", "CrashLoopBackOff", restartCount=1, lastState=HUNG),)},
        "The migration of shop-web took longer than 5 min and was stopped.",
    ),
    (
        "a migration that was ended and is tried again",
        {"init": (running("migrate", ago(seconds=20), restartCount=1, lastState=HUNG, ready=False),)},
        "The migration of shop-web took longer than 5 min and was stopped.",
    ),
    (
        "an image that cannot end its migration",
        {"init": (waiting("migrate", "CrashLoopBackOff", restartCount=1, lastState=NO_SHELL),)},
        'The migration of shop-web cannot be started: exec: "sh": executable file not found in $PATH.'
        " The image lacks `sh`. Greenroom uses `sh` and `timeout` to stop a migration that hangs."
        " Set `migrateTimeout: never`.",
    ),
    (
        "a database that does not come",
        {"init": (running("wait-shop-postgresql", ago(seconds=61)),)},
        "shop-web waits for shop-postgresql, which is not ready after 1 min.",
    ),
    (
        "a probe without an answer",
        {"main": running("web", ago(seconds=90), ready=False, restartCount=0)},
        "shop-web is running but has not passed its probe after 1 min.",
    ),
    (
        "no node",
        {"conditions": (UNSCHEDULABLE,)},
        "No node can run shop-web: Insufficient cpu.",
    ),
]


@pytest.mark.parametrize(("given", "sentence"), [t[1:] for t in TROUBLES], ids=[t[0] for t in TROUBLES])
def test_each_trouble_is_one_sentence_that_does_not_tick(given: dict[str, Any], sentence: str) -> None:
    found = troubles.trouble([pod(**given)], ROW, NOW)
    assert found is not None
    assert found.why == sentence
    theirs = ("pulled", "secret", "No node", "waits for")
    assert ("platform team" in found.fix) is (any(w in sentence for w in theirs) or "memory" in sentence)
    later = troubles.trouble([pod(**given)], ROW, NOW + timedelta(minutes=3))
    assert later is not None
    assert later.why == sentence, "a comment is not edited because time passes"


@pytest.mark.parametrize(("seconds", "reported"), [(10, False), (30, True)])
def test_pod_that_was_ready_is_in_trouble_when_its_probe_fails_for_a_while(seconds: int, reported: bool) -> None:
    stopped = pod(main=running("web", ago(hours=2), ready=False, restartCount=0))
    stopped["status"]["conditions"][0]["lastTransitionTime"] = ago(seconds=seconds)
    found = troubles.trouble([stopped], ROW, NOW)
    assert bool(found) is reported
    if found:
        assert found.why == "shop-web is running but has failed its probe for more than 20 s."


def test_trouble_names_the_failing_service_and_no_service_for_a_need() -> None:
    crashed = waiting("web", "CrashLoopBackOff", lastState=CRASHED, restartCount=3)
    found = troubles.trouble([pod(main=crashed)], ROW, NOW)
    assert found is not None
    assert found.service == SERVICE.name
    need = pod(main=crashed, labels={reading.SERVICE: "shop-postgresql", reading.ROLE: "need"})
    found = troubles.trouble([need], ROW, NOW)
    assert found is not None
    assert found.service == ""


def test_trouble_of_a_probe_carries_the_process_that_is_probed() -> None:
    found = troubles.trouble([pod(main=running("web", ago(seconds=90), ready=False, restartCount=0))], ROW, NOW)
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
    assert troubles.trouble([pod(**given)], ROW, NOW) is None


def test_settled_is_when_the_specs_version_alone_is_in_service() -> None:
    assert not reading.settled([], ROW, NOW)
    assert not reading.settled([pod()], ROW, NOW)
    assert reading.settled([pod(serving=True)], ROW, NOW)
    assert not reading.settled([pod(serving=True), pod(serving=True, made_from="older")], ROW, NOW)
    assert reading.settled([pod(serving=True), pod(serving=True, made_from="older", deletionTimestamp=NOW)], ROW, NOW)


@pytest.mark.parametrize(
    ("name", "restarts", "ended", "ran", "steady"),
    [
        ("web", 0, None, 1, True),
        ("web", 1, CRASHED, 1, True),
        ("web", 2, CRASHED, 1, False),
        ("web", 2, OOM, 59, False),
        ("web", 2, CRASHED, 60, True),
        ("web", 31, CRASHED, 3600, True),
        ("web", 2, {"terminated": {"exitCode": 0, "reason": "Completed"}}, 1, True),
        ("istio-proxy", 2, CRASHED, 1, False),
    ],
)
def test_process_that_crashed_twice_is_failing_until_it_has_run_for_a_minute_although_its_pod_is_ready(
    name: str, restarts: int, ended: dict[str, Any] | None, ran: int, steady: bool
) -> None:
    found = pod(serving=True, main=running(name, ago(seconds=ran), ready=True, restartCount=restarts))
    if ended:
        found["status"]["containerStatuses"][0]["lastState"] = ended
    assert reading.settled([found], ROW, NOW) is steady
    assert (troubles.trouble([found], ROW, NOW) is None) is steady
    assert reading.running([found], ROW, SERVICE, "https://x", NOW).ready is steady
    assert reading.ready(found), "who calls whom is still read from it"


@pytest.mark.parametrize("part", ["main", "migrate"])
def test_command_that_does_not_run_has_one_advice_at_every_moment_of_its_crash_loop(part: str) -> None:
    missing = 'exec: "manage.py": executable file not found in $PATH: unknown'
    ended = {"terminated": {"exitCode": 128, "reason": "StartError", "message": missing}}
    moments = [
        waiting("web" if part == "main" else part, "RunContainerError", missing, restartCount=1),
        waiting("web" if part == "main" else part, "RunContainerError", missing, restartCount=1, lastState=ended),
        waiting("web" if part == "main" else part, "CrashLoopBackOff", "back-off", restartCount=2, lastState=ended),
    ]
    found = [troubles.trouble([pod(**({"main": m} if part == "main" else {"init": (m,)}))], ROW, NOW) for m in moments]
    assert {t.why for t in found if t} == {
        f"{'The migration of shop-web' if part == 'migrate' else 'shop-web'} cannot be started: {missing}."
    }
    setting = "command" if part == "main" else "migrate"
    assert {t.fix for t in found if t} == {command_not_found(setting, "shop")}


def test_migration_that_failed_twice_and_then_succeeded_is_over() -> None:
    over = {"name": "migrate", "state": {"terminated": {"exitCode": 0}}, "ready": True}
    served = pod(
        serving=True,
        init=({**over, "restartCount": 2, "lastState": CRASHED},),
        main=running("web", ago(seconds=1), ready=True, restartCount=0),
    )
    assert reading.settled([served], ROW, NOW)
    assert troubles.trouble([served], ROW, NOW) is None


def test_as_many_as_wanted_but_one_of_what_migrates_and_none_of_a_cron() -> None:
    twice = replace(
        SERVICE, processes=(Process("web", port=8080, replicas=2), Process("n", ProcessKind.CRON, schedule="* * * * *"))
    )
    served = spec(1, services=(twice,))
    one = pod(serving=True, made_from=revision(twice, served))
    assert not reading.settled([one], served, NOW)
    assert reading.settled([one, one], served, NOW)
    migrating = replace(twice, processes=(replace(twice.processes[0], migrates=True), twice.processes[1]))
    served = spec(1, services=(migrating,))
    assert reading.settled([pod(serving=True, made_from=revision(migrating, served))], served, NOW)


def test_what_runs_is_the_newest_version_that_is_ready() -> None:
    old = pod(serving=True, made_from="older", created="2026-11-20T10:00:00Z")
    old["metadata"]["annotations"][reading.SHA] = sha(9)
    assert reading.running([old, pod()], ROW, SERVICE, "https://x", NOW).sha == sha(9)
    found = reading.running([old, pod(serving=True)], ROW, SERVICE, "https://x", NOW)
    assert (found.sha, found.digest, found.ready) == (sha(1), digest("web"), True)
    nothing = reading.running([pod()], ROW, SERVICE, "https://x", NOW)
    assert (nothing.sha, nothing.ready) == ("", False)


def test_earlier_version_that_is_terminating_is_ending_until_its_pod_has_ended() -> None:
    leaving = pod(
        made_from="older", deletionTimestamp="2026-11-20T11:59:00Z", main=running("web", ago(minutes=9), ready=False)
    )
    ended = pod(made_from="older", deletionTimestamp="2026-11-20T11:59:00Z", main={"name": "web", "state": CRASHED})
    ended["status"]["phase"] = "Failed"
    own = pod(deletionTimestamp="2026-11-20T11:59:00Z", main=running("web", ago(minutes=9)))
    new = pod(serving=True)
    assert reading.running([new, leaving], ROW, SERVICE, "https://x", NOW).ending
    assert not reading.running([new, ended], ROW, SERVICE, "https://x", NOW).ending
    assert not reading.running([new, own], ROW, SERVICE, "https://x", NOW).ending, "the same version answers"
    assert reading.settled([new, leaving], ROW, NOW), "no new connection goes there"
    moment = pod(made_from="older", main=running("web", ago(minutes=9), ready=False))
    assert reading.running([new, moment], ROW, SERVICE, "https://x", NOW).ending, "it may become ready again"
    gone = pod(made_from="older", process="gone", serving=True, main=running("gone", ago(minutes=9)))
    assert reading.running([new, gone], ROW, SERVICE, "https://x", NOW).ending, "a process that the spec lost"


@pytest.mark.parametrize("state", [{"terminated": {"exitCode": 137}}, {"waiting": {"reason": "CrashLoopBackOff"}}])
def test_earlier_version_that_crashed_may_start_again_until_its_pod_has_ended(state: dict[str, Any]) -> None:
    new = pod(serving=True, main=running("web", ago(minutes=1), ready=True))
    crashed = pod(made_from="older", main={"name": "web", "ready": False, "state": state})
    assert reading.running([new, crashed], ROW, SERVICE, "https://x", NOW).ending
    crashed["metadata"]["deletionTimestamp"] = "2026-11-20T11:59:00Z"
    assert reading.running([new, crashed], ROW, SERVICE, "https://x", NOW).ending, "not seen by the kubelet"
    crashed["status"]["phase"] = "Failed"
    assert not reading.running([new, crashed], ROW, SERVICE, "https://x", NOW).ending


NEED = Need("postgresql", "postgresql", "16", (("url", "DATABASE_URL"),))
WITH_DATA = spec(1, services=(replace(SERVICE, needs=(NEED,)),))


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


def test_data_is_not_overtaken_by_a_service_of_an_earlier_data_generation_that_is_being_replaced() -> None:
    def overtaken(generation: int) -> bool:
        served = pod(serving=True, main=running("web", ago(minutes=5), ready=True))
        served["spec"]["initContainers"] = [{"name": "wait-shop-postgresql"}]
        served["metadata"]["annotations"][reading.DATA_GENERATION] = str(generation)
        spec = replace(WITH_DATA, data=replace(WITH_DATA.data, generation=2))
        [life] = reading.lives([database("ab", ago(minutes=1)), served], spec)
        return life.overtaken

    assert overtaken(2), "it migrated data that is gone"
    assert not overtaken(1), "the next one migrates what is there now"


def test_injected_sidecar_of_a_database_has_no_data() -> None:
    beside = database("ab", ago(minutes=1))
    proxy = {
        "name": "istio-proxy",
        "containerID": "containerd://" + "cd" * 32,
        **running("istio-proxy", ago(minutes=1)),
    }
    beside["status"]["containerStatuses"].insert(0, proxy | {"name": "istio-proxy"})
    assert [life.container for life in reading.lives([beside], WITH_DATA)] == ["ab" * 6]


def test_a_quota_that_is_too_small_is_reported_with_its_numbers() -> None:
    message = (
        'Error creating: pods "shop-web-1" is forbidden: exceeded quota: preview, requested: requests.cpu=50m,'
        " used: requests.cpu=0, limited: requests.cpu=10m"
    )
    events = [
        {"reason": "FailedCreate", "involvedObject": {"name": "shop-web-5d9"}, "message": message},
        {"reason": "FailedCreate", "involvedObject": {"name": "other-1"}, "message": "something else"},
    ]
    found = pod_trouble.not_created(events, "shop-web")
    assert found is not None
    assert found.why == (
        "shop-web exceeds the preview's quota: it requests requests.cpu=50m, requests.cpu=0 is already in use,"
        " and the limit is requests.cpu=10m."
    )
    assert pod_trouble.not_created(events, "worker") is None


@pytest.mark.parametrize(("kind", "name"), [("StatefulSet", "shop-postgresql"), ("ReplicaSet", "shop-postgresql-5d9f")])
def test_a_need_without_a_pod_is_reported_by_what_kept_it_from_being_made(kind: str, name: str) -> None:
    waits = pod(init=(running("wait-shop-postgresql", ago(seconds=5)),))
    assert reading.missing([waits], ROW) == "shop-postgresql"
    assert reading.missing([waits, database("ab", ago(minutes=1))], ROW) == ""
    message = 'pods "x" is forbidden: exceeded quota: preview, requested: cpu=1, used: cpu=0, limited: cpu=500m'
    event = {"reason": "FailedCreate", "involvedObject": {"kind": kind, "name": name}, "message": message}
    found = pod_trouble.not_created([event], "shop-postgresql")
    assert found is not None
    assert found.why.startswith("shop-postgresql exceeds the preview's quota")
    assert "platform team" in found.fix


def test_the_process_without_any_pod_of_the_version_is_named() -> None:
    assert reading.missing([pod(made_from="older")], ROW) == f"{SERVICE.name}-web"
    assert reading.missing([pod()], ROW) == ""


def test_service_is_outdated_while_a_pod_of_the_version_before_is_still_in_service() -> None:
    worker = replace(SERVICE, processes=(*SERVICE.processes, Process("worker", ProcessKind.WORKER)))
    both = changed(ROW, services=(worker,))
    new, old = pod(serving=True, made_from=revision(worker, both)), pod(serving=True, made_from="older")
    behind = pod(process="worker", serving=True, made_from="older")
    follows = pod(process="worker", serving=True, made_from=revision(worker, both))
    for pods, outdated in (([new, old, follows], True), ([new, behind], True), ([new, follows], False)):
        assert reading.running(pods, both, worker, "https://x", NOW).outdated is outdated


# --- several services: the trouble behind the others ---------------------------------------------------------------

API = replace(SERVICE, name="api", migrate=("./migrate",), processes=(replace(SERVICE.processes[0], migrates=True),))
SITE = replace(SERVICE, name="site", shared_needs=(SharedNeed("api", "db", ()),))
BOTH = spec(1, services=(SITE, API), targets=(Link("site", "api", (("url", "API_URL"),), "http://api", "", own=True),))
SHARERS = changed(BOTH, targets=())
LOOPS = {"main": waiting("web", "CrashLoopBackOff", restartCount=3, lastState=CRASHED)}
SILENT = {"main": running("web", ago(seconds=90), ready=False, restartCount=0)}
MIGRATING = {"init": (running("migrate", ago(seconds=30), ready=False),), "main": waiting("web", "PodInitializing")}
BROKEN = {"init": (waiting("migrate", "CrashLoopBackOff", restartCount=3, lastState=CRASHED),)}
STARTS = {"main": running("web", ago(seconds=5), ready=False, restartCount=0)}


def made(of: PreviewSpec, service: Service, **given: Any) -> dict[str, Any]:
    labels = {reading.SERVICE: service.name, reading.COMPONENT: "web", reading.ROLE: "service"}
    return pod(**{"made_from": revision(service, of), "labels": labels, "created": ago(minutes=5)} | given)


def serves(of: PreviewSpec, seconds: float, *, migrated: float = 0) -> dict[str, Any]:
    """Return a pod of the API that has been ready for so many seconds, and migrated that long ago."""
    over = {"terminated": {"exitCode": 0, "finishedAt": ago(seconds=migrated or seconds + 1)}}
    init = ({"name": "migrate", "state": over, "ready": True},)
    found = made(of, API, serving=True, init=init, main=running("web", ago(seconds=seconds + 1), ready=True))
    found["status"]["conditions"][0]["lastTransitionTime"] = ago(seconds=seconds)
    return found


@pytest.mark.parametrize(
    ("of", "site", "api", "behind"),
    [
        (BOTH, LOOPS, BROKEN, "The migration of api-web"),
        (BOTH, SILENT, BROKEN, "The migration of api-web"),
        (BOTH, SILENT, LOOPS, "api-web ended"),
        (BOTH, LOOPS, SILENT, "api-web is running but has not passed"),
        (SHARERS, LOOPS, BROKEN, "The migration of api-web"),
        (BOTH, BROKEN, LOOPS, "The migration of site-web"),
    ],
)
def test_root_cause_of_several_troubles_is_reported(
    of: PreviewSpec, site: dict[str, Any], api: dict[str, Any], behind: str
) -> None:
    found = troubles.trouble([made(of, SITE, **site), made(of, API, **api)], of, NOW)
    assert found is not None
    assert found.why.startswith(behind)


@pytest.mark.parametrize(
    ("of", "site", "api"),
    [(BOTH, SILENT, STARTS), (BOTH, LOOPS, STARTS), (BOTH, SILENT, MIGRATING), (SHARERS, LOOPS, MIGRATING)],
)
def test_service_is_not_in_trouble_while_what_it_depends_on_is_starting(
    of: PreviewSpec, site: dict[str, Any], api: dict[str, Any]
) -> None:
    assert troubles.trouble([made(of, SITE, **site), made(of, API, **api)], of, NOW) is None
    alone = changed(SHARERS, services=(replace(SITE, shared_needs=()), API))
    assert troubles.trouble([made(alone, alone.services[0], **site), made(alone, API, **api)], alone, NOW)


def crashed_before(seconds: float) -> dict[str, Any]:
    ended = {"terminated": {**CRASHED["terminated"], "finishedAt": ago(seconds=seconds)}}
    return {"main": waiting("web", "CrashLoopBackOff", restartCount=3, lastState=ended)}


def test_crash_counts_only_if_the_shared_database_was_migrated() -> None:
    api = serves(SHARERS, 10, migrated=60)
    assert troubles.trouble([made(SHARERS, SITE, **crashed_before(61)), api], SHARERS, NOW) is None, (
        "it runs again soon"
    )
    assert troubles.trouble([made(SHARERS, SITE, **crashed_before(59)), api], SHARERS, NOW)


def test_what_never_starts_hides_no_failure_of_others_for_longer_than_ten_minutes() -> None:
    for minutes, hidden in ((9, True), (11, False)):
        api = made(BOTH, API, main=waiting("web", "ContainerCreating"), created=ago(minutes=minutes))
        assert (troubles.trouble([made(BOTH, SITE, **LOOPS), api], BOTH, NOW) is None) is hidden


def test_version_before_says_nothing_about_how_long_the_new_one_takes() -> None:
    """A push rolls out both services; the pods of the last version have been there for days."""
    old = made(BOTH, API, serving=True, made_from="older", created=ago(days=3))
    pods = [made(BOTH, SITE, **SILENT), old, made(BOTH, API, **STARTS)]
    assert troubles.trouble(pods, BOTH, NOW) is None


def test_what_the_pull_request_changes_is_suspected_when_a_service_that_it_does_not_change_fails() -> None:
    """Of the site, the image of the base branch runs, which worked with the API of the base branch."""
    head, base = BOTH.build.head_sha, sha(1, 77)

    def built(site: str, api: str) -> PreviewSpec:
        shas = {"site": site, "api": api}
        return changed(BOTH, versions=tuple(Version(s, of, f"r/{s}:{of}", digest(s)) for s, of in shas.items()))

    def suspected(of: PreviewSpec, failing: str) -> list[str]:
        pods = [made(of, SITE, **LOOPS), made(of, API, serving=True)]
        return [service.name for service, _, _ in troubles.suspects(pods, of, failing)]

    assert suspected(built(base, head), "site") == ["api"]
    assert suspected(built(head, head), "site") == [], "its own log counts"
    assert suspected(built(base, base), "site") == []
    assert suspected(built(base, head), "api") == []
    assert suspected(built(base, head), "") == [], "a need fails"


def test_two_that_use_each_other_and_crash_are_reported() -> None:
    both = (*BOTH.links.targets, Link("api", "site", (("url", "SITE_URL"),), "http://site", "", own=True))
    cycle = changed(BOTH, targets=both)
    assert troubles.trouble([made(cycle, SITE, **LOOPS), made(cycle, API, **LOOPS)], cycle, NOW)


def test_command_that_is_not_in_the_image_is_a_matter_of_the_configuration_too() -> None:
    missing = {"terminated": {"exitCode": 127, "reason": "Error"}}
    for container, setting in (("migrate", "migrate"), ("web", "command")):
        state = waiting(container, "CrashLoopBackOff", restartCount=3, lastState=missing)
        found = troubles.trouble([pod(**({"init": (state,)} if container == "migrate" else {"main": state}))], ROW, NOW)
        assert found is not None
        assert f"correct `{setting}` in the configuration of `shop` (services/shop.yaml)" in found.fix
