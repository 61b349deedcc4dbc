"""`make bench-cluster`: Greenroom on the real cluster, each figure beside Argo CD's own PullRequest generator.

Both make previews of the same service from the same chart on the same node in one run; both receive webhooks. Times
are seconds from the event on GitHub; medians. It takes about 20 minutes, and wants the cluster for itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e import scene as stage  # noqa: E402
from e2e.scene import ARGO, DOMAIN, NODE, SECRETS, Pull, Scene, kubectl, run  # noqa: E402
from greenroom.simulator import payloads  # noqa: E402
from greenroom.simulator.webhooks import Delivery, Webhooks  # noqa: E402
from greenroom.simulator.world import PullRequest, World  # noqa: E402

ROUNDS = 8
AT_ONCE = 20
SIZES = (1, 50, 200)
WAIT = 180.0
POLL = 30  # seconds, while polls of Argo CD's generator are counted
OURS = "greenroom.dev%2Frepository%3Dpayments"
ARGO_HOOK = "http://127.0.0.1:7000/api/webhook"


class Api:
    """The apiserver without a process for each question."""

    def __init__(self) -> None:
        config = yaml.safe_load(Path(run("printenv", "KUBECONFIG").strip()).read_text())
        cluster = config["clusters"][0]["cluster"]
        context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        token = config["users"][0]["user"]["token"]
        self.client = httpx2.Client(
            base_url=cluster["server"], verify=context, headers={"authorization": f"Bearer {token}"}, trust_env=False
        )

    def exists(self, path: str) -> bool:
        return self.client.get(path).status_code == 200

    def get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(path).json()
        return found


class ArgoHooks(Webhooks):
    """GitHub's webhooks as Argo CD wants them: with the address at which it asks GitHub."""

    def __init__(self, world: World, base: str) -> None:
        super().__init__(world, "unused")
        self._base = base
        self.send_to(ARGO_HOOK)

    def _fate(self, delivery: Delivery) -> None:
        body = delivery.body.replace(payloads.WEB.encode(), self._base.encode())
        super()._fate(Delivery(delivery.event, delivery.id, body))


class Maker:
    """One of the two: how its previews are called, and the label that asks for one."""

    def __init__(self, title: str, label: str, prefix: str) -> None:
        self.title, self.label, self.prefix = title, label, prefix

    def name(self, pull: Pull) -> str:
        return f"{self.prefix}-{pull.repository.name}-{pull.number}"


GREENROOM = Maker("Greenroom", "preview", "preview")
NATIVE = Maker("Argo CD's generator", "plain", "plain")


def wait(check: Callable[[], bool], since: float) -> float:
    """Seconds from `since` until it holds."""
    while not check():
        if time.perf_counter() - since > WAIT:
            raise stage.NotSeen(f"not within {WAIT:g} s")
        time.sleep(0.01)
    return time.perf_counter() - since


def answers(scene: Scene, pull: Pull) -> bool:
    try:
        host = f"payments-pr-{pull.number}.{DOMAIN}"
        return scene.client.get(f"http://{NODE}/healthz", headers={"host": host}).status_code == 200
    except httpx2.HTTPError:
        return False


def life(scene: Scene, api: Api, maker: Maker, number: int) -> tuple[float, ...]:
    """Measure one preview: event to Application and HTTP 200; unlabeled to nothing left, and to the comment on it.

    Argo CD's generator reports nothing, so it has only three figures.
    """
    pull = scene.payments.pull_request(f"{maker.prefix}-{number}", "2", labeled=False)
    application = f"/apis/argoproj.io/v1alpha1/namespaces/{ARGO}/applications/{maker.name(pull)}"
    namespace = f"/api/v1/namespaces/{maker.name(pull)}"
    begun = time.perf_counter()
    pull.label(maker.label)
    made = wait(lambda: api.exists(application), begun)
    served = wait(lambda: answers(scene, pull), begun)
    begun = time.perf_counter()
    pull.unlabel(maker.label)
    gone = wait(lambda: not api.exists(namespace) and not api.exists(application), begun)
    verified = (reported_after(pull, begun),) if maker is GREENROOM else ()
    scene.github.do(lambda w: w.close("shop/payments", pull.number, "ada"))
    hour(scene)
    return made, served, gone, *verified


def reported_after(pull: Pull, since: float) -> float:
    """Return the seconds until the comment says that nothing is left, which Greenroom checks first."""
    return wait(lambda: "All of the preview's resources have been deleted" in pull.comment, since)


def hour(scene: Scene) -> None:
    """An hour passes on GitHub, so that removals by hand are not held."""
    scene.github.do(lambda w: w.advance(timedelta(hours=1, minutes=1)))


def lives(scene: Scene, api: Api) -> None:
    life(scene, api, GREENROOM, 0)  # images, caches
    life(scene, api, NATIVE, 0)
    found: dict[str, list[tuple[float, ...]]] = {GREENROOM.title: [], NATIVE.title: []}
    for number in range(1, ROUNDS + 1):
        for maker in (GREENROOM, NATIVE):
            found[maker.title].append(life(scene, api, maker, number))
    for index, what in enumerate(("event -> Application", "event -> HTTP 200", "unlabeled -> nothing")):
        ours, native = ([r[index] for r in found[m.title]] for m in (GREENROOM, NATIVE))
        print(
            f"{what}: {statistics.median(ours):.2f} s, Argo CD's generator {statistics.median(native):.2f} s,"
            f" ratio {statistics.median(ours) / statistics.median(native):.2f}"
            f" (ranges {min(ours):.2f}-{max(ours):.2f}, {min(native):.2f}-{max(native):.2f}; n={ROUNDS} each)",
            flush=True,
        )
    alone("unlabeled -> the comment says that nothing is left", [r[3] for r in found[GREENROOM.title]])


def alone(what: str, taken: list[float]) -> None:
    """Print a figure that only Greenroom has."""
    middle = statistics.median(taken)
    print(f"{what}: {middle:.2f} s ({min(taken):.2f}-{max(taken):.2f}; n={len(taken)})", flush=True)


def images(scene: Scene, api: Api) -> None:
    """Measure image pushed -> Application for labeled pull requests that wait for the image, not prepared."""
    with scene.serving(payments={**scene.services["payments"], "prepare": False}):
        _images(scene, api)


def _images(scene: Scene, api: Api) -> None:
    taken = []
    for number in range(ROUNDS):
        pull = scene.payments.pull_request(f"image-{number}", "2", built=False)
        pull.says("Waiting for image")
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{ARGO}/applications/{pull.namespace}"
        scene.payments.build(scene.github.do(partial(_head, pull.number)))  # it ends with the push and CI's webhook
        taken.append(wait(lambda path=path: api.exists(path), time.perf_counter()))  # type: ignore[misc]
        pull.close()
        pull.gone(90)
    alone("image pushed -> Application", taken)


def _head(number: int, world: World) -> str:
    return world.pull_request("shop/payments", number).head_sha


def at_once(scene: Scene, maker: Maker) -> None:
    pulls = [scene.payments.pull_request(f"{maker.prefix}-once-{n}", "2", labeled=False) for n in range(AT_ONCE)]
    begun = time.perf_counter()
    for pull in pulls:
        pull.label(maker.label)
    taken = [0.0] * AT_ONCE
    while not all(taken) and time.perf_counter() - begun < WAIT:
        for index, pull in enumerate(pulls):
            if not taken[index] and answers(scene, pull):
                taken[index] = time.perf_counter() - begun
    for pull in pulls:
        pull.close()
    for pull in pulls:
        stage.until(lambda pull=pull: not stage.thing("namespace", maker.name(pull)), 180)  # type: ignore[misc]
    answered = [t for t in taken if t]
    print(
        f"{AT_ONCE} at once, {maker.title}: {len(answered)} answer within {WAIT:.0f} s, the median of all after"
        f" {statistics.median([t or WAIT for t in taken]):.1f} s, the last of them after {max(answered):.1f} s",
        flush=True,
    )


def _open(branch: str, sha: str, world: World) -> PullRequest:
    return world.open_pull_request("shop/payments", head=branch, sha=sha, by="ada")


def refreshes(scene: Scene, api: Api) -> None:
    """What one refresh of a set costs Argo CD, from the annotation to its end, and Greenroom's share of it."""
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{ARGO}/applicationsets/preview-payments"
    pulls: list[Pull] = []
    sha = scene.payments.commit("asleep", "2")
    scene.payments.build(sha)
    for size in SIZES:
        while len(pulls) < size:
            branch = f"asleep-{len(pulls)}"
            opened = scene.github.do(partial(_open, branch, sha))
            pull = Pull(scene.payments, opened.number, branch)
            pull.label("preview-sleep")
            pull.label()
            pulls.append(pull)
        begun = time.perf_counter()
        synced = f"/apis/argoproj.io/v1alpha1/namespaces/{ARGO}/applications?labelSelector={OURS}"
        while (
            sum(a.get("status", {}).get("sync", {}).get("status") == "Synced" for a in api.get(synced)["items"]) < size
        ):
            if time.perf_counter() - begun > 900:
                raise stage.NotSeen(f"{size} previews were not synced within 900 s")
            time.sleep(0.5)
        print(f"{size} previews asleep and synced after {time.perf_counter() - begun:.0f} s", flush=True)
        taken = []
        for number in range(5):
            body = {"metadata": {"annotations": {"argocd.argoproj.io/application-set-refresh": f"bench-{number}"}}}
            begun = time.perf_counter()
            api.client.patch(path, content=json.dumps(body), headers={"content-type": "application/merge-patch+json"})
            while "argocd.argoproj.io/application-set-refresh" in (api.get(path)["metadata"].get("annotations") or {}):
                time.sleep(0.005)
            taken.append(time.perf_counter() - begun)
            time.sleep(1)
        size_of_set = len(json.dumps(api.get(path)))
        print(
            f"one refresh with {size} previews: {statistics.median(taken) * 1000:.0f} ms (median of 5);"
            f" the ApplicationSet is {size_of_set / 1024:.0f} KB",
            flush=True,
        )
        if size == 50:
            beside(scene, api, size)
    at_rest(scene, len(pulls))
    scene.pulls.extend(pulls)


def beside(scene: Scene, api: Api, size: int) -> None:
    """Measure event -> Application in a repository that already has `size` previews."""
    taken = []
    for number in range(ROUNDS):
        pull = scene.payments.pull_request(f"beside-{number}", "2", labeled=False)
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{ARGO}/applications/{pull.namespace}"
        begun = time.perf_counter()
        pull.label()
        taken.append(wait(lambda path=path: api.exists(path), begun))  # type: ignore[misc]
        pull.close()
        pull.gone(90)
    alone(f"event -> Application beside {size} previews", taken)


def process() -> tuple[float, int]:
    """Return the CPU seconds and the resident memory (KiB) of Greenroom's process."""
    script = "cat /proc/1/stat; grep VmRSS /proc/1/status"
    out = kubectl("exec", "-n", stage.HOME, "deploy/greenroom", "--", "sh", "-c", script)
    fields = out.splitlines()[0].rpartition(")")[2].split()
    memory = int(next(line for line in out.splitlines() if "VmRSS" in line).split()[1])
    return (int(fields[11]) + int(fields[12])) / 100, memory


def at_rest(scene: Scene, previews: int, seconds: int = 60) -> None:
    """The memory and CPU of the controller's process while nothing happens."""
    time.sleep(20)
    before, _ = process()
    asked = sum(scene.github.simulator.requests.values())
    time.sleep(seconds)
    after, memory = process()
    calls = sum(scene.github.simulator.requests.values()) - asked
    print(
        f"at rest with {previews} previews: {memory / 1024:.0f} MB, {(after - before) / seconds * 100:.1f} % of a core"
        f" (resync every {scene.configuration['resync']}, {calls} requests to GitHub in {seconds} s)",
        flush=True,
    )


def calls_an_hour(scene: Scene, repositories: int = 20) -> None:
    """Requests to GitHub at rest: of one resync of 20 repositories, and of one poll by Argo CD's generator."""
    services = {}
    for number in range(repositories):
        slug = f"shop/quiet-{number}"
        scene.github.do(lambda w, slug=slug: w.repository(slug))  # type: ignore[misc]
        services[f"quiet-{number}"] = {"repository": slug, "image": f"{stage.REGISTRY}/shop/payments", "port": 8080}
    before, resync = scene.services, "30s"
    scene.services = services
    scene.configuration["resync"] = resync
    del scene.configuration["staging"]  # of services that are no longer there
    scene.upgrade()
    kubectl("rollout", "status", "-n", stage.HOME, "deploy/greenroom", "--timeout=90s")
    scene.up()
    time.sleep(40)
    passes = requests(scene, 120) / 4
    print(
        f"{repositories} repositories at rest: {passes:.1f} requests to GitHub a resync,"
        f" {passes * 6:.0f} an hour with the default resync of 10 min",
        flush=True,
    )
    kubectl("scale", "-n", stage.HOME, "deploy/greenroom", "--replicas=0")
    kubectl("wait", "-n", stage.HOME, "--for=delete", "pod", "-l", "app.kubernetes.io/name=greenroom", "--timeout=90s")
    with native(scene, POLL):
        time.sleep(2 * POLL)  # the first poll of each set
        polls = requests(scene, 4 * POLL) / 4
    print(
        f"Argo CD's generator, the same repositories: {polls:.1f} requests a poll,"
        f" {polls * 20:.0f} an hour at the 180 s that `render` sets, {polls * 2:.0f} at its default of 30 min",
        flush=True,
    )
    kubectl("scale", "-n", stage.HOME, "deploy/greenroom", "--replicas=1")
    scene.services = before


def requests(scene: Scene, seconds: float) -> int:
    """Return the number of requests that the simulated GitHub gets in this time."""
    simulator = scene.github.simulator

    def asked() -> int:
        return sum(simulator.requests.values()) + len(simulator.unknown)

    before = asked()
    time.sleep(seconds)
    return asked() - before


@contextmanager
def native(scene: Scene, poll: int = 0) -> Iterator[None]:
    """Run all services' previews by Argo CD's own generator, with GitHub's webhook and a poll every `poll` seconds."""
    folder = Path(tempfile.mkdtemp(dir=scene.folder))
    (folder / "services").mkdir()
    argocd = {**scene.configuration["argocd"], "project": "plain-previews"}
    told = {**scene.configuration, "installation": "plain", "namePrefix": "plain", "label": "plain", "argocd": argocd}
    told.pop("staging", None)  # payments uses nobody
    (folder / "greenroom.yaml").write_text(json.dumps(told))
    for name, service in scene.services.items():
        if not poll and name != "payments":
            continue
        (folder / "services" / f"{name}.yaml").write_text(json.dumps(service))
    text = run(sys.executable, "-m", "greenroom", "render", "--without-gates", str(folder))
    if poll:
        text, found = re.subn(r'"requeueAfterSeconds": \d+', f'"requeueAfterSeconds": {poll}', text)
        assert found == len(scene.services), f"{found} sets poll"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "greenroom-github", "namespace": ARGO, "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "stringData": {"token": SECRETS["github-token"]},
    }
    kubectl("apply", "-f", "-", given=json.dumps(secret))
    kubectl("apply", "-f", "-", given=text)
    hooks = scene.github.do(lambda w: ArgoHooks(w, scene.github.url))
    sending = asyncio.run_coroutine_threadsafe(hooks.run(), scene.github.loop)
    try:
        yield
    finally:
        sending.cancel()
        kubectl("delete", "-f", "-", "--wait=false", given=text, check=False)


def main() -> None:
    stage.environment()
    image = os.environ["GREENROOM_E2E"]
    machine = subprocess.run(["nproc"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{machine} cores, one node, Argo CD's default settings; ratios are Greenroom / Argo CD's own generator")
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        with stage.played(folder, image) as scene:
            api = Api()
            scene.configuration["resync"] = "10m"
            scene.configuration["limits"] = {"total": 500, "perRepository": 500, "perAuthor": 500}
            scene.upgrade()
            time.sleep(3)
            with native(scene):
                lives(scene, api)
                images(scene, api)
                for maker in (GREENROOM, NATIVE):
                    at_once(scene, maker)
            refreshes(scene, api)
            calls_an_hour(scene)


if __name__ == "__main__":
    main()
