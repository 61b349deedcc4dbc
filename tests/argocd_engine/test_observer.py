"""What Argo CD says of an Application, and when Greenroom ends an operation."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest

from builders import SERVICE, changed, spec
from greenroom import logs
from greenroom.argocd.applicationset import ROW
from greenroom.argocd.client import Object
from greenroom.argocd.look import Look, observed
from greenroom.argocd.namespaces import held_by
from greenroom.argocd.observer import Ground, Observer
from greenroom.argocd.packing import packed
from greenroom.argocd.pod_trouble import Trouble, with_probe
from greenroom.argocd.pods import COMPONENT, REVISION, ROLE
from greenroom.argocd.pods import SERVICE as SERVICE_LABEL
from greenroom.argocd.probe import Prober, PublicHosts
from greenroom.argocd.stuck_sync import SyncTerminator
from greenroom.argocd.timing import DEFAULT, Timing
from greenroom.argocd.watcher import Watcher
from greenroom.clock import SystemClock
from greenroom.core.model.catalog import Need, Process, ProcessKind
from greenroom.core.model.engine import Health
from greenroom.core.model.spec import Identity, Link, PreviewSpec, Version
from greenroom.core.planning.chart_values import revision
from waiting import until

ROW_NOW = spec(1)


def application(status: dict[str, Any] | None = None, *, values: str = "new", **metadata: Any) -> Object:
    return {
        "metadata": {
            "name": "preview-shop-1",
            "uid": "uid-1",
            "resourceVersion": "7",
            "creationTimestamp": "2026-11-20T10:00:00Z",
            "annotations": {ROW: packed(ROW_NOW)},
            **metadata,
        },
        "spec": {"source": {"helm": {"values": values}}},
        "status": status or {},
    }


def operation(phase: str, values: str = "new", **more: Any) -> dict[str, Any]:
    began, source = "2026-11-20T10:00:05Z", {"helm": {"values": values}}
    return {"operationState": {"phase": phase, "startedAt": began, "syncResult": {"source": source, **more}}}


class Kubes:
    def __init__(self, namespace: Object | None = None) -> None:
        self.patched: list[object] = []
        self.namespace = namespace

    async def merge(self, kind: object, namespace: str, name: str, body: object) -> None:
        self.patched.append(body)

    async def get(self, kind: object, namespace: str, name: str) -> Object | None:
        return self.namespace

    async def listed(self, *args: object, **params: str) -> tuple[list[Object], str]:
        return [], "1"


@dataclass
class Hand:
    """A clock that the test moves."""

    now: float = 1000.0

    def timing(self, **more: Any) -> Timing:
        return Timing(clock=SystemClock(monotonic=lambda: self.now), **more)


def observer(kubes: Kubes | None = None, timing: Timing = DEFAULT) -> Observer:
    made: Any = kubes or Kubes()
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: httpx2.Response(200)))
    return Observer(Ground(made, lambda namespace: [], Prober(client, "https", "none"), logs=True, timing=timing))


def watcher(kubes: Kubes | None = None, timing: Timing = DEFAULT) -> Watcher:
    made: Any = kubes or Kubes()
    terminator = SyncTerminator(made, "argocd", "preview-shop-1")
    return Watcher(Identity(7, 1), observer(made, timing), terminator, timing)


async def look(found: Object, kubes: Kubes | None = None, timing: Timing = DEFAULT) -> Look:
    return await watcher(kubes, timing).observe(found)


async def test_a_failed_sync_of_the_present_values_is_reported_with_what_was_refused() -> None:
    refused = {"kind": "Ingress", "name": "shop", "status": "SyncFailed", "message": "No Ingress today."}
    found = await look(application(operation("Failed", resources=[refused, {"kind": "Service", "status": "Synced"}])))
    assert (found.health, found.refused) == (Health.FAILED, True)
    assert found.why == "Argo CD could not apply the preview: Ingress shop: No Ingress today."


async def test_failed_sync_of_older_values_is_not_reported() -> None:
    found = await look(application(operation("Failed", values="old")))
    assert (found.health, found.refused) == (Health.STARTING, False)


TOLD = "Get https://bot:hunter2@charts.example.com/index.yaml?token=ghp_abcdefghijklmnopqrstuvwxyz0123: the-password"
CLEAN = "Get https://[hidden]@charts.example.com/index.yaml?token=[hidden] [hidden]"


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [{"type": "ComparisonError", "message": TOLD}]},
        {"operationState": {**operation("Failed")["operationState"], "message": TOLD}},
        operation("Failed", resources=[{"kind": "Job", "name": "a", "status": "SyncFailed", "message": TOLD}]),
    ],
    ids=["rendering", "the operation", "one of its resources"],
)
async def test_what_argo_cd_says_is_reported_without_secrets(status: dict[str, Any]) -> None:
    logs.hide("the-password")
    found = await look(application(status), timing=Timing(render_patience=0.0))
    assert found.why.endswith(f"{CLEAN}.")


async def test_what_a_namespace_that_stays_says_is_reported_without_secrets() -> None:
    condition = {"type": "NamespaceDeletionContentFailure", "status": "True", "message": TOLD}
    namespace = {"metadata": {"name": "preview-shop-1"}, "status": {"conditions": [condition]}}
    going = application(deletionTimestamp="2026-11-20T11:00:00Z")
    found = await look(going, Kubes(namespace), Timing(removal_patience=0.0))
    assert found.why.endswith(f"{CLEAN}.")


async def test_what_cannot_be_rendered_is_reported_once_it_lasts() -> None:
    condition = {"conditions": [{"type": "ComparisonError", "message": "values don't meet the schema"}]}
    assert (await look(application(condition))).health is Health.STARTING, "a restart of Argo CD looks so for a moment"
    found = await look(application(condition), timing=Timing(render_patience=0.0))
    assert found.why == "Argo CD cannot render the preview: values don't meet the schema."


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        (operation("Running", values="old"), True),
        (operation("Running", values="new"), False),
        (operation("Succeeded", values="old"), False),
        ({}, False),
    ],
    ids=["older values", "the present values", "over", "none"],
)
async def test_an_operation_that_lasts_on_older_values_is_ended_once(status: dict[str, Any], ends: bool) -> None:
    kubes, clock = Kubes(), Hand()
    one = watcher(kubes, clock.timing())
    await one.observe(application(status))
    clock.now += DEFAULT.operation_patience - 0.1
    await one.observe(application(status))
    assert kubes.patched == [], "it may end by itself"
    for _ in range(2):
        clock.now += 1
        await one.observe(application(status))
    terminating = {
        "metadata": {"resourceVersion": "7"},
        "status": {"operationState": {"phase": "Terminating"}},
    }
    assert kubes.patched == ([terminating] if ends else [])


async def test_an_operation_that_follows_another_has_its_own_time() -> None:
    kubes, clock = Kubes(), Hand()
    one = watcher(kubes, clock.timing())
    for second in range(9):
        status = operation("Running", values="old")
        status["operationState"]["startedAt"] = f"2026-11-20T10:00:0{second // 3}Z"
        clock.now += 1
        await one.observe(application(status))
    assert kubes.patched == []


async def test_a_removal_that_hangs_names_what_holds_the_namespace() -> None:
    namespace = {
        "metadata": {"name": "preview-shop-1", "finalizers": ["acme.test/keep"]},
        "status": {
            "conditions": [
                {"type": "NamespaceContentRemaining", "status": "True", "message": "1 persistentvolumeclaims remain."},
                {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "fine"},
            ]
        },
    }
    going = application(deletionTimestamp="2026-11-20T11:00:00Z")
    assert (await look(going, Kubes(namespace))).why == "", "a moment is usual"
    found = await look(going, Kubes(namespace), Timing(removal_patience=0.0))
    assert found.health is Health.REMOVING
    assert found.why == (
        "The namespace preview-shop-1 is still there: 1 persistentvolumeclaims remain; the finalizer acme.test/keep is on it."
    )
    assert "being deleted" in held_by({"metadata": {"name": "x"}})


async def test_parameters_that_people_set_are_seen() -> None:
    changed = application()
    changed["spec"]["source"]["helm"]["parameters"] = [{"name": "links.payments.url", "value": "https://other"}]
    assert (await look(changed)).manual_overrides == (("links.payments.url", "https://other"),)


async def test_an_accident_in_a_look_stays_with_its_preview() -> None:
    broken = application()
    broken["spec"] = None
    one = watcher()
    running = asyncio.create_task(one.run(lambda: broken, lambda: None))
    await until(lambda: one.doubt)
    assert not running.done()
    assert "could not be observed" in one.doubt
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(("status", "answers"), [(200, True), (302, True), (401, True), (404, False), (502, False)])
async def test_ready_is_an_answer_through_the_public_host(status: int, answers: bool) -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(status)

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    hosts = PublicHosts(Prober(client, "https", "http://ingress.test"))
    assert (await hosts.silence(ROW_NOW) == "") is answers
    assert asked[0].headers["host"] == dict(ROW_NOW.names.hosts)["shop"]
    assert asked[0].url.host == "ingress.test"
    await hosts.silence(ROW_NOW)
    assert len(asked) == (1 if answers else 2), "an answer counts for its version"


async def test_each_try_of_what_is_refused_is_waited_for_again() -> None:
    clock = Hand()
    status = {"conditions": [{"type": "ComparisonError", "message": "registry: connection refused"}]}
    made = observer(timing=clock.timing())
    await made.look(application(status), ROW_NOW)
    clock.now += 400
    found = await made.look(application(status), ROW_NOW)
    assert (found.refused, made.refused_for) == (True, 400)
    found = await made.look(application(status), changed(ROW_NOW, retry=1))
    assert (found.refused, made.refused_for) == (True, 0), "still told, and tried again later"


class Logs(Kubes):
    """A kubelet that has these lines of the present and the previous container."""

    def __init__(self, present: list[str], previous: list[str]) -> None:
        super().__init__()
        self.lines = {False: present, True: previous}

    async def logs(self, namespace: str, pod: str, container: str, lines: int, *, previous: bool = False) -> list[str]:
        return self.lines[previous]


GONE = ["unable to retrieve container logs for containerd://0a1b2c3d"]
TRACEBACK = ["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'stripe'"]


@pytest.mark.parametrize(
    ("present", "previous", "shown"),
    [(GONE, TRACEBACK, TRACEBACK), (TRACEBACK, GONE, TRACEBACK), (GONE, GONE, []), ([], TRACEBACK, TRACEBACK)],
)
@pytest.mark.parametrize("wanted", [False, True])
async def test_error_of_the_container_runtime_is_never_shown_as_the_log(
    present: list[str], previous: list[str], shown: list[str], wanted: bool
) -> None:
    found = Trouble("web ended with exit code 1.", "web-1", "web", previous=wanted)
    assert await observer(Logs(present, previous))._log(ROW_NOW, found) == tuple(shown)


class LogsOf(Kubes):
    """A kubelet that has these lines of each pod."""

    def __init__(self, **lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    async def logs(self, namespace: str, pod: str, container: str, lines: int, *, previous: bool = False) -> list[str]:
        return [] if previous else self.lines[pod]


async def test_log_of_the_changed_service_behind_the_failure_is_shown_too() -> None:
    web = Process("web", port=8080)
    site = replace(SERVICE, name="site", processes=(web,))
    api = replace(SERVICE, name="api", processes=(web,))
    link = Link("site", "api", (("url", "API_URL"),), "http://api", "", own=True)
    of = changed(spec(1), services=(site, api), targets=(link,))
    versions = (
        Version("site", "b" * 40, "r/site:b", "sha256:1"),
        Version("api", of.build.head_sha, "r/api:a", "sha256:2"),
    )
    of = changed(of, versions=versions)
    labels = {SERVICE_LABEL: "api", COMPONENT: "web", ROLE: "service"}
    pod: Object = {"metadata": {"name": "api-1", "labels": labels, "annotations": {REVISION: revision(api, of)}}}
    kubes = LogsOf(**{"api-1": [*(f"GET / {i}" for i in range(20)), *TRACEBACK]})
    shown = await observer(kubes)._beside(of, Trouble("site-web has not passed its probe.", service="site"), [pod])
    assert shown[0] == "--- api, which this pull request changes ---"
    assert len(shown) == 11
    assert shown[-2:] == tuple(TRACEBACK)
    assert await observer(kubes)._beside(of, Trouble("api-web ended.", service="api"), [pod]) == ()


def unhealthy(pod: str, message: str, at: str = "2026-11-20T10:00:00Z") -> Object:
    return {"involvedObject": {"name": pod}, "message": message, "lastTimestamp": at}


@pytest.mark.parametrize(
    ("message", "path", "how"),
    [
        (
            "Readiness probe failed: HTTP probe failed with statuscode: 404",
            "/healthz",
            "`GET /healthz` on port 8080 returns 404",
        ),
        (
            'Readiness probe failed: Get "http://10.0.0.5:8080/healthz": dial tcp 10.0.0.5:8080: connect: connection refused',
            "/healthz",
            "nothing listens on port 8080, which is `port:` in services/shop.yaml and the variable PORT (it must listen on 0.0.0.0, not only on 127.0.0.1)",
        ),
        (
            'Readiness probe failed: Get "http://10.0.0.5:8080/healthz": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
            "/healthz",
            "`GET /healthz` on port 8080 timed out",
        ),
        (
            "Readiness probe failed: dial tcp 10.0.0.5:8080: connect: connection refused",
            "",
            "nothing listens on port 8080, which is `port:` in services/shop.yaml and the variable PORT (it must listen on 0.0.0.0, not only on 127.0.0.1)",
        ),
    ],
)
def test_failed_probe_names_path_port_and_what_it_answers(message: str, path: str, how: str) -> None:
    found = Trouble("web is running but has not passed its probe after 1 min.", "web-1", "web", silent=True)
    found = replace(found, process=Process("web", port=8080, probe=path), service="shop")
    older = unhealthy("web-1", "Readiness probe failed: HTTP probe failed with statuscode: 500", "2026-11-20T09:00:00Z")
    said = with_probe(found, [older, unhealthy("web-1", message), unhealthy("other", "statuscode: 503")])
    assert said.why == f"web is running but has not passed its probe after 1 min: {how}."
    assert with_probe(found, []) == found


PREPARED = changed(spec(1), versions=(), services=(replace(SERVICE, needs=(Need("postgresql", "postgresql", "16"),)),))
DATABASE: Object = {
    "metadata": {"name": "db-1", "labels": {ROLE: "need", SERVICE_LABEL: "shop-postgresql"}},
    "spec": {"containers": []},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}


def database(*conditions: dict[str, str], **status: Any) -> Object:
    ready = {"type": "Ready", "status": "False"}
    return {**DATABASE, "status": {"phase": "Pending", "conditions": [ready, *conditions], **status}}


async def seen(*pods: Object, of: PreviewSpec = PREPARED, kubes: Kubes | None = None, **timing: Any) -> Look:
    made: Any = kubes or Kubes()
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: httpx2.Response(200)))
    prober = Prober(client, "https", "none")
    one = Observer(Ground(made, lambda namespace: list(pods), prober, logs=True, timing=Timing(**timing)))
    return await one.look(application(annotations={ROW: packed(of)}), of)


PULL = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}, "image": "postgres:16"}


@pytest.mark.parametrize(
    ("pods", "health"),
    [
        ((), Health.STARTING),
        ((database(),), Health.STARTING),
        ((DATABASE,), Health.PREPARED),
        ((database(containerStatuses=[{"name": "postgresql", **PULL}]),), Health.FAILED),
    ],
    ids=["no pod", "starting", "ready", "no image"],
)
async def test_preview_without_services_is_prepared_once_its_needs_are_ready(
    pods: tuple[Object, ...], health: Health
) -> None:
    for asleep in (False, True):
        found = await seen(*pods, of=changed(PREPARED, asleep=asleep))
        assert found.health is health, "a prepared preview is never ready, not even asleep"
        assert not any(s.ready or s.sha for s in found.services)
        assert ("cannot be pulled" in found.why) is (health is Health.FAILED)


async def test_crons_of_a_prepared_preview_are_not_ready() -> None:
    cron = replace(SERVICE, processes=(Process("nightly", ProcessKind.CRON, schedule="0 3 * * *"),))
    found = await seen(of=changed(PREPARED, services=(cron,)))
    assert found.health is Health.PREPARED
    assert [s.ready for s in found.services] == [False]


async def test_need_without_a_pod_of_a_prepared_preview_says_why() -> None:
    event = {
        "reason": "FailedCreate",
        "involvedObject": {"kind": "StatefulSet", "name": "shop-postgresql"},
        "message": 'pods "x" is forbidden: exceeded quota: preview, requested: cpu=1, used: cpu=0, limited: cpu=500m',
    }

    class Refusing(Kubes):
        async def listed(self, *args: object, **params: str) -> tuple[list[Object], str]:
            return [event], "1"

    found = await seen(kubes=Refusing(), no_pod_patience=0.0)
    assert found.health is Health.FAILED
    assert found.why.startswith("shop-postgresql exceeds the preview's quota")


async def test_push_leaves_a_prepared_preview_prepared() -> None:
    """Nothing that runs changes, so its comment does not go back and forth."""
    found = await seen(DATABASE)
    pushed = changed(PREPARED, head_sha="f" * 40)
    assert observed(Identity(7, 1), found, pushed, None).health is Health.PREPARED
    built = changed(PREPARED, versions=spec(1).build.versions)
    assert observed(Identity(7, 1), found, built, None).health is Health.STARTING
