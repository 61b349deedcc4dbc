"""What is the same must read the same on every look: a comment is edited, and GitHub read, only for news."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from argocd_engine.test_pods import CRASHED, NOW, ROW, UNSCHEDULABLE, ago, pod, running, waiting
from builders import SERVICE
from greenroom.argocd import looks
from greenroom.argocd import pods as reading
from greenroom.argocd.kube import Object
from greenroom.argocd.looks import Ground, Watcher
from greenroom.argocd.sets import ROW as ROW_OF
from greenroom.argocd.sets import packed
from greenroom.core.model import Health, Identity
from greenroom.core.rows import Row, revision
from greenroom.errors import RetryLater

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
        "No node takes shop-web: Insufficient memory, node(s) had untolerated taint {spot: yes}.",
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
        "shop-web ended with exit code 1.",
    ),
]


@pytest.mark.parametrize(("times", "sentence"), [a[1:] for a in ALIKE], ids=[a[0] for a in ALIKE])
def test_one_trouble_is_one_sentence_however_often_it_is_looked_at(times: list[dict[str, Any]], sentence: str) -> None:
    for number, given in enumerate(times):
        found = reading.trouble([pod(**given)], ROW, NOW + timedelta(minutes=number))
        assert found is not None
        assert found.why == sentence


def test_a_pod_without_a_node_is_told_only_when_it_stays_so() -> None:
    """A volume is bound, a node is added: for a moment every such pod is unschedulable."""
    new = pod(conditions=({**UNSCHEDULABLE, "lastTransitionTime": ago(seconds=3)},))
    assert reading.trouble([new], ROW, NOW) is None
    assert reading.trouble([new], ROW, NOW + timedelta(seconds=10)) is not None


def test_each_try_to_make_a_pod_has_another_name_and_the_same_reason() -> None:
    whys = set()
    for name in ("abcde", "fghij"):
        event = {
            "reason": "FailedCreate",
            "involvedObject": {"name": "shop-web-5d9f8"},
            "message": POD_NAME.format(name),
        }
        found = reading.not_created([event], "shop-web")
        assert found is not None
        whys.add(found.why)
    assert whys == {'Kubernetes makes no pod of shop-web: violates PodSecurity "restricted:latest": privileged.'}


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
    assert (reading.not_created([event], process) is not None) == theirs


def test_what_a_mesh_puts_into_a_pod_is_not_waited_for() -> None:
    sidecar = running("istio-proxy", ago(hours=1))
    assert reading.trouble([pod(init=(sidecar,), main=waiting("web", "PodInitializing"))], ROW, NOW) is None


def test_of_two_pods_made_at_once_always_the_same_one_is_shown() -> None:
    both = [pod(serving=True), pod(serving=True)]
    for each, name, since in zip(both, ("b", "a"), ("2026-11-20T11:00:05Z", "2026-11-20T11:02:00Z"), strict=True):
        each["metadata"]["name"] = name
        each["status"]["conditions"][0]["lastTransitionTime"] = since
    shown = {reading.running(order, ROW, SERVICE, "").since for order in (both, both[::-1])}
    assert len(shown) == 1


# --- the watcher -----------------------------------------------------------------------------------------------------


class Cluster:
    """One Application, its pods, and an API that may be away."""

    def __init__(self, of: Row = ROW) -> None:
        self.row = of
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
        metadata["annotations"] = {ROW_OF: packed(self.row)}  # type: ignore[assignment]
        return {"metadata": metadata, "spec": {"source": {}}, "status": self.status} if self.there else None

    async def listed(self, *args: object, **params: str) -> tuple[list[Object], str]:
        if self.errors:
            raise self.errors.pop(0)
        return [], "1"

    async def merge(self, *args: object) -> None:
        self.patches += 1
        if self.errors:
            raise self.errors.pop(0)

    def changed(self, identity: Identity) -> None:
        self.told += 1

    def page(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.headers["host"])
        return httpx2.Response(self.answers)

    def watcher(self) -> Watcher:
        made: Any = self
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self.page))
        ground = Ground(
            made,
            made,
            "argocd",
            self.application,
            lambda space: self.pods,
            client,
            "https",
            "public",
            True,
            self.changed,
        )
        return Watcher(ground, Identity(7, 1), "preview-shop-1")

    async def look(self, one: Watcher) -> looks.Look:
        application = self.application(one.name)
        assert application
        one.look = await one._look(application)
        return one.look


async def test_an_api_that_comes_and_goes_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "FAST", 0.01)
    monkeypatch.setattr(looks, "SLOW", 0.01)
    monkeypatch.setattr(looks, "NO_POD_PATIENCE", 0.0)
    cluster = Cluster()
    task = asyncio.create_task(cluster.watcher().run())
    async with asyncio.timeout(3):
        while not cluster.told:
            await asyncio.sleep(0.005)
        for port in range(10):
            cluster.errors.append(RetryLater(f"read tcp 10.0.0.1:{port}: connection reset"))
            while cluster.errors:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)
        assert cluster.told == 1
        cluster.there = False
        await task


def serving(of: Row) -> Object:
    return pod(serving=True, made_from=revision(of.services[0], of), main=running("web", ago(minutes=1), ready=True))


async def test_a_preview_made_anew_or_woken_is_asked_at_its_address_again() -> None:
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
    cluster.row = replace(ROW, asleep=True)
    assert (await cluster.look(one)).health is Health.READY
    cluster.row, cluster.answers = ROW, 503
    assert (await cluster.look(one)).health is not Health.READY


async def test_an_address_that_does_not_answer_for_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    cluster.pods, cluster.answers = [serving(ROW)], 503
    one = cluster.watcher()
    assert (await cluster.look(one)).why == "", "an ingress takes a moment"
    monkeypatch.setattr(looks, "SILENCE_PATIENCE", 0.0)
    found = await cluster.look(one)
    host = ROW.naming.host(ROW.services[0].name)
    assert (found.health, found.why) == (Health.UPDATING, f"Every process runs, but https://{host}/ answers 503.")
    cluster.answers = 200
    assert (await cluster.look(one)).why == ""


async def test_ending_an_operation_is_tried_again_when_the_api_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "OPERATION_PATIENCE", 0.0)
    cluster = Cluster()
    begun = {
        "phase": "Running",
        "startedAt": "2026-11-20T10:00:00Z",
        "syncResult": {"source": {"helm": {"values": "x"}}},
    }
    cluster.status = {"operationState": begun}
    cluster.errors = [RetryLater("away")]
    one = cluster.watcher()
    with pytest.raises(RetryLater):
        await cluster.look(one)
    for _ in range(2):
        await cluster.look(one)
    assert cluster.patches == 2


async def test_a_chart_that_cannot_be_rendered_is_told_without_the_command_and_its_temporary_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(looks, "RENDER_PATIENCE", 0.0)
    whys = set()
    for cached, file in (("", "0ba1f1ee"), (" (cached)", "7c11d2aa")):
        message = (
            f"Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc ="
            f" Manifest generation error{cached}: `helm template . --name-template preview-shop-1 --values /tmp/{file}"
            " --include-crds` failed exit status 1: Error: values don't meet the specifications of the schema"
        )
        cluster = Cluster()
        cluster.status = {"conditions": [{"type": "ComparisonError", "message": message}]}
        whys.add((await cluster.look(cluster.watcher())).why)
    assert whys == {"Argo CD cannot render the preview: Error: values don't meet the specifications of the schema."}
