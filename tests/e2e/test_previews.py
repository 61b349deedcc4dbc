"""Previews as objects of Kubernetes: what `kubectl get`, `wait`, `describe` and `edit` do."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2e.scene import ARGO, HOME, Pull, Scene, kubectl, objects, thing, until
from greenroom.argocd import applicationset, stored_preview
from greenroom.core.model import codec
from greenroom.core.model.records import joined


def shown(pull: Pull, output: str = "") -> list[str]:
    """The line of a preview in `kubectl get previews`, by column."""
    name = f"{pull.repository.name}-{pull.number}"
    printed = kubectl("get", "previews", "-n", ARGO, name, "--no-headers", *(["-o", output] if output else []))
    return printed.split()


def test_kubectl_gets_waits_for_and_describes_a_preview(scene: Scene) -> None:
    pull = scene.payments.pull_request("object", "2", built=False)
    name = f"payments-{pull.number}"
    until(lambda: shown(pull)[:2] == [name, "waiting"], 30, "the object of a preview that waits for its image")
    sha = pull.push("2")
    kubectl("wait", "-n", ARGO, "--for=condition=Ready", f"preview/{name}", "--timeout=120s")
    pull.answers("2", 1)
    assert shown(pull)[:4] == [name, "ready", f"http://payments-pr-{pull.number}.preview.test.example", sha[:7]]
    assert shown(pull, "wide")[6] == "ada"
    assert kubectl("get", "prv", "-n", ARGO, name, "--no-headers").split()[:4] == shown(pull)[:4]
    described = kubectl("describe", "preview", "-n", ARGO, name)
    for words in ("Waiting", "Ready", "Starting"):
        assert words in described.partition("Events:")[2], described
    pull.close()
    kubectl("wait", "-n", ARGO, "--for=jsonpath={.status.state}=removed", f"preview/{name}", "--timeout=90s")
    assert not pull.exists()


def test_edited_or_deleted_object_removes_nothing_and_comes_back(scene: Scene) -> None:
    pull = scene.payments.pull_request("by-hand-object", "2")
    pull.ready("2")
    name, uid = f"payments-{pull.number}", pull.uid
    until(lambda: shown(pull)[1] == "ready", 10, "the object")
    change = json.dumps({"spec": {"build": {"headSha": "f" * 40}}})
    refused = kubectl("patch", "preview", "-n", ARGO, name, "--type=merge", "-p", change, check=False)
    assert "Only Greenroom may write the Preview and PreviewConfig objects of e2e" in refused
    kubectl("label", "preview", "-n", ARGO, name, "team=shop", check=False)
    kubectl("delete", "preview", "-n", ARGO, name, "--cascade=foreground", "--timeout=30s")
    until(lambda: shown(pull)[1] == "ready", 30, "the object again")
    assert pull.uid == uid
    assert pull.page("/").status_code == 200


def test_wait_ends_when_the_pushed_commit_is_the_only_one_that_serves(scene: Scene) -> None:
    pull = scene.payments.pull_request("wait", "2")
    pull.ready("2")
    sha = pull.push("3")
    served = scene.greenroom("wait", pull.name, "--commit", sha, "--timeout", "90s")
    assert f"{pull.name} serves {sha[:7]}." in served
    assert pull.answers("3", 1)["release"] == "3"
    kubectl("wait", "-n", ARGO, "--for=condition=Ready", f"preview/payments-{pull.number}", "--timeout=10s")
    late = scene.greenroom("wait", pull.name, "--commit", "f" * 40, "--timeout", "1s", check=False)
    assert "Timed out." in late
    pull.push("4", built=False)
    scene.explains(pull, "Waiting for image")
    until(lambda: shown(pull)[1] == "waiting", 10, "the object that waits")
    late = scene.greenroom("wait", pull.name, "--timeout", "1s", check=False)
    assert "Waiting for image" in late


def test_definitions_deleted_and_restored_bring_every_preview_back_from_what_runs(scene: Scene) -> None:
    pull, other = scene.payments.pull_request("definition", "2"), scene.payments.pull_request("unlabeled", "2")
    pull.ready("2")
    other.ready("2")
    uid, pods = pull.uid, started(pull)
    kubectl("delete", "crd", "previews.greenroom.dev", "previewconfigs.greenroom.dev")
    scene.kill()
    until(lambda: "kubectl apply -f charts/greenroom/crds" in scene.log(), 60, "the warning")
    assert pull.page("/").status_code == 200
    kubectl("apply", "-f", str(scene.chart / "crds"))
    scene.up()
    until(lambda: shown(pull)[1:2] == ["ready"], 60, "the object")
    assert (pull.uid, started(pull)) == (uid, pods)
    other.unlabel()
    other.says("Preview held", 60)
    assert "were deleted or restored from a backup" in other.comment
    scene.greenroom("release", "--yes", other.name)
    other.gone(60)


def test_object_deleted_while_greenroom_is_away_comes_back_from_what_runs(scene: Scene) -> None:
    pull = scene.payments.pull_request("away", "2")
    pull.ready("2")
    uid, pods = pull.uid, started(pull)
    with away(scene):
        kubectl("delete", "preview", "-n", ARGO, f"payments-{pull.number}")
    until(lambda: shown(pull)[1:2] == ["ready"], 60, "the object")
    assert (pull.uid, started(pull)) == (uid, pods)
    pull.close()
    pull.gone(60)


def test_previews_of_the_first_stored_format_move_into_objects_and_nothing_restarts(scene: Scene) -> None:
    pulls = [scene.payments.pull_request(f"first-{n}", "2") for n in range(2)]
    for pull in pulls:
        pull.ready("2")
    before = [(pull.uid, started(pull)) for pull in pulls]
    with away(scene):
        found = thing("applicationset", "preview-payments", ARGO)
        assert found
        annotations = found["metadata"]["annotations"] | {applicationset.ROWS: first_format(found)}
        kept = {k: v for k, v in annotations.items() if k not in (applicationset.INDEX, applicationset.RECOVERY)}
        body = {
            "apiVersion": found["apiVersion"],
            "kind": found["kind"],
            "metadata": {
                "name": found["metadata"]["name"],
                "namespace": ARGO,
                "labels": found["metadata"]["labels"],
                "annotations": {k: v for k, v in kept.items() if k.startswith("greenroom.dev/")},
            },
            "spec": found["spec"],
        }
        apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=greenroom", "-f", "-")
        kubectl(*apply, given=json.dumps(body))
        ours = ("-n", ARGO, "-l", "greenroom.dev/installation=e2e")
        kubectl("delete", "previews,previewconfigs", *ours)
    for pull in pulls:
        until(lambda pull=pull: shown(pull)[1:2] == ["ready"], 60, "the object")  # type: ignore[misc]
    moved = thing("applicationset", "preview-payments", ARGO)
    assert moved
    assert applicationset.ROWS not in moved["metadata"]["annotations"]
    assert applicationset.index_of(moved), "and nothing counts as lost"
    assert applicationset.RECOVERY not in moved["metadata"]["annotations"]
    assert before == [(pull.uid, started(pull)) for pull in pulls]


def started(pull: Pull) -> list[str]:
    """The pods of a preview, each with its start."""
    return sorted(f"{p['metadata']['name']} {p['metadata']['creationTimestamp']}" for p in pull.pods())


@contextmanager
def away(scene: Scene) -> Iterator[None]:
    """Greenroom does not run meanwhile."""
    scene.scale(0)
    until(lambda: not objects("pods", HOME, "app.kubernetes.io/name=greenroom"), 60, "the end of the controller")
    try:
        yield
    finally:
        scene.scale(1)
        until(lambda: objects("pods", HOME, "app.kubernetes.io/name=greenroom"), 30, "a controller")
        scene.up()


def first_format(application_set: dict[str, Any]) -> str:
    """The previews of a repository as the first version stored them, in one annotation."""
    ours = "greenroom.dev/installation=e2e,greenroom.dev/repository=payments"
    configs = {c["metadata"]["name"]: c for c in objects("previewconfigs", ARGO, "greenroom.dev/installation=e2e")}
    kept = {o["spec"]["number"]: stored_preview.content(o, configs).kept for o in objects("previews", ARGO, ours)}
    repository_id, generation = (
        applicationset.repository_id_of(application_set),
        applicationset.generation_of(application_set),
    )
    dumped = codec.dumped(joined(repository_id, "payments", generation, kept))
    del dumped["recovery"]  # which the first version did not know
    return base64.b64encode(zlib.compress(json.dumps(dumped).encode())).decode()
