"""`make bench-backend`: a backend with its needs and a migration, and a pair of repositories, on the real cluster.

Seconds from the event on GitHub to the first HTTP 200 through the ingress, medians. The baseline is every object that
Argo CD applied, including the namespace, applied with kubectl: no Greenroom, no Argo CD. It takes about 16 minutes.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e import scene as stage  # noqa: E402
from e2e.scene import ARGO, DOMAIN, NODE, Pull, Scene, kubectl, thing  # noqa: E402

ROUNDS = 10
WAIT = 180.0
FIRST = ("Namespace", "ResourceQuota", "LimitRange", "NetworkPolicy", "ServiceAccount", "Secret", "ConfigMap")
OF_THE_SERVER = {"clusterIP", "clusterIPs", "volumeName"}  # what Kubernetes fills in
SECURITY = "pod-security.kubernetes.io/"
ONLY_THERE = "Only the target sells this"


def wait(check: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    begun = time.perf_counter()
    while not check():
        if time.perf_counter() - begun > WAIT:
            raise stage.NotSeen(f"not within {WAIT:g} s")
        time.sleep(0.02)
    return time.perf_counter() - begun


def page(scene: Scene, host: str, path: str) -> str:
    """Return the text of a page; empty unless its status is 200."""
    try:
        answer = scene.client.get(f"http://{NODE}{path}", headers={"host": f"{host}.{DOMAIN}"})
    except httpx2.HTTPError:
        return ""
    return answer.text if answer.status_code == 200 else ""


def reported(what: str, found: list[float]) -> float:
    middle = statistics.median(found)
    print(f"{what}: {middle:.2f} s (median of {len(found)}, {min(found):.2f} to {max(found):.2f})", flush=True)
    return middle


@dataclass(frozen=True)
class Kept:
    """The objects of previews as Argo CD applied them, by repository; names of namespaces and hosts stand open."""

    objects: dict[str, list[dict[str, Any]]]

    @classmethod
    def of(cls, pulls: list[Pull]) -> Kept:
        text = json.dumps({p.repository.name: applied(p) for p in pulls})
        for pull in pulls:
            text = text.replace(pull.namespace, f"IN-{pull.repository.name}")
            text = text.replace(
                f"{pull.repository.name}-pr-{pull.number}.{DOMAIN}", f"AT-{pull.repository.name}.{DOMAIN}"
            )
        return cls(json.loads(text))

    def under(self, name: str) -> dict[str, list[dict[str, Any]]]:
        """The objects as a person would write them, by namespace: `name-REPOSITORY`, which is the host as well."""
        made = {}
        for repository, items in self.objects.items():
            text = json.dumps([_bare(o) for o in items])
            for other in self.objects:
                text = text.replace(f"IN-{other}", f"{name}-{other}").replace(f"AT-{other}", f"{name}-{other}")
            made[f"{name}-{repository}"] = json.loads(text)
        return made


def applied(pull: Pull) -> list[dict[str, Any]]:
    """Return every object that Argo CD applied for a preview, in an order that kubectl can apply."""
    application = thing("application", pull.namespace, ARGO)
    assert application is not None
    found = []
    for each in application["status"]["resources"]:
        kind = f"{each['kind']}.{each['version']}.{each['group']}" if each.get("group") else each["kind"]
        made = thing(kind, each["name"], each.get("namespace", ""))
        assert made is not None, f"{each['kind']} {each['name']} is not there"
        found.append(made)
    assert any(o["kind"] == "Namespace" for o in found), "the namespace is applied as well"
    order = {kind: place for place, kind in enumerate(FIRST)}
    return sorted(found, key=lambda o: (order.get(o["kind"], len(FIRST)), o["kind"], o["metadata"]["name"]))


def _bare(found: dict[str, Any]) -> dict[str, Any]:
    """Return an object without the fields that the server fills in. Only a namespace's pod security labels matter."""
    kept = {k: v for k, v in found.items() if k not in ("metadata", "status")}
    if found["kind"] in ("Service", "PersistentVolumeClaim"):
        kept["spec"] = {k: v for k, v in kept["spec"].items() if k not in OF_THE_SERVER}
    metadata: dict[str, Any] = {"name": found["metadata"]["name"]}
    if found["kind"] == "Namespace":
        del kept["spec"]
        labels = found["metadata"].get("labels") or {}
        metadata["labels"] = {k: v for k, v in labels.items() if k.startswith(SECURITY)}
    return {**kept, "metadata": metadata}


def backends(scene: Scene, what: str, rounds: int) -> tuple[float, Kept]:
    """Label to HTTP 200 of the catalog; returns the median and the objects of the last one."""
    found: list[float] = []
    for number in range(rounds + 1):
        pull = scene.catalog.pull_request(f"{what.split()[0]}-{number}", "2", labeled=False)
        pull.label()
        taken = wait(lambda p=pull: bool(page(scene, f"catalog-pr-{p.number}", "/products")))  # type: ignore[misc]
        if number:  # the first one pulls images
            found.append(taken)
        kept = Kept.of([pull])
        pull.close()
        pull.gone(90)
    return reported(f"label -> HTTP 200: {what}", found), kept


def baseline(scene: Scene, what: str, kept: Kept, rounds: int, answers: Callable[[str], bool]) -> float:
    """The same objects with kubectl; `answers` gets the name that hosts begin with."""
    found = []
    for number in range(rounds):
        name = f"baseline-{number}"
        made = kept.under(name)
        begun = time.perf_counter()
        for namespace, items in made.items():
            given = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
            kubectl("apply", "-n", namespace, "-f", "-", given=given)
        written = time.perf_counter() - begun
        found.append(written + wait(lambda n=name: answers(n)))  # type: ignore[misc]
        kubectl("delete", "namespace", *made)
    return reported(f"the same objects with kubectl apply: {what}", found)


def prepared(scene: Scene, what: str, rounds: int) -> tuple[float, Kept]:
    """Image pushed to HTTP 200 of the migrated catalog, whose needs run since the label; and the last one's objects."""
    found: list[float] = []
    for number in range(rounds + 1):
        pull = scene.catalog.pull_request(f"prepared-{number}", "2", built=False)
        pull.says("are ready; waiting for image", 120)
        scene.catalog.build(scene.github.do(lambda w, n=pull.number: w.pull_request("shop/catalog", n).head_sha))  # type: ignore[misc]
        scene.github.do(lambda w: w.workflow_completed("shop/catalog"))  # as GitHub says once CI has pushed the image
        taken = wait(lambda p=pull: bool(page(scene, f"catalog-pr-{p.number}", "/products")))  # type: ignore[misc]
        if number:  # the first one pulls the images of the needs
            found.append(taken)
        kept = Kept.of([pull])
        pull.close()
        pull.gone(90)
    return reported(f"image pushed -> HTTP 200, needs prepared: {what}", found), kept


def together(scene: Scene, what: str, kept: Kept, rounds: int) -> float:
    """Image pushed to HTTP 200 when kubectl applies every object with the image, the needs too. Each image is new."""
    found, text = [], json.dumps(kept.objects)
    [old] = set(re.findall(rf"{stage.REGISTRY}/shop/catalog@sha256:[0-9a-f]{{64}}", text))
    for number in range(rounds):
        image = scene.catalog.build(scene.catalog.commit(f"together-{number}", "2"))
        [(namespace, items)] = Kept(json.loads(text.replace(old, image))).under(f"together-{number}").items()
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        begun = time.perf_counter()
        kubectl("apply", "-n", namespace, "-f", "-", given=given)
        wait(lambda n=number: bool(page(scene, f"together-{n}-catalog", "/products")))  # type: ignore[misc]
        found.append(time.perf_counter() - begun)
        kubectl("delete", "namespace", namespace)
    return reported(f"image pushed -> HTTP 200, everything applied with the image: {what}", found)


def pairs(scene: Scene) -> tuple[float, Kept]:
    """Both labeled at once, until the storefront's page shows what the catalog of the same branch answers."""
    found = []
    for number in range(ROUNDS):
        both = [r.pull_request(f"pair-{number}", "2", labeled=False) for r in (scene.catalog, scene.storefront)]
        for pull in both:
            pull.label()
        host = f"storefront-pr-{both[1].number}"
        found.append(wait(lambda h=host: shows(scene, h)))  # type: ignore[misc]
        kept = Kept.of(both)
        for pull in both:
            pull.close()
        for pull in both:
            pull.gone(90)
    return reported("label -> the storefront shows the catalog of its branch", found), kept


def shows(scene: Scene, host: str, product: str = "Espresso beans") -> bool:
    """Return whether the storefront's page shows the product; an error page does not count."""
    return product in page(scene, host, "/")


def uses(scene: Scene) -> None:
    """Measure the time from the command to the first page with a product that only the new target has."""
    catalog, shop = scene.catalog.pull_request("target", "2"), scene.storefront.pull_request("user", "2")
    catalog.ready("2")
    shop.ready("2")
    host, found = f"storefront-pr-{shop.number}", []
    target = f"catalog-pr-{catalog.number}.{DOMAIN}"
    product = {"name": ONLY_THERE, "cents": 1}
    scene.client.post(f"http://{NODE}/products", headers={"host": target}, json=product).raise_for_status()
    for _ in range(ROUNDS):
        wait(lambda: "is away" in page(scene, host, "/"))
        shop.say(f"/preview use {catalog.name}")
        found.append(wait(lambda: shows(scene, host, ONLY_THERE)))
        shop.say("/preview use catalog staging")
    reported("/preview use -> the first page from the new target", found)


def ratio(ours: float, least: float) -> None:
    print(f"  ratio {ours / least:.2f}", flush=True)


def main() -> None:
    """Everything, in one run."""
    stage.environment()
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as folder:
        Path(folder).chmod(0o755)
        with stage.played(Path(folder), os.environ["GREENROOM_E2E"]) as scene:
            scene.up()
            needs = {n["kind"]: n for n in scene.whole["needs"]}
            with scene.serving(catalog={**scene.whole, "needs": [needs["postgresql"], needs["redis"]]}):
                what = "PostgreSQL, Redis, a migration, a worker, a cron"
                ours, kept = backends(scene, what, ROUNDS)
                ratio(
                    ours, baseline(scene, what, kept, ROUNDS, lambda n: bool(page(scene, f"{n}-catalog", "/products")))
                )
                ours, kept = prepared(scene, what, ROUNDS)
                ratio(ours, together(scene, what, kept, ROUNDS))
                ours, kept = pairs(scene)
                ratio(
                    ours,
                    baseline(scene, "the two linked previews", kept, ROUNDS, lambda n: shows(scene, f"{n}-storefront")),
                )
                uses(scene)
            with scene.serving(catalog=scene.whole):
                what = "RabbitMQ as well"
                ours, kept = backends(scene, what, ROUNDS // 2)
                ratio(
                    ours,
                    baseline(scene, what, kept, ROUNDS // 2, lambda n: bool(page(scene, f"{n}-catalog", "/products"))),
                )


if __name__ == "__main__":
    main()
