"""What Greenroom's own account may not do, tried with its token; and what its Applications may not make, by a real sync."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.scene import ARGO, HOME, OLDEST, Scene, kubectl, thing, until


def as_greenroom(*arguments: str, given: object = None) -> tuple[bool, str]:
    """`kubectl` with the token of Greenroom's own ServiceAccount."""
    token = kubectl("create", "token", "greenroom", "-n", HOME).strip()
    done = subprocess.run(
        ["kubectl", f"--token={token}", *arguments],
        input=json.dumps(given) if given is not None else None,
        text=True,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def our_set(scene: Scene) -> dict[str, Any]:
    """An ApplicationSet as Greenroom writes it, under another name."""
    scene.payments.pull_request("policies", "2").ready("2")
    found = thing("applicationset", "preview-payments", ARGO)
    assert found is not None
    found["metadata"] = {"name": "preview-tried", "namespace": ARGO, "labels": found["metadata"]["labels"]}
    found.pop("status", None)
    return found


def changed(found: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    made: Any = copy.deepcopy(found)
    target, *keys = made, *path.split(".")
    for key in keys[:-1]:
        target = target.setdefault(key, {})
    target[keys[-1]] = value
    return dict(made)


REFUSED = {
    "another project": ("spec.template.spec.project", "default"),
    "another generator": ("spec.generators", [{"list": {"elements": []}}]),
    "two generators": (
        "spec.generators",
        [{"plugin": {"configMapRef": {"name": "greenroom-plugin"}}}, {"list": {"elements": []}}],
    ),
    "another plugin": ("spec.generators", [{"plugin": {"configMapRef": {"name": "other"}}}]),
    "a template patch": ("spec.templatePatch", "spec: {project: default}"),
    "another chart": ("spec.template.spec.source.repoURL", "https://example.com/charts.git"),
    "another folder of the chart's repository": ("spec.template.spec.source.path", "charts/other"),
    "a namespace of the chart's own": ("spec.template.spec.source.helm.namespace", "kube-system"),
    "values that the chart's schema refuses": ("spec.template.spec.source.helm.skipSchemaValidation", True),
    "values of a file": ("spec.template.spec.source.helm.valueFiles", ["../other.yaml"]),
    "another release name": ("spec.template.spec.source.helm.releaseName", "other"),
    "parameters": ("spec.template.spec.source.helm.parameters", [{"name": "x", "value": "y"}]),
    "another source of the same chart": (
        "spec.template.spec.sourceHydrator",
        {
            "drySource": {"repoURL": "https://example.com/x.git", "path": ".", "targetRevision": "main"},
            "syncSource": {"path": "out", "targetBranch": "env"},
        },
    ),
    "plain files": ("spec.template.spec.source.directory", {"recurse": True}),
    "labels of a namespace": (
        "spec.template.spec.syncPolicy.managedNamespaceMetadata",
        {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
    ),
    "a template in the generator": (
        "spec.generators",
        [
            {
                "plugin": {
                    "configMapRef": {"name": "greenroom-plugin"},
                    "template": {
                        "metadata": {},
                        "spec": {"project": "", "destination": {"namespace": "kube-system"}},
                    },
                }
            }
        ],
    ),
    "several sources": ("spec.template.spec.sources", [{"repoURL": "https://example.com/charts.git", "path": "."}]),
    "another namespace": ("spec.template.spec.destination.namespace", "kube-system"),
    "another cluster": ("spec.template.spec.destination.name", "production"),
    "a policy that deletes": ("spec.syncPolicy.applicationsSync", "sync"),
    "another installation": ("metadata.labels", {"greenroom.dev/installation": "other"}),
    "no installation": ("metadata.labels", {}),
}


def test_the_set_that_greenroom_writes_is_taken_and_others_are_refused(our_set: dict[str, Any]) -> None:
    taken, said = as_greenroom("create", "--dry-run=server", "-f", "-", given=our_set)
    assert taken, said
    for name, (path, value) in REFUSED.items():
        taken, said = as_greenroom("create", "--dry-run=server", "-f", "-", given=changed(our_set, path, value))
        assert not taken, name
        assert "ValidatingAdmissionPolicy" in said, f"{name}: {said}"


def test_a_set_that_is_not_ours_is_not_touched(scene: Scene, our_set: dict[str, Any]) -> None:
    theirs = changed(our_set, "metadata", {"name": "theirs", "namespace": ARGO})
    theirs["spec"]["generators"] = [{"list": {"elements": []}}]
    kubectl("create", "-f", "-", given=json.dumps(theirs))
    try:
        labels = json.dumps({"metadata": {"labels": {"greenroom.dev/installation": "e2e"}}})
        assert not as_greenroom("patch", "applicationset", "theirs", "-n", ARGO, "--type=merge", "-p", labels)[0]
        assert not as_greenroom("delete", "applicationset", "theirs", "-n", ARGO)[0]
    finally:
        kubectl("delete", "applicationset", "theirs", "-n", ARGO)


def test_preview_objects_of_other_installations_are_not_greenrooms_to_write(scene: Scene) -> None:
    pull = scene.payments.pull_request("objects", "2")
    pull.ready("2")
    found = until(lambda: thing("preview", f"payments-{pull.number}", ARGO) or {}, 20, "the object")
    labels = {"app.kubernetes.io/managed-by": "greenroom", "greenroom.dev/installation": "other"}
    metadata = {"name": "other-1", "namespace": ARGO, "labels": labels}
    other = {k: found[k] for k in ("apiVersion", "kind", "spec")} | {"metadata": metadata}
    taken, said = as_greenroom("create", "-f", "-", given=other)
    assert (taken, "only Preview and PreviewConfig objects with the label of its own installation" in said) == (
        False,
        True,
    ), said
    kubectl("create", "-f", "-", given=json.dumps(other))
    try:
        theirs = thing("preview", "other-1", ARGO)
        assert theirs is not None
        taken, said = as_greenroom("replace", "-f", "-", given=changed(theirs, "spec.number", 7))
        assert (taken, "only Preview and PreviewConfig objects with the label of its own installation" in said) == (
            False,
            True,
        ), said
    finally:
        kubectl("delete", "preview", "-n", ARGO, "other-1")


def test_only_the_operation_state_of_an_application_may_change(scene: Scene) -> None:
    pull = scene.payments.pull_request("spec", "2")
    pull.ready("2")

    def patched(body: object) -> tuple[bool, str]:
        return as_greenroom(
            "patch",
            "application",
            pull.namespace,
            "-n",
            ARGO,
            "--type=merge",
            "--dry-run=server",
            "-p",
            json.dumps(body),
        )

    bodies: tuple[dict[str, Any], ...] = (
        {"status": {"operationState": {"phase": "Terminating"}}},  # it has ended
        {"status": {"operationState": {"phase": "Running"}}},
        {"status": {"sync": {"status": "Unknown"}}},
        {"status": {"history": None}},
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]}},
        {"spec": {"project": "default"}},
        {"spec": {"source": {"helm": {"parameters": [{"name": "links.x.url", "value": "http://x"}]}}}},
        {"operation": {"sync": {}}},
        {"metadata": {"finalizers": None}},
        {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}},
        {"metadata": {"labels": {"greenroom.dev/number": "99"}}},
    )
    for body in bodies:
        taken, said = patched(body)
        assert not taken, body
        assert "ValidatingAdmissionPolicy" in said, said


@pytest.fixture
def running(scene: Scene) -> Iterator[dict[str, Any]]:
    """An Application of ours whose operation runs, where no Argo CD works on it and our account may do anything."""
    where = "policies-tried"
    scene.payments.pull_request("running", "2").ready("2")
    found = thing("application", "preview-payments-" + str(scene.pulls[-1].number), ARGO)
    assert found is not None
    found["metadata"] = {"name": "preview-tried-1", "namespace": where, "labels": found["metadata"]["labels"]}
    operation = {"sync": {"revision": "v1"}}
    found["status"]["operationState"] |= {"phase": "Running", "operation": operation}
    kubectl("create", "namespace", where)
    kubectl(
        "create", "rolebinding", "all", "-n", where, "--clusterrole=cluster-admin", f"--serviceaccount={HOME}:greenroom"
    )
    kubectl("create", "-f", "-", given=json.dumps(found))
    yield found
    kubectl("delete", "namespace", where, "--wait=false")


def test_an_operation_that_runs_may_be_ended_and_nothing_else(running: dict[str, Any]) -> None:
    def patched(body: object) -> tuple[bool, str]:
        where = ("-n", "policies-tried", "--type=merge", "--dry-run=server")
        return as_greenroom("patch", "application", "preview-tried-1", *where, "-p", json.dumps(body))

    taken, said = patched({"status": {"operationState": {"phase": "Terminating"}}})
    assert taken, said
    planted: tuple[dict[str, Any], ...] = (
        {"operation": {"sync": {"manifests": ["{}"]}}},
        {"syncResult": {"revision": "v1", "source": {"repoURL": "https://example.com/x.git"}}},
        {"phase": "Terminating", "operation": {"sync": {"manifests": ["{}"]}}},
        {"phase": "Succeeded"},
        {"startedAt": "2026-03-02T12:00:00Z"},
    )
    for state in planted:
        taken, said = patched({"status": {"operationState": state}})
        assert not taken, state
        assert "ValidatingAdmissionPolicy" in said, said


def test_an_application_of_another_project_is_not_deleted(scene: Scene) -> None:
    theirs = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "theirs", "namespace": ARGO},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://example.com/x.git", "path": "."},
            "destination": {"name": "in-cluster", "namespace": "default"},
        },
    }
    kubectl("create", "-f", "-", given=json.dumps(theirs))
    try:
        taken, said = as_greenroom("delete", "application", "theirs", "-n", ARGO)
        assert not taken
        assert "only Applications of the project" in said
    finally:
        kubectl("delete", "application", "theirs", "-n", ARGO)


@pytest.mark.parametrize(
    "command",
    [
        ("get", "secrets", "-n", ARGO),
        ("get", "secrets", "-A"),
        ("get", "secret", "greenroom-e2e", "-n", HOME),
        ("create", "namespace", "preview-mine"),
        ("delete", "namespace", "default"),
        ("create", "deployment", "x", "--image=x", "-n", "default"),
        ("get", "--raw", "/api/v1/namespaces/kube-system/pods/any/log"),
        ("create", "token", "greenroom", "-n", HOME),
    ],
    ids=" ".join,
)
def test_rbac_refuses(scene: Scene, command: tuple[str, ...]) -> None:
    taken, said = as_greenroom(*command)
    assert not taken
    assert "forbidden" in said.lower(), said


@pytest.fixture
def may_delete_namespaces(scene: Scene) -> Iterator[None]:
    """Greenroom's account with the right that `argocd.sweep: delete` gives it; only the admission policy is left."""
    kubectl("create", "clusterrole", "sweep-tried", "--verb=delete", "--resource=namespaces")
    account = f"--serviceaccount={HOME}:greenroom"
    kubectl("create", "clusterrolebinding", "sweep-tried", "--clusterrole=sweep-tried", account)
    yield
    kubectl("delete", "clusterrolebinding", "sweep-tried")
    kubectl("delete", "clusterrole", "sweep-tried")


OURS, OTHERS = {"greenroom.dev/installation": "e2e"}, {"greenroom.dev/installation": "another"}


@pytest.mark.parametrize(
    ("name", "labels", "taken"),
    [
        ("preview-swept-1", OURS, True),
        ("preview-swept-2", OTHERS, False),
        ("preview-swept-3", {}, False),
        ("swept-4", OTHERS, False),
        ("swept-5", {}, False),
    ],
    ids=["ours", "of another installation", "without labels", "of another name", "of nobody"],
)
@pytest.mark.usefixtures("may_delete_namespaces")
def test_only_namespaces_of_own_previews_are_deleted(name: str, labels: dict[str, str], taken: bool) -> None:
    """Another policy lets no namespace of another name carry our installation; so no such one is tried here."""
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kubectl("create", "-f", "-", given=json.dumps(made))
    try:
        # A role binding takes a moment to reach the authorizer: until then the answer is RBAC's, not the policy's.
        until(_may_delete, 10, "the right to delete namespaces")
        done, said = as_greenroom("delete", "namespace", name, "--dry-run=server")
        assert done is taken, said
        if not taken:
            assert "ValidatingAdmissionPolicy" in said, said
            assert "Greenroom may delete only namespaces of its own previews." in said
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


def _may_delete() -> str:
    done, said = as_greenroom("auth", "can-i", "delete", "namespaces")
    assert done, said
    return said


def test_logs_are_read_in_previews_and_nowhere_else(scene: Scene) -> None:
    pull = scene.payments.pull_request("logs", "2")
    pull.ready("2")
    [pod] = pull.pods("app.kubernetes.io/component=web")
    taken, said = as_greenroom("logs", "-n", pull.namespace, pod["metadata"]["name"])
    assert taken, said
    controller = scene.controller()["metadata"]["name"]
    assert not as_greenroom("logs", "-n", HOME, controller)[0]


PROJECT = {"spec": {"clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}]}}


@pytest.mark.parametrize("guard", ["project", "policy"])
@pytest.mark.parametrize("name", ["kube-system", "staging"])
def test_a_preview_that_renders_another_namespace_is_refused_by_a_real_sync(
    scene: Scene, name: str, guard: str
) -> None:
    """An Application of our project whose chart renders somebody else's Namespace, as if the chart had been taken over.

    The project refuses the name where Argo CD knows how (from 3.3 on); the admission policy does without it too.
    """
    if guard == "project" and OLDEST:
        pytest.skip("projects of this Argo CD cannot say which namespaces may be made; the admission policy does")
    if name == "staging":
        kubectl("create", "namespace", "staging")
    project = thing("appproject", "greenroom-previews", ARGO)
    assert project is not None
    if guard == "policy":
        kubectl("patch", "appproject", "greenroom-previews", "-n", ARGO, "--type=merge", "-p", json.dumps(PROJECT))
    before = thing("namespace", name)
    assert before is not None
    version = hostile_chart(scene, name, guard)
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "preview-hostile-1", "namespace": ARGO},
        "spec": {
            "project": "greenroom-previews",
            "source": {"repoURL": f"file://{scene.folder}/charts", "path": "hostile", "targetRevision": version},
            "destination": {"name": "in-cluster", "namespace": "preview-hostile-1"},
            "syncPolicy": {"automated": {}, "retry": {"limit": 0}},
        },
    }
    kubectl("apply", "-f", "-", given=json.dumps(application))
    try:
        said = until(refused, 60, "a sync that is refused")
        if guard == "policy":
            assert "The namespace of a preview must be named preview-*" in said
        else:
            assert "is not permitted in project" in said or "The namespace of a preview must be named" in said
        after = thing("namespace", name)
        assert after is not None
        assert after["metadata"].get("labels") == before["metadata"].get("labels")
        assert after["metadata"].get("annotations") == before["metadata"].get("annotations")
    finally:
        kubectl("delete", "application", "preview-hostile-1", "-n", ARGO)
        if name == "staging":
            kubectl("delete", "namespace", "staging")
        allowed = {"spec": {"clusterResourceWhitelist": project["spec"]["clusterResourceWhitelist"]}}
        kubectl("patch", "appproject", "greenroom-previews", "-n", ARGO, "--type=merge", "-p", json.dumps(allowed))


def hostile_chart(scene: Scene, name: str, guard: str) -> str:
    """A chart in the repository that the project allows; it renders a Namespace of that name. Returns its tag."""
    chart = scene.folder / "charts" / "hostile"
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: hostile, version: 0.1.0}\n")
    labels = "{greenroom.dev/installation: e2e}"
    rendered = f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {labels}}}}}\n"
    (chart / "templates" / "namespace.yaml").write_text(rendered)
    version = f"hostile-{name}-{guard}"
    scene.make_chart(version)
    return version


def refused() -> str:
    """What Argo CD says of the hostile Application, once its sync has failed."""
    state = (thing("application", "preview-hostile-1", ARGO) or {}).get("status", {})
    operation = state.get("operationState", {})
    assert operation.get("phase") in ("Failed", "Error"), operation.get("phase")
    return json.dumps(operation) + json.dumps(state.get("conditions", []))
