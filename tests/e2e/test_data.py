"""Databases that die: each time a new life of the data, with the services started and migrated again."""

from __future__ import annotations

import base64
import subprocess

from e2e.scene import Pull, Scene, kubectl, until


def incarnation(pull: Pull) -> str:
    """What all its web pods say; during a rolling update there are two."""
    pods = pull.pods("app.kubernetes.io/component=web")
    return ",".join(sorted({str(p["metadata"]["annotations"]["greenroom.dev/incarnation"]) for p in pods}))


def test_a_database_whose_pod_is_deleted_begins_again_and_is_migrated(scene: Scene) -> None:
    pull = scene.catalog.pull_request("dbpod", "2")
    pull.ready("2")
    pull.post("/", {"name": "Lost", "cents": 5})
    kubectl("delete", "pod", "-n", pull.namespace, "-l", "greenroom.dev/role=need", "--wait=false")
    pull.says("began again at its seed", 60)
    found = pull.answers("2", 60)
    assert "Lost" not in [p["name"] for p in found["products"]]
    assert all(p["stock"] is not None for p in found["products"]), "migrated again"
    assert until(lambda: incarnation(pull) == "2", 30)


def test_a_database_killed_inside_its_container_begins_again_too(scene: Scene) -> None:
    pull = scene.catalog.pull_request("dbkill", "2")
    pull.ready("2")
    pull.post("/", {"name": "Lost", "cents": 5})
    [pod] = pull.pods("greenroom.dev/role=need")
    kubectl("exec", "-n", pull.namespace, pod["metadata"]["name"], "--", "sh", "-c", "kill -INT 1", check=False)
    pull.says("began again at its seed", 60)
    found = pull.answers("2", 60)
    assert "Lost" not in [p["name"] for p in found["products"]]
    [after] = pull.pods("greenroom.dev/role=need")
    assert after["metadata"]["uid"] == pod["metadata"]["uid"], "the same pod, another container"


def test_five_databases_at_once_are_five_incarnations_and_no_breaker(scene: Scene) -> None:
    pulls = [scene.catalog.pull_request(f"spot-{n}", "2") for n in range(5)]
    for pull in pulls:
        pull.ready("2", 120)
    names = [(p.namespace, pod["metadata"]["name"]) for p in pulls for pod in p.pods("greenroom.dev/role=need")]
    deleting = [
        subprocess.Popen(["kubectl", "delete", "pod", "-n", namespace, name, "--grace-period=1", "--wait=false"])
        for namespace, name in names
    ]
    assert [d.wait(30) for d in deleting] == [0] * 5
    for pull in pulls:
        pull.says("began again at its seed", 120)
        pull.answers("2", 120)
    assert "held" not in scene.greenroom("list")


def test_the_password_stays_over_hard_refreshes_and_a_push(scene: Scene) -> None:
    pull = scene.catalog.pull_request("password", "2")
    pull.ready("2")

    def secret() -> str:
        return kubectl("get", "secret", "catalog-postgresql", "-n", pull.namespace, "-o", "jsonpath={.data.password}")

    before = secret()
    assert before
    for _ in range(20):
        kubectl(
            "annotate", "application", pull.namespace, "-n", "argocd", "argocd.argoproj.io/refresh=hard", "--overwrite"
        )
        until(lambda: "argocd.argoproj.io/refresh" not in str((pull.application or {}).get("metadata")), 15)
    assert secret() == before
    pull.push("3")
    pull.answers("3")
    assert secret() == before
    text = kubectl("get", "application", pull.namespace, "-n", "argocd", "-o", "yaml")
    assert base64.b64decode(before).decode() not in text
