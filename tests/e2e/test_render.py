"""The mode without a controller, next to one that looks away: Argo CD's own generator makes the preview."""

from __future__ import annotations

import json
import sys

import yaml

from e2e.scene import ARGO, DOMAIN, HOME, NODE, OLDEST, SECRETS, Scene, kubectl, objects, run, thing, until


def test_rendered_sets_make_a_preview_without_the_controller(scene: Scene) -> None:
    folder = scene.folder / "rendered"
    (folder / "services").mkdir(parents=True)
    configuration = {
        **scene.configuration,
        "installation": "plain",
        "namePrefix": "plain",
        "label": "plain",
        "argocd": {**scene.configuration["argocd"], "project": "plain-previews"},
    }
    (folder / "greenroom.yaml").write_text(json.dumps(configuration))
    for name, service in scene.services.items():
        (folder / "services" / f"{name}.yaml").write_text(json.dumps(service))
    greenroom = [sys.executable, "-m", "greenroom", "render", str(folder)]
    refused = run(*greenroom, check=False)
    assert "Previews do not wait for images" in refused
    assert "ApplicationSet" not in refused
    text = run(*greenroom, "--without-gates", *(["--before-3.3"] if OLDEST else []))
    kinds = [o["kind"] for o in yaml.safe_load_all(text)]
    assert kinds.count("ApplicationSet") == 3
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "greenroom-github", "namespace": ARGO, "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "stringData": {"token": SECRETS["github-token"]},
    }
    kubectl("apply", "-f", "-", given=json.dumps(secret))
    pull = scene.payments.pull_request("rendered", "2", labeled=False)
    pull.label("plain")
    name = f"plain-payments-{pull.number}"
    scene.scale(0)
    until(lambda: not objects("pods", HOME, "app.kubernetes.io/name=greenroom"), 60, "no controller")
    kubectl("apply", "-f", "-", given=text)
    try:
        host = f"payments-pr-{pull.number}.{DOMAIN}"

        def answered() -> bool:
            answer = scene.client.get(f"http://{NODE}/", headers={"host": host})
            return answer.status_code == 200 and answer.json()["release"] == "2"

        until(answered, 90, "the rendered preview")
        application = thing("application", name, ARGO)
        assert application is not None
        assert application["metadata"]["ownerReferences"][0]["kind"] == "ApplicationSet"
        assert not pull.comments, "nobody but Argo CD was at work"
        pull.close()
        kubectl(
            "annotate", "applicationset", "plain-payments", "-n", ARGO, "--overwrite",
            "argocd.argoproj.io/application-set-refresh=now",
        )  # fmt: skip
        until(lambda: thing("namespace", name) is None, 60, "its end, by Argo CD's own hand")
    finally:
        kubectl("delete", "-f", "-", "--wait=false", given=text, check=False)
        scene.scale(1)
