"""Previews as objects of Kubernetes: what `kubectl get`, `wait`, `describe` and `edit` do."""

from __future__ import annotations

import json

from e2e.scene import ARGO, Pull, Scene, kubectl, thing, until


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
    assert "Only Greenroom may write the Preview objects of e2e" in refused
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
    assert shown(pull)[1] == "waiting"
    late = scene.greenroom("wait", pull.name, "--timeout", "1s", check=False)
    assert "Waiting for image" in late


def test_the_definition_may_come_after_greenroom(scene: Scene) -> None:
    """As after an upgrade from a version without it: Helm does not add definitions to an installed release."""
    pull = scene.payments.pull_request("definition", "2")
    pull.ready("2")
    kubectl("delete", "crd", "previews.greenroom.dev")
    scene.kill()
    scene.up()
    until(lambda: "kubectl apply -f charts/greenroom/crds" in scene.log(), 30, "the warning")
    kubectl("apply", "-f", str(scene.chart / "crds"))
    until(lambda: thing("preview", f"payments-{pull.number}", ARGO), 90, "the object")
    assert pull.page("/").status_code == 200
