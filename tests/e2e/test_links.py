"""Two repositories: the storefront uses the catalog of staging, then that of another pull request, and goes back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from e2e.scene import ARGO, SHARED, Pull, Scene, kubectl, until

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


@pytest.mark.usefixtures("staging", "stores")
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

    by_hand = [{"name": "links.catalog.url", "value": f"http://catalog.{SHARED}:8080"}]
    for parameters, words, told in ((by_hand, "From staging", "changed in Argo CD"), ([], "From the branch", "chose")):
        patch = {"spec": {"source": {"helm": {"parameters": parameters}}}}
        kubectl("patch", "application", shop.namespace, "-n", ARGO, "--type=merge", "-p", json.dumps(patch))
        shows(shop, words)
        shop.says(told)

    catalog.close()
    shows(shop, "From staging")
    shop.says(f"until {catalog.name}, which ada chose, has a preview that may be used")
    catalog.gone()
    catalog.says(f"[{shop.name}]")
    catalog.says("used it, and goes on without it")

    catalog.reopen()
    catalog.ready("2")
    shop.says("(ada chose it)", 60)
    shop.say("/preview use catalog staging")
    shows(shop, "From staging")


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
    before = [p["metadata"]["uid"] for p in catalog.pods()]
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
    assert [p["metadata"]["uid"] for p in catalog.pods()] == before, "being used restarts nobody"
