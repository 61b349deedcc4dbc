"""The controller and Argo CD as they come and go: nothing is lost, nothing happens twice."""

from __future__ import annotations

import json
import re
import time

from e2e.scene import ARGO, HOME, REGISTRY, ROOT, Pull, Scene, kubectl, objects, run, thing, until


def test_killed_in_the_middle_and_its_history_gone_nothing_changes(scene: Scene) -> None:
    pulls = [scene.payments.pull_request(f"kill-{n}", "2") for n in range(2)]
    for pull in pulls:
        pull.ready("2")
    uids = [p.uid for p in pulls]
    new = scene.payments.pull_request("kill-new", "2")
    scene.kill()
    scene.up()
    new.ready("2")
    assert [p.uid for p in pulls] == uids
    for pull in (*pulls, new):
        assert len(pull.comments) == 1


def test_pull_requests_that_close_while_it_is_down_are_caught_up(scene: Scene) -> None:
    closed = scene.payments.pull_request("down-closed", "2")
    stays = scene.payments.pull_request("down-stays", "2")
    closed.ready("2")
    stays.ready("2")
    scene.scale(0)
    until(lambda: not objects("pods", HOME, "app.kubernetes.io/name=greenroom"), 60)
    closed.close()
    time.sleep(2)
    assert closed.exists(), "nobody is there to remove it"
    scene.scale(1)
    scene.up()
    closed.gone(60)
    closed.says("All of the preview's resources have been deleted")
    assert stays.exists()


def test_second_controller_stands_by(scene: Scene) -> None:
    pull = scene.payments.pull_request("two", "2")
    pull.ready("2")
    scene.scale(2)

    def pods() -> list[tuple[str, bool]]:
        found = objects("pods", HOME, "app.kubernetes.io/name=greenroom")
        return [
            (
                p["metadata"]["name"],
                any((c["type"], c["status"]) == ("Ready", "True") for c in p["status"].get("conditions", ())),
            )
            for p in found
            if p["status"].get("phase") == "Running"
        ]

    try:
        until(lambda: len(pods()) == 2, 30, "a second controller")
        time.sleep(5)
        assert sorted(ready for _, ready in pods()) == [False, True]
        pull.push("3")
        pull.answers("3")
        assert len(pull.comments) == 1
    finally:
        [leader] = [name for name, ready in pods() if ready]
        kubectl("delete", "pod", "-n", HOME, leader, "--grace-period=0", "--force")
        until(lambda: any(ready and name != leader for name, ready in pods()), 60, "the standby that takes over")
        scene.scale(1)
    until(lambda: len(pods()) == 1, 60)
    scene.up()
    scene.find_webhook()


def test_argo_cd_restarted_in_the_middle(scene: Scene) -> None:
    pull = scene.payments.pull_request("argo", "2")
    pull.ready("2")
    uid = pull.uid
    cluster = str(ROOT / "deploy" / "cluster" / "cluster")
    sha = pull.push("3")  # Argo CD is at it, or about to be
    run(cluster, "restart", "argocd-applicationset-controller", "argocd-application-controller")
    pull.answers("3", 90)
    pull.says(sha[:7])
    assert pull.uid == uid


def test_a_parameter_changed_in_argo_cd_survives_a_push_and_is_reported(scene: Scene) -> None:
    pull = scene.storefront.pull_request("byhand", "2")
    pull.ready("2")
    patch = {
        "spec": {"source": {"helm": {"parameters": [{"name": "links.payments.url", "value": "http://other.test"}]}}}
    }
    kubectl("patch", "application", pull.namespace, "-n", ARGO, "--type=merge", "-p", json.dumps(patch))

    def linked() -> bool:
        pods = pull.pods("app.kubernetes.io/component=web")
        environments = [{e["name"]: e.get("value") for e in p["spec"]["containers"][0]["env"]} for p in pods]
        return all(e["PAYMENTS_URL"] == "http://other.test" for e in environments)

    until(linked, 60, "the link set by hand")
    pull.says("These parameters were changed by hand in Argo CD", 60)
    pull.push("3")
    pull.answers("3")
    until(linked, 30)
    pull.says("links.payments.url")


def test_a_new_chart_touches_no_pod_until_the_next_push(scene: Scene) -> None:
    pull = scene.payments.pull_request("chart", "2")
    pull.ready("2")
    template = scene.folder / "charts" / "charts" / "preview" / "templates" / "services.yaml"
    text, changed = re.subn(
        "terminationGracePeriodSeconds: .*", "terminationGracePeriodSeconds: 6", template.read_text()
    )
    assert changed == 1
    template.write_text(text)
    scene.make_chart("v2")
    before = [p["metadata"]["uid"] for p in pull.pods()]
    with scene.configured(argocd={**scene.configuration["argocd"], "chartVersion": "v2"}):
        time.sleep(10)
        assert [p["metadata"]["uid"] for p in pull.pods()] == before
        pull.push("3")
        pull.answers("3")

        def period() -> int:
            return int(pull.pods("app.kubernetes.io/component=web")[0]["spec"]["terminationGracePeriodSeconds"])

        until(lambda: period() == 6, 30, "the new chart")


def test_a_redeployed_preview_takes_the_new_chart_without_a_push(scene: Scene) -> None:
    pull = scene.payments.pull_request("redeploy", "2")
    other = scene.payments.pull_request("stay", "2")
    pull.ready("2")
    other.ready("2")
    before = [p["metadata"]["uid"] for p in other.pods()]
    with scene.configured(quota={"pods": 7}):
        time.sleep(4)

        def pods(which: Pull) -> str:
            quota = thing("resourcequota", "preview", which.namespace)
            return str(quota["spec"]["hard"]["pods"]) if quota else ""

        assert pods(pull) == "40"
        assert "redeploys with chart" in scene.greenroom("redeploy", pull.name)
        until(lambda: pods(pull) == "7", 30, "the new quota")
        assert pods(other) == "40", "only what was named"
        assert [p["metadata"]["uid"] for p in other.pods()] == before


def test_a_sweep_names_what_belongs_to_nothing_and_deletes_nothing_that_it_saw_just_now(scene: Scene) -> None:
    labels = {
        "greenroom.dev/installation": "e2e",
        "greenroom.dev/repository-id": "999",
        "greenroom.dev/number": "1",
    }
    orphan = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "preview-orphan-1", "labels": labels}}
    pull = scene.payments.pull_request("swept", "2")
    pull.ready("2")
    kubectl("create", "-f", "-", given=json.dumps(orphan))
    try:
        until(lambda: "namespace preview-orphan-1" in scene.greenroom("orphans"), 10, "the orphan")
        assert "deleted" not in scene.greenroom("orphans")
        assert thing("namespace", "preview-orphan-1")
        with scene.configured(argocd={**scene.configuration["argocd"], "sweep": "delete"}):
            scene.kill()
            scene.up()
            until(lambda: scene.greenroom("orphans"), 30, "a sweep")
            for _ in range(2):
                assert scene.greenroom("orphans").strip() == "namespace preview-orphan-1"
            assert thing("namespace", "preview-orphan-1")
        assert pull.exists()
    finally:
        kubectl("delete", "namespace", "preview-orphan-1", "--ignore-not-found", "--wait=false")
        scene.kill()
        scene.up()


def test_uninstalled_it_leaves_previews_alone(scene: Scene) -> None:
    pull = scene.payments.pull_request("uninstall", "2")
    pull.ready("2")
    uid = pull.uid
    run("helm", "uninstall", HOME, "-n", HOME, "--wait")
    time.sleep(5)
    assert pull.uid == uid
    pull.answers("2", 5)
    kubectl("delete", "pods", "--all", "-n", pull.namespace)
    pull.answers("2", 60)  # its priority class is still there
    scene.install()
    pull.push("3")
    pull.answers("3")
    assert pull.uid == uid
    assert len(pull.comments) == 1


def test_argo_cds_policy_that_deletes_is_noticed_before_anything_is_served(scene: Scene) -> None:
    """Argo CD is told to delete what has no spec, whatever the sets say: the canary goes, and Greenroom serves nothing."""
    pull = scene.payments.pull_request("policy", "2")
    pull.ready("2")
    uid = pull.uid
    cluster = str(ROOT / "deploy" / "cluster" / "cluster")
    try:
        run(
            "env",
            "ARGOCD_APPLICATIONSET_CONTROLLER_POLICY=sync",
            cluster,
            "restart",
            "argocd-applicationset-controller",
        )
        scene.kill()
        until(lambda: "controller-wide policy" in scene.log(), 90, "the sentence")
        time.sleep(3)
        assert pull.uid == uid
        pull.answers("2", 5)
    finally:
        run(cluster, "restart", "argocd-applicationset-controller")
        scene.kill()
        scene.up(90)


def test_the_chart_from_an_oci_registry(scene: Scene) -> None:
    made = run("helm", "package", str(ROOT / "charts" / "preview"), "-d", str(scene.folder))
    package = made.strip().rpartition(" ")[2]
    run("helm", "push", package, f"oci://{REGISTRY}/charts", "--plain-http")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "e2e-charts",
            "namespace": ARGO,
            "labels": {"argocd.argoproj.io/secret-type": "repository"},
        },
        "stringData": {
            "type": "helm",
            "name": "charts",
            "url": f"{REGISTRY}/charts",
            "enableOCI": "true",
            "insecureOCIForceHttp": "true",
        },
    }
    kubectl("apply", "-f", "-", given=json.dumps(secret))
    version = package.removesuffix(".tgz").rpartition("-")[2]
    try:
        with scene.configured(argocd={"chart": f"oci://{REGISTRY}/charts/preview", "chartVersion": version}):
            scene.kill()  # the chart's address is read at the start
            scene.up()
            pull = scene.payments.pull_request("oci", "2")
            pull.ready("2")
            source = (pull.application or {})["spec"]["source"]
            assert (source["repoURL"], source["chart"]) == (f"{REGISTRY}/charts", "preview")
            pull.close()
            pull.gone(60)
    finally:
        kubectl("delete", "secret", "e2e-charts", "-n", ARGO)
        scene.kill()
        scene.up()
