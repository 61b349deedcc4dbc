"""Whatever keeps a preview from running is explained on the pull request, in one plain sentence."""

from __future__ import annotations

import base64
import json
import time

import pytest

from e2e.scene import REGISTRY, SECRETS, Scene, kubectl, objects

FAILING = "raise SystemExit('the settings are missing')\n"


def test_an_image_that_never_comes(scene: Scene) -> None:
    pull = scene.payments.pull_request("never", "2", built=False)
    comment = pull.says("waiting for image")
    assert f"{REGISTRY}/shop/payments:" in comment
    assert pull.pods("greenroom.dev/role=service") == []


def test_only_the_merge_commit_was_built(scene: Scene) -> None:
    pull = scene.payments.pull_request("mergeref", "2", built=False)
    head = scene.github.do(lambda w: w.pull_request("shop/payments", pull.number).head_sha)
    merge = scene.github.do(lambda w: w.pull_request("shop/payments", pull.number).merge_sha)
    scene.payments.build(head, tag=merge)
    comment = pull.says("CI builds GitHub's merge commit")
    assert "image.from: merge" in comment
    assert pull.pods("greenroom.dev/role=service") == []


def test_a_tag_that_moves_is_reported_and_not_followed(scene: Scene) -> None:
    pull = scene.payments.pull_request("moves", "2")
    pull.ready("2")
    head = scene.github.do(lambda w: w.pull_request("shop/payments", pull.number).head_sha)
    other = scene.payments.commit("moves-other", "9")
    scene.payments.build(other, tag=head)
    pull.says("points to a different image")
    pull.answers("2", 5)


def test_an_image_that_crashes(scene: Scene) -> None:
    pull = scene.payments.pull_request("crash", "2")
    pull.ready("2")
    pull.push("3", files={"server.py": FAILING})
    comment = pull.says("ended with exit code 1", 90)
    assert "keeps running" in comment
    assert "the settings are missing" in comment, "the last lines of the log"
    pull.answers("2", 5)
    pull.push("4", files={"server.py": (scene.payments.folder / "server.py").read_text()})
    pull.answers("4")


def test_out_of_quota(scene: Scene) -> None:
    with scene.configured(quota={"cpu": "10m"}):
        time.sleep(4)
        pull = scene.payments.pull_request("quota", "2")
        comment = pull.says("exceeds the preview's quota", 90)
        assert "the limit is requests.cpu=10m" in comment


def test_unschedulable(scene: Scene) -> None:
    with scene.configured(scheduling={"nodeSelector": {"disk": "gold"}}):
        time.sleep(4)
        pull = scene.payments.pull_request("nowhere", "2")
        pull.says("No node can run payments", 90)


def test_a_failed_sync_whose_cause_is_fixed_recovers_without_a_push(scene: Scene) -> None:
    """A policy of the cluster refuses the Ingress; Argo CD would never try the same commit again by itself."""
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "e2e-no-ingress"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["networking.k8s.io"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["ingresses"],
                    }
                ]
            },
            "validations": [{"expression": "false", "message": "No Ingress today."}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "e2e-no-ingress"},
        "spec": {"policyName": "e2e-no-ingress", "validationActions": ["Deny"]},
    }
    kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, binding]}))
    try:
        time.sleep(4)
        pull = scene.payments.pull_request("refused", "2")
        pull.says("No Ingress today", 60)
    finally:
        kubectl("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "e2e-no-ingress")
    pull.ready("2", 120)


def test_a_namespace_held_by_a_finalizer_and_a_volume_left_are_named(scene: Scene) -> None:
    pull = scene.payments.pull_request("held", "2")
    pull.ready("2")
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "e2e-left"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": pull.namespace, "name": "data"},
        },
    }
    kubectl("apply", "-f", "-", given=json.dumps(volume))
    kubectl("patch", "namespace", pull.namespace, "--type=merge", "-p", '{"metadata":{"finalizers":["e2e.test/hold"]}}')
    try:
        pull.close()
        scene.explains(pull, "e2e.test/hold", 60)
        assert pull.exists()
        kubectl("patch", "namespace", pull.namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        scene.explains(pull, "PersistentVolume e2e-left", 60)
        assert "All of the preview's resources have been deleted" not in pull.comment
    finally:
        kubectl("delete", "persistentvolume", "e2e-left", "--wait=false")
    pull.says("All of the preview's resources have been deleted", 60)


def test_a_namespace_that_belongs_to_someone_else_is_not_adopted(scene: Scene) -> None:
    number = scene.github.do(lambda w: max([0, *w.repository("shop/payments").pull_requests])) + 1
    taken = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"preview-payments-{number}"}}
    kubectl("apply", "-f", "-", given=json.dumps(taken))
    try:
        pull = scene.payments.pull_request("taken", "2")
        assert pull.number == number
        pull.says("already exists and does not belong to this preview")
        assert not pull.application
    finally:
        kubectl("delete", "namespace", f"preview-payments-{number}", "--wait=false")
        scene.pulls.clear()


@pytest.mark.usefixtures("stores")
def test_no_secret_is_in_an_application_or_a_comment(scene: Scene) -> None:
    pull = scene.catalog.pull_request("secrets", "2")
    pull.ready("2")
    secrets = objects("secrets", pull.namespace)
    assert len(secrets) == 3, "one for each need: database, cache and queue"
    words = [base64.b64decode(value).decode() for secret in secrets for value in secret["data"].values()]
    text = kubectl("get", "application,applicationset", "-n", "argocd", "-o", "yaml") + "".join(pull.comments)
    text += scene.log()
    for word in (*words, *SECRETS.values(), "e2e-plugin-token"):
        assert word not in text
