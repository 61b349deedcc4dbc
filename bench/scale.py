"""`make bench-scale`: 1,000 previews in 100 repositories, beside the same Applications of Argo CD's own generator.

Their pods run on fake nodes of kwok, so they start at once and use nothing: what is measured is Kubernetes' control
plane, Argo CD and Greenroom. Nothing answers HTTP there, so Greenroom's probe is off. Both make the same objects from
the same chart, one after the other. Requests to the API server are counted by a FlowSchema for each of the two.
It takes about an hour, and wants the cluster for itself: `--repositories 10 --previews 5` is a trial.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bench.cluster import GREENROOM, NATIVE, Api, Maker, native, process
from bench.cluster import wait as waited
from e2e import scene as stage
from e2e.scene import ARGO, HOME, REGISTRY, Pull, Repository, Scene, kubectl, until
from greenroom.simulator.world import World

FAKE = "greenroom.dev/fake"
ROUNDS = 8
LONG = 3600.0
REST = 180
WATCHED = {"Greenroom": HOME, "Argo CD": ARGO}
"""Whose requests to the API server are counted: all ServiceAccounts of a namespace."""


@contextmanager
def fake_nodes(folder: Path, pods: int) -> Iterator[None]:
    """Run kwok with nodes for this number of pods, which only previews of this measurement tolerate."""
    kwok = shutil.which("kwok")
    assert kwok, "`cluster build kwok` makes it"
    stages = Path(kwok).with_name("kwok-stages")
    config = folder / "kwok.yaml"
    config.write_text("\n---\n".join(p.read_text() for p in sorted(stages.glob("*.yaml"))))
    size = {"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "9Ti", "pods": "2000"}
    nodes = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": f"fake-{number}",
                "annotations": {"kwok.x-k8s.io/node": "fake"},
                "labels": {FAKE: "true", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
            },
            "spec": {"taints": [{"key": FAKE, "effect": "NoSchedule"}]},
            "status": {"allocatable": size, "capacity": size},
        }
        for number in range(pods // 2000 + 1)
    ]
    with (folder / "kwok.log").open("w") as log:
        chosen = ["--config", str(config), "--manage-nodes-with-annotation-selector", "kwok.x-k8s.io/node=fake"]
        chosen += ["--node-lease-duration-seconds", "40"]  # without leases, Kubernetes takes the nodes for dead
        child = subprocess.Popen(
            [kwok, "--kubeconfig", os.environ["KUBECONFIG"], *chosen], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes}))
            kubectl("wait", "--for=condition=Ready", "node", "-l", FAKE, "--timeout=60s")
            yield
        finally:
            kubectl("delete", "node", "-l", FAKE, check=False)
            child.terminate()
            child.wait(20)


@contextmanager
def counted() -> Iterator[None]:
    """Have the API server count the requests of each of `WATCHED`.

    https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
    """
    schemas = [
        {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "kind": "FlowSchema",
            "metadata": {"name": f"bench-{namespace}"},
            "spec": {
                "matchingPrecedence": 700,
                "priorityLevelConfiguration": {"name": "workload-low"},
                "distinguisherMethod": {"type": "ByUser"},
                "rules": [
                    {
                        "subjects": [
                            {"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": "*"}}
                        ],
                        "resourceRules": [
                            {
                                "verbs": ["*"],
                                "apiGroups": ["*"],
                                "resources": ["*"],
                                "clusterScope": True,
                                "namespaces": ["*"],
                            }
                        ],
                    }
                ],
            },
        }
        for namespace in WATCHED.values()
    ]
    kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": schemas}))
    try:
        yield
    finally:
        kubectl("delete", "flowschema", *(s["metadata"]["name"] for s in schemas), check=False)  # type: ignore[index]


def requests(api: Api) -> dict[str, int]:
    """Return the number of requests of each of `WATCHED` since the API server started."""
    text = api.client.get("/metrics").text
    found = dict.fromkeys(WATCHED, 0)
    for family in text_string_to_metric_families(text):
        if family.name != "apiserver_flowcontrol_dispatched_requests":
            continue
        for sample in family.samples:
            for who, namespace in WATCHED.items():
                if sample.labels.get("flow_schema") == f"bench-{namespace}":
                    found[who] += int(sample.value)
    return found


def passes() -> int:
    """Return the number of passes of Greenroom's control loops since its start."""
    code = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8084/metrics').read().decode())"
    text = kubectl("exec", "-n", HOME, "deploy/greenroom", "--", "python", "-c", code)
    families = text_string_to_metric_families(text)
    samples = (s for f in families for s in f.samples if s.name == "greenroom_pass_seconds_count")
    return int(sum(s.value for s in samples))


class Fleet:
    """The repositories and their pull requests, all of one commit with one image."""

    def __init__(self, scene: Scene, repositories: int, previews: int) -> None:
        self.scene = scene
        self.names = [f"scale-{number}" for number in range(repositories)]
        self.previews = previews
        self.sha = scene.payments.commit("scale", "2")
        scene.payments.build(self.sha)
        self.pulls: list[Pull] = []

    def configure(self) -> None:
        """Serve the fleet's services instead of the shop's."""
        scene = self.scene
        for name in self.names:
            scene.github.do(partial(_repository, name))
        del scene.configuration["staging"]  # of services that are not there
        most = len(self.names) * self.previews + 100
        scene.configuration |= {
            "resync": "10m",
            "limits": {"total": most, "perRepository": most, "perAuthor": most},
            "ingress": {"probe": "none"},
            "scheduling": {
                "nodeSelector": {FAKE: "true"},
                "tolerations": [{"key": FAKE, "operator": "Exists", "effect": "NoSchedule"}],
            },
        }
        image = f"{REGISTRY}/shop/payments"
        scene.services = {
            n: {"repository": f"shop/{n}", "image": image, "port": 8080, "prepare": False} for n in self.names
        }
        scene.upgrade()
        kubectl("rollout", "restart", "-n", HOME, "deploy/greenroom")
        scene.redeployed()

    def opened(self, repository: str, branch: str) -> Pull:
        """Open one more pull request."""
        opened = self.scene.github.do(
            lambda w: w.open_pull_request(f"shop/{repository}", head=branch, sha=self.sha, by="ada")
        )
        return Pull(Repository(repository, self.scene.folder, self.scene), opened.number, branch)

    def open_all(self, of: str) -> None:
        """Open all pull requests, without a label."""
        names = [n for _ in range(self.previews) for n in self.names]
        self.pulls = [self.opened(name, f"{of}-{number}") for number, name in enumerate(names)]


def _repository(name: str, world: World) -> None:
    world.repository(f"shop/{name}")
    world.collaborator(f"shop/{name}", "ada", "write")


def applications(api: Api, prefix: str) -> list[dict[str, Any]]:
    """Return the Applications of one of the two."""
    items = api.get(f"/apis/argoproj.io/v1alpha1/namespaces/{ARGO}/applications")["items"]
    return [a for a in items if a["metadata"]["name"].startswith(f"{prefix}-scale-")]


def reached(check: Callable[[], int], wanted: int, since: float) -> float:
    """Return the seconds until the number is there."""
    while (now := check()) != wanted:
        if time.perf_counter() - since > LONG:
            raise stage.NotSeen(f"{now} of {wanted} within {LONG:g} s")
        time.sleep(1)
    return time.perf_counter() - since


def measure(fleet: Fleet, api: Api, maker: Maker) -> None:
    """Label all, look at rest, time single events beside all the others, and close all."""
    fleet.open_all(maker.prefix)
    total = len(fleet.pulls)
    asked, begun = requests(api), time.perf_counter()
    for pull in fleet.pulls:
        pull.label(maker.label)
    made = reached(lambda: len(applications(api, maker.prefix)), total, begun)

    def healthy() -> int:
        states = (a.get("status", {}) for a in applications(api, maker.prefix))
        return sum(
            (s.get("sync", {}).get("status"), s.get("health", {}).get("status")) == ("Synced", "Healthy")
            for s in states
        )

    print(f"{maker.title}: {total} labeled at once: all Applications exist after {made:.0f} s", flush=True)
    up = reached(healthy, total, begun)
    now = requests(api)
    spent = ", ".join(f"{who} {now[who] - asked[who]}" for who in WATCHED)
    print(
        f"{maker.title}: all are synced and healthy after {up:.0f} s; requests to the API server: {spent}", flush=True
    )
    rest(api, maker, total)
    alone(fleet, api, maker)
    gone(fleet, api, maker)


def rest(api: Api, maker: Maker, total: int) -> None:
    """What runs while nothing happens on GitHub."""
    time.sleep(60)
    ours = maker is GREENROOM
    asked, before, cpu = requests(api), passes() if ours else 0, process()[0] if ours else 0.0
    time.sleep(REST)
    now = requests(api)
    spent = ", ".join(f"{who} {(now[who] - asked[who]) * 60 / REST:.0f}" for who in WATCHED)
    line = f"{maker.title}, at rest with {total} previews: requests to the API server in a minute: {spent}"
    if ours:
        after, memory = process()
        line += (
            f"; {memory / 1024:.0f} MB, {(after - cpu) / REST * 100:.1f} % of a core,"
            f" {(passes() - before) * 60 / REST:.0f} passes in a minute"
        )
    print(line, flush=True)


def alone(fleet: Fleet, api: Api, maker: Maker) -> None:
    """One event beside all the others: until the Application exists."""
    taken = []
    for number in range(ROUNDS):
        pull = fleet.opened(fleet.names[number % len(fleet.names)], f"{maker.prefix}-alone-{number}")
        fleet.pulls.append(pull)
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{ARGO}/applications/{maker.name(pull)}"
        begun = time.perf_counter()
        pull.label(maker.label)
        taken.append(waited(partial(api.exists, path), begun))
        time.sleep(2)
    print(
        f"{maker.title}: event -> Application beside the others: {statistics.median(taken):.2f} s"
        f" ({min(taken):.2f}-{max(taken):.2f}; n={ROUNDS})",
        flush=True,
    )


def gone(fleet: Fleet, api: Api, maker: Maker) -> None:
    """Close all pull requests: until neither Applications nor namespaces are left."""
    fleet.scene.github.do(lambda w: w.advance(timedelta(hours=1, minutes=1)))
    begun = time.perf_counter()
    for pull in fleet.pulls:
        pull.close()

    def left() -> int:
        namespaces = api.get("/api/v1/namespaces")["items"]
        mine = [n for n in namespaces if n["metadata"]["name"].startswith(f"{maker.prefix}-scale-")]
        return len(mine) + len(applications(api, maker.prefix))

    taken = reached(left, 0, begun)
    print(f"{maker.title}: {len(fleet.pulls)} closed at once: nothing is left after {taken:.0f} s", flush=True)


def main() -> None:
    """Measure Greenroom, and then Argo CD's generator without Greenroom."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--repositories", type=int, default=100)
    asked.add_argument("--previews", type=int, default=10, help="in each repository")
    given = asked.parse_args()
    stage.environment()
    run = partial(subprocess.run, check=True)
    run([str(stage.CLUSTER), "build", "kwok"])
    total = given.repositories * given.previews
    print(f"{os.cpu_count()} cores, one node and fake ones, Argo CD's default settings", flush=True)
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        with stage.played(folder, os.environ["GREENROOM_E2E"]) as scene, fake_nodes(folder, 2 * total), counted():
            api = Api()
            fleet = Fleet(scene, given.repositories, given.previews)
            fleet.configure()
            measure(fleet, api, GREENROOM)
            scene.scale(0)
            until(lambda: not stage.objects("pods", HOME, "app.kubernetes.io/name=greenroom"), 90, "the end of the pod")
            with native(scene, 1800):
                time.sleep(30)  # the first poll of each set
                measure(fleet, api, NATIVE)


if __name__ == "__main__":
    main()
