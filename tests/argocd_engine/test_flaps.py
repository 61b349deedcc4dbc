"""What is the same must read the same on every look: a comment is edited, and GitHub read, only for news."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from argocd_engine.test_observer import Hand
from argocd_engine.test_pods import CRASHED, LOOP, NOW, ROW, UNSCHEDULABLE, ago, pod, running, waiting
from builders import SERVICE, changed
from greenroom.argocd import pod_trouble, troubles
from greenroom.argocd import pods as reading
from greenroom.argocd.applicationset import ROW as ROW_OF
from greenroom.argocd.client import Object
from greenroom.argocd.look import Look
from greenroom.argocd.observer import Ground, Observer
from greenroom.argocd.packing import packed
from greenroom.argocd.probe import Prober
from greenroom.argocd.stuck_sync import SyncTerminator
from greenroom.argocd.timing import DEFAULT, Timing
from greenroom.argocd.watcher import Watcher
from greenroom.core.model.engine import Health
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.core.planning.chart_values import revision
from greenroom.errors import RetryLater
from waiting import idle

RUNC = 'failed to create containerd task: runc create failed: exec: "nope": executable file not found in $PATH'
POD_NAME = 'Error creating: pods "shop-web-5d9f8-{}" is forbidden: violates PodSecurity "restricted:latest": privileged'

ALIKE: list[tuple[str, list[dict[str, Any]], str]] = [
    (
        "nodes that come and go",
        [
            {"conditions": ({**UNSCHEDULABLE, "message": message},)}
            for message in (
                "0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint {spot: yes}. preemption:"
                " 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
                "0/5 nodes are available: 1 node(s) had untolerated taint {spot: yes}, 4 Insufficient memory.",
            )
        ],
        "No node can run shop-web: Insufficient memory, node(s) had untolerated taint {spot: yes}.",
    ),
    (
        "a command that does not exist",
        [
            {"main": waiting("web", "RunContainerError", RUNC, restartCount=1)},
            {
                "main": waiting(
                    "web",
                    "CrashLoopBackOff",
                    "back-off 40s restarting failed container=web pod=shop-web-1",
                    restartCount=3,
                    lastState={"terminated": {"exitCode": 128, "reason": "StartError", "message": RUNC}},
                )
            },
        ],
        f"shop-web cannot be started: {RUNC}.",
    ),
    (
        "containers with another id each",
        [
            {"main": waiting("web", "CreateContainerError", f'name "web" is reserved for "{id * 32}"')}
            for id in ("ab", "cd")
        ],
        'shop-web cannot be started: name "web" is reserved for "...".',
    ),
    (
        "crashes, counted",
        [
            {"main": waiting("web", "CrashLoopBackOff", f"back-off {n}s", restartCount=n, lastState=CRASHED)}
            for n in (1, 7, 40)
        ]
        + [{"main": running("web", ago(seconds=1), restartCount=8, lastState=CRASHED, ready=False)}],
        f"shop-web ended with exit code 1.{LOOP}",
    ),
]


@pytest.mark.parametrize(("times", "sentence"), [a[1:] for a in ALIKE], ids=[a[0] for a in ALIKE])
def test_one_trouble_is_one_sentence_however_often_it_is_looked_at(times: list[dict[str, Any]], sentence: str) -> None:
    for number, given in enumerate(times):
        found = troubles.trouble([pod(**given)], ROW, NOW + timedelta(minutes=number))
        assert found is not None
        assert found.why == sentence


def test_a_pod_without_a_node_is_reported_only_when_it_stays_so() -> None:
    """A volume is bound, a node is added: for a moment every such pod is unschedulable."""
    new = pod(conditions=({**UNSCHEDULABLE, "lastTransitionTime": ago(seconds=3)},))
    assert troubles.trouble([new], ROW, NOW) is None
    assert troubles.trouble([new], ROW, NOW + timedelta(seconds=10)) is not None


def test_each_try_to_make_a_pod_has_another_name_and_the_same_reason() -> None:
    whys = set()
    for name in ("abcde", "fghij"):
        event = {
            "reason": "FailedCreate",
            "involvedObject": {"name": "shop-web-5d9f8"},
            "message": POD_NAME.format(name),
        }
        found = pod_trouble.not_created([event], "shop-web")
        assert found is not None
        whys.add(found.why)
    assert whys == {
        'Kubernetes cannot create a pod for shop-web: violates PodSecurity "restricted:latest": privileged.'
    }


@pytest.mark.parametrize(
    ("owner", "process", "theirs"),
    [
        ("shop-web-5d9f8", "shop-web", True),
        ("shop-web-admin-5d9f8", "shop-web", False),
        ("shop-web2-5d9f8", "shop-web", False),
        (f"{'a' * 43}-0123abcd-5d9f8", f"{'a' * 50}-web", True),
        ("shop-web-0123abcd-5d9f8", "shop-web", True),
    ],
)
def test_an_event_is_of_the_process_whose_replica_set_it_names(owner: str, process: str, theirs: bool) -> None:
    event = {"reason": "FailedCreate", "involvedObject": {"name": owner}, "message": "no"}
    assert (pod_trouble.not_created([event], process) is not None) == theirs


def test_what_a_mesh_puts_into_a_pod_is_not_waited_for() -> None:
    sidecar = running("istio-proxy", ago(hours=1))
    assert troubles.trouble([pod(init=(sidecar,), main=waiting("web", "PodInitializing"))], ROW, NOW) is None


def test_order_of_pods_does_not_change_the_result() -> None:
    both = [pod(serving=True), pod(serving=True)]
    for each, name, since in zip(both, ("b", "a"), ("2026-11-20T11:00:05Z", "2026-11-20T11:02:00Z"), strict=True):
        each["metadata"]["name"] = name
        each["status"]["conditions"][0]["lastTransitionTime"] = since
    shown = {reading.running(order, ROW, SERVICE, "", NOW).since for order in (both, both[::-1])}
    assert len(shown) == 1


# --- the watcher -----------------------------------------------------------------------------------------------------


class Cluster:
    """One Application, its pods, and an API that may be away."""

    def __init__(self, of: PreviewSpec = ROW) -> None:
        self.spec = of
        self.uid = "uid-1"
        self.there = True
        self.pods: list[Object] = []
        self.status: dict[str, Any] = {}
        self.errors: list[Exception] = []
        self.told = 0
        self.patches = 0
        self.asked: list[str] = []
        self.answers = 200

    def application(self, name: str) -> Object | None:
        metadata = {"name": name, "uid": self.uid, "resourceVersion": "7", "creationTimestamp": "2026-11-20T10:00:00Z"}
        metadata["annotations"] = {ROW_OF: packed(self.spec)}  # type: ignore[assignment]
        return {"metadata": metadata, "spec": {"source": {}}, "status": self.status} if self.there else None

    async def listed(self, *args: object, **params: str) -> tuple[list[Object], str]:
        if self.errors:
            raise self.errors.pop(0)
        return [], "1"

    async def logs(self, *args: object, **params: object) -> list[str]:
        return ["the settings are missing"]

    async def merge(self, *args: object) -> None:
        self.patches += 1
        if self.errors:
            raise self.errors.pop(0)

    def changed(self) -> None:
        self.told += 1

    def page(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.headers["host"])
        return httpx2.Response(self.answers)

    def watcher(self, timing: Timing = DEFAULT) -> Watcher:
        made: Any = self
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self.page))
        ground = Ground(made, lambda space: self.pods, Prober(client, "https", "public"), logs=True, timing=timing)
        terminator = SyncTerminator(made, "argocd", "preview-shop-1")
        return Watcher(Identity(7, 1), Observer(ground), terminator, timing)

    async def look(self, one: Watcher) -> Look:
        application = self.application(one.name)
        assert application
        return await one.observe(application)


async def test_flapping_api_is_not_reported() -> None:
    cluster = Cluster()
    one = cluster.watcher(Timing(look_pauses=(0.01,), no_pod_patience=0.0))
    task = asyncio.create_task(one.run(lambda: cluster.application(one.name), cluster.changed))
    async with asyncio.timeout(3):
        while not cluster.told:
            await asyncio.sleep(0.005)
        for port in range(10):
            cluster.errors.append(RetryLater(f"read tcp 10.0.0.1:{port}: connection reset"))
            while cluster.errors:
                await asyncio.sleep(0.005)
            await idle()
        assert cluster.told == 1
        cluster.there = False
        await task


async def test_worker_that_crash_loops_is_reported_once_and_ready_once_it_has_run_for_a_minute() -> None:
    cluster = Cluster()
    one, told = cluster.watcher(), []

    def crashed(restarts: int, ran: float | None) -> Object:
        if ran is None:
            main = waiting("web", "CrashLoopBackOff", restartCount=restarts, lastState=CRASHED)
        else:
            since = (datetime.now(UTC) - timedelta(seconds=ran)).isoformat()
            main = running("web", since, ready=True, restartCount=restarts, lastState=CRASHED)
        return pod(serving=ran is not None, made_from=revision(ROW.services[0], ROW), main=main)

    for restarts in range(2, 9):
        for ran in (None, 1, 20):
            cluster.pods = [crashed(restarts, ran)]
            told.append(await cluster.look(one))
    assert all(look == told[0] for look in told), "each other look edits the comment"
    assert (told[0].health, told[0].why) == (Health.FAILED, f"shop-web ended with exit code 1.{LOOP}")
    cluster.pods = [crashed(8, 61)]
    assert (await cluster.look(one)).health is Health.READY


def serving(of: PreviewSpec) -> Object:
    return pod(serving=True, made_from=revision(of.services[0], of), main=running("web", ago(minutes=1), ready=True))


async def test_a_preview_created_again_or_woken_is_asked_at_its_address_again() -> None:
    cluster = Cluster()
    cluster.pods = [serving(ROW)]
    one = cluster.watcher()
    for _ in range(2):
        assert (await cluster.look(one)).health is Health.READY
    assert len(cluster.asked) == 1, "once for each version"
    cluster.uid, cluster.answers = "uid-2", 503
    assert (await cluster.look(one)).health is not Health.READY
    cluster.answers = 200
    assert (await cluster.look(one)).health is Health.READY
    cluster.spec = changed(ROW, asleep=True)
    assert (await cluster.look(one)).health is Health.READY
    cluster.spec, cluster.answers = ROW, 503
    assert (await cluster.look(one)).health is not Health.READY


async def test_an_address_that_does_not_answer_for_long_is_reported() -> None:
    cluster = Cluster()
    cluster.pods, cluster.answers = [serving(ROW)], 503
    clock = Hand()
    one = cluster.watcher(clock.timing())
    assert (await cluster.look(one)).why == "", "an ingress takes a moment"
    clock.now += DEFAULT.silence_patience
    found = await cluster.look(one)
    host = ROW.names.host(ROW.services[0].name)
    assert (found.health, found.why) == (Health.UPDATING, f"Every process is running, but https://{host}/ returns 503.")
    cluster.answers = 200
    assert (await cluster.look(one)).why == ""


async def test_ending_an_operation_is_tried_again_when_the_api_was_away() -> None:
    cluster = Cluster()
    begun = {
        "phase": "Running",
        "startedAt": "2026-11-20T10:00:00Z",
        "syncResult": {"source": {"helm": {"values": "x"}}},
    }
    cluster.status = {"operationState": begun}
    cluster.errors = [RetryLater("away")]
    one = cluster.watcher(Timing(operation_patience=0.0))
    with pytest.raises(RetryLater):
        await cluster.look(one)
    for _ in range(2):
        await cluster.look(one)
    assert cluster.patches == 2


async def test_a_chart_that_cannot_be_rendered_is_reported_without_the_command_and_its_temporary_files() -> None:
    whys = set()
    for cached, file in (("", "0ba1f1ee"), (" (cached)", "7c11d2aa")):
        message = (
            f"Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc ="
            f" Manifest generation error{cached}: `helm template . --name-template preview-shop-1 --values /tmp/{file}"
            " --include-crds` failed exit status 1: Error: values don't meet the specifications of the schema"
        )
        cluster = Cluster()
        cluster.status = {"conditions": [{"type": "ComparisonError", "message": message}]}
        whys.add((await cluster.look(cluster.watcher(Timing(render_patience=0.0)))).why)
    assert whys == {"Argo CD cannot render the preview: Error: values don't meet the specifications of the schema."}
