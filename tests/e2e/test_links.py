"""Two repositories: the storefront uses the catalog of staging, then that of another pull request, and goes back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from e2e.scene import ARGO, SHARED, Pull, Scene, kubectl, objects, until

STAGING = """
import http.server, json
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"products": [{"id": 1, "name": "From staging", "cents": 100}]}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""


@pytest.fixture
def staging(scene: Scene) -> Iterator[None]:
    """A shared catalog with one product."""
    image = scene.catalog.build(scene.catalog.commit("staging", "staging"))
    labels = {"app": "catalog"}
    container = {"name": "main", "image": image, "command": ["python", "-c", STAGING]}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "catalog", "namespace": SHARED}}
    deployment["spec"] = {"selector": {"matchLabels": labels}, "template": pod}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "catalog", "namespace": SHARED}}
    service["spec"] = {"selector": labels, "ports": [{"port": 8080}]}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SHARED}}
    for each in (namespace, deployment, service):
        kubectl("apply", "-f", "-", given=json.dumps(each))
    kubectl("rollout", "status", "-n", SHARED, "deploy/catalog", "--timeout=60s")
    yield
    kubectl("delete", "namespace", SHARED, "--wait=false")


def shows(pull: Pull, words: str, seconds: float = 60) -> None:
    """The storefront's page, once these words are in it."""

    def check() -> bool:
        page = pull.page("/").text
        assert words in page, page
        return True

    until(check, seconds, f"{words!r} on the page of {pull.name}")


@pytest.mark.usefixtures("staging")
def test_from_staging_to_another_preview_by_comment_by_hand_in_argo_cd_and_back(scene: Scene) -> None:
    catalog = scene.catalog.pull_request("api", "2")
    shop = scene.storefront.pull_request("front", "2")
    catalog.ready("2")
    shop.ready("2")
    shows(shop, "From staging")
    shop.says("Uses catalog from **staging**")
    catalog.post("/", {"name": "From the branch", "cents": 7})

    shop.say(f"/preview use {catalog.name}")
    shows(shop, "From the branch")
    shop.says("(ada chose it)")
    catalog.says(f"Used by [{shop.name}]")

    manual_overrides = [{"name": "links.catalog.url", "value": f"http://catalog.{SHARED}:8080"}]
    for parameters, words, told in (
        (manual_overrides, "From staging", "an address set by hand"),
        ([], "From the branch", "chose"),
    ):
        patch = {"spec": {"source": {"helm": {"parameters": parameters}}}}
        kubectl("patch", "application", shop.namespace, "-n", ARGO, "--type=merge", "-p", json.dumps(patch))
        shows(shop, words)
        shop.says(told)

    catalog.close()
    shows(shop, "From staging")
    shop.says(f"until the preview that ada chose with /preview use {catalog.name} exists and may be used")
    catalog.gone()
    catalog.says(f"[{shop.name}]")
    catalog.says("used this preview and continues without it")

    catalog.reopen()
    catalog.ready("2")
    shop.says("(ada chose it)", 60)
    shop.say("/preview use catalog staging")
    shows(shop, "From staging")


def calls(pull: Pull) -> set[str]:
    """Return the catalog addresses that the storefront's running pods have. A terminating pod still serves."""
    pods = objects("pods", pull.namespace, "app.kubernetes.io/component=web")
    pods = [p for p in pods if any("running" in s["state"] for s in p["status"].get("containerStatuses", ()))]
    print(json.dumps([(p["metadata"]["name"], p["status"]) for p in pods]))  # shown when the test fails
    return {e["value"] for p in pods for e in p["spec"]["containers"][0]["env"] if e["name"] == "CATALOG_URL"}


@pytest.mark.usefixtures("staging")
def test_a_link_moves_and_its_user_has_been_updated_before_the_target_is_removed(scene: Scene) -> None:
    catalog = scene.catalog.pull_request("leaves", "2")
    shop = scene.storefront.pull_request("stays", "2")
    catalog.ready("2")
    shop.ready("2")
    chosen = f"http://catalog.{catalog.namespace}:8080"
    shop.say(f"/preview use {catalog.name}")
    until(lambda: calls(shop) == {chosen}, 90, "the chosen link in every pod")
    shop.says("Preview ready", 60)
    catalog.close()
    until(lambda: not catalog.uid, 120, "the removal of the target")
    assert calls(shop) == {f"http://catalog.{SHARED}:8080"}, "a pod called the target that was being removed"
    catalog.gone(120)
    shows(shop, "From staging")


def test_both_comments_mention_a_link_set_by_hand_to_a_removed_preview(scene: Scene) -> None:
    catalog = scene.catalog.pull_request("by-hand", "2")
    shop = scene.storefront.pull_request("hand", "2")
    catalog.ready("2")
    shop.ready("2")
    manual_overrides = [{"name": "links.catalog.url", "value": f"http://catalog.{catalog.namespace}:8080"}]
    patch = {"spec": {"source": {"helm": {"parameters": manual_overrides}}}}
    kubectl("patch", "application", shop.namespace, "-n", ARGO, "--type=merge", "-p", json.dumps(patch))
    catalog.says(f"Used by [{shop.name}]", 60)
    catalog.says("(link set by hand)")
    catalog.close()
    catalog.gone()
    shop.says(f"set by hand in Argo CD, points to {catalog.name}, which does not exist", 60)
    shop.says(f"argocd app unset {shop.namespace} -p links.catalog.url")


@pytest.mark.usefixtures("staging")
def test_a_branch_of_the_same_name_is_tried_together_without_a_command(scene: Scene) -> None:
    shop = scene.storefront.pull_request("both-sides", "2")
    shop.ready("2")
    shows(shop, "From staging")
    catalog = scene.catalog.pull_request("both-sides", "2")
    catalog.ready("2")
    catalog.post("/", {"name": "From the branch", "cents": 7})
    shows(shop, "From the branch")
    shop.says("(same branch)")


def test_who_uses_whom_is_seen_in_the_pods_and_one_port_opens(scene: Scene) -> None:
    catalog = scene.catalog.pull_request("open", "2")
    shop = scene.storefront.pull_request("user", "2")
    catalog.ready("2")
    running = "app.kubernetes.io/component!=report"  # a cron makes a pod whenever its time comes
    before = [p["metadata"]["uid"] for p in catalog.pods(running)]
    shop.ready("2")
    shop.say(f"/preview use {catalog.name}")

    def linked() -> bool:
        pods = shop.pods("app.kubernetes.io/component=web")
        values = [e.get("value") for p in pods for e in p["spec"]["containers"][0]["env"] if e["name"] == "CATALOG_URL"]
        assert set(values) == {f"http://catalog.{catalog.namespace}:8080"}, values
        return True

    def opened() -> bool:
        found = json.loads(kubectl("get", "networkpolicy", "catalog-web", "-n", catalog.namespace, "-o", "json"))
        sources = [s.get("namespaceSelector", {}).get("matchLabels", {}) for s in found["spec"]["ingress"][0]["from"]]
        return {"kubernetes.io/metadata.name": shop.namespace} in sources

    until(linked, 60, "the link")
    until(opened, 60, "the open port")
    assert [p["metadata"]["uid"] for p in catalog.pods(running)] == before, "being used restarts nobody"
