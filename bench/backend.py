"""`make bench-backend`: a backend with its needs and a migration, and a pair of repositories, on the real cluster.

Seconds from the event on GitHub to the first HTTP 200 through the ingress, medians. The floor is the very same objects,
applied with kubectl into a namespace of their own: no Greenroom, no Argo CD. It takes about 15 minutes.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e import scene as stage  # noqa: E402
from e2e.scene import DOMAIN, NODE, Scene, kubectl, objects  # noqa: E402

ROUNDS = 10
WAIT = 180.0
PLACE = "where-it-answers"
KINDS = ("secret", "service", "deployment", "ingress")


def wait(check: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    begun = time.perf_counter()
    while not check():
        if time.perf_counter() - begun > WAIT:
            raise stage.NotSeen(f"not within {WAIT:g} s")
        time.sleep(0.02)
    return time.perf_counter() - begun


def page(scene: Scene, host: str, path: str, words: str = "") -> bool:
    try:
        answer = scene.client.get(f"http://{NODE}{path}", headers={"host": f"{host}.{DOMAIN}"})
    except httpx2.HTTPError:
        return False
    return answer.status_code == 200 and words in answer.text


def told(what: str, found: list[float]) -> float:
    middle = statistics.median(found)
    print(f"{what}: {middle:.2f} s (median of {len(found)}, {min(found):.2f} to {max(found):.2f})", flush=True)
    return middle


def bare(found: dict[str, Any], host: str) -> dict[str, Any]:
    """An object as somebody would write it, with another host."""
    metadata = {"name": found["metadata"]["name"]}
    text = json.dumps({k: v for k, v in found.items() if k not in ("metadata", "status")})
    made: dict[str, Any] = json.loads(text.replace(json.dumps(PLACE), json.dumps(f"{host}.{DOMAIN}")))
    if found["kind"] == "Service":
        for key in ("clusterIP", "clusterIPs"):
            made["spec"].pop(key, None)
    return {**made, "metadata": metadata}


def backends(scene: Scene) -> list[dict[str, Any]]:
    """Label to HTTP 200 of the catalog; returns the objects of the last one."""
    found: list[float] = []
    kept: list[dict[str, Any]] = []
    for number in range(ROUNDS + 1):
        pull = scene.catalog.pull_request(f"backend-{number}", "2", labelled=False)
        pull.label()
        taken = wait(lambda p=pull: page(scene, f"catalog-pr-{p.number}", "/products"))  # type: ignore[misc]
        if number:  # the first one pulls images
            found.append(taken)
        if number == ROUNDS:
            kept = [o for kind in KINDS for o in objects(kind, pull.namespace)]
            text = json.dumps(kept).replace(f'"catalog-pr-{pull.number}.{DOMAIN}"', json.dumps(PLACE))
            kept = json.loads(text)
        pull.close()
        pull.gone(90)
    told("label -> HTTP 200: PostgreSQL, Redis, RabbitMQ, migration, worker", found)
    return kept


def floor(scene: Scene, kept: list[dict[str, Any]]) -> None:
    found = []
    for number in range(ROUNDS):
        name = f"floor-{number}"
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        kubectl("apply", "-f", "-", given=json.dumps(namespace))
        items = [bare(o, name) for o in kept]
        begun = time.perf_counter()
        kubectl("apply", "-n", name, "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        applied = time.perf_counter() - begun
        found.append(applied + wait(lambda n=name: page(scene, n, "/products")))  # type: ignore[misc]
        kubectl("delete", "namespace", name)
    told("the same objects with kubectl apply -> HTTP 200", found)


def pairs(scene: Scene) -> None:
    """Both labelled at once, until the storefront's page shows what the catalog of the same branch answers."""
    found = []
    for number in range(ROUNDS):
        both = [r.pull_request(f"pair-{number}", "2", labelled=False) for r in (scene.catalog, scene.storefront)]
        for pull in both:
            pull.label()
        host = f"storefront-pr-{both[1].number}"
        found.append(wait(lambda h=host: page(scene, h, "/", "<li>") and not page(scene, h, "/", "is away")))  # type: ignore[misc]
        for pull in both:
            pull.close()
        for pull in both:
            pull.gone(90)
    told("label -> the storefront shows the catalog of its branch", found)


def uses(scene: Scene) -> None:
    """The command to the first page that the new target serves."""
    catalog, shop = scene.catalog.pull_request("target", "2"), scene.storefront.pull_request("user", "2")
    catalog.ready("2")
    shop.ready("2")
    host, found = f"storefront-pr-{shop.number}", []
    for _ in range(ROUNDS):
        wait(lambda: page(scene, host, "/", "is away"))
        shop.say(f"/preview use {catalog.name}")
        found.append(wait(lambda: page(scene, host, "/") and not page(scene, host, "/", "is away")))
        shop.say("/preview use catalog staging")
    told("/preview use -> the first page from the new target", found)


def main() -> None:
    """Everything, in one run."""
    stage.environment()
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as folder:
        Path(folder).chmod(0o755)
        with stage.played(Path(folder), os.environ["GREENROOM_E2E"]) as scene:
            scene.up()
            with scene.serving(catalog=scene.whole):
                floor(scene, backends(scene))
                pairs(scene)
                uses(scene)


if __name__ == "__main__":
    main()
