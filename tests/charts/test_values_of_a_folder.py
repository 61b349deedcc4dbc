"""`greenroom values FOLDER | helm install -f -` mounts the same files that the folder has."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charts.rendering import EVERYTHING, KUBERNETES, ROOT, objects
from greenroom import config

SHOP = ROOT / "examples" / "shop" / "platform"
OF_THE_POD = {"listen", "reader", "state"}  # the chart sets them
SERVICE = {"repository": "acme/shop", "image": "registry.example.com/shop", "port": 8080}
MANIFESTS = [
    "apiVersion: v1\nkind: Service\nmetadata: { name: mail }\nspec: { ports: [{ port: 80 }] }",
    "  apiVersion: v1\n  kind: Service\n  metadata: { name: mail } # <a> & é 🌱 \x85  # more \n  spec: { ports: [{ port: 80 }] }\n\n\n",
    "apiVersion: v1\r\nkind: Service\r\nmetadata: { name: mail }\r\nspec: { ports: [{ port: 80 }] }\r\n",
]


def mounted(helm: str, folder: Path) -> dict[str, str]:
    """Return the content of the ConfigMap, by the name of the file that the pod reads."""
    command = [helm, "template", "greenroom", str(ROOT / "charts" / "greenroom"), "-n", "greenroom", "-f", "-"]
    text = config.helm_values(folder)
    done = subprocess.run(
        [*command, "--kube-version", KUBERNETES], input=text.encode(), capture_output=True, check=True
    )
    found = objects(done.stdout.decode())
    [data] = [o["data"] for o in found if o["kind"] == "ConfigMap" and "greenroom.yaml" in o["data"]]
    [pod] = [o["spec"]["template"]["spec"] for o in found if o["kind"] == "Deployment"]
    [items] = [v["configMap"]["items"] for v in pod["volumes"] if v["name"] == "configuration"]
    return {i["path"]: data[i["key"]] for i in items}


def without_the_pods(greenroom: dict[str, Any]) -> dict[str, Any]:
    """Return greenroom.yaml without what the chart adds. It names a PriorityClass if the file does not."""
    return {k: v for k, v in greenroom.items() if k not in {*OF_THE_POD, "local", "scheduling"}}


@pytest.mark.parametrize("folder", [EVERYTHING, SHOP], ids=["everything", "shop"])
def test_the_config_map_holds_the_files_of_the_folder(helm: str, folder: Path) -> None:
    found = mounted(helm, folder)
    manifests = list(folder.glob("needs/*.yaml"))
    assert found.keys() == {str(p.relative_to(folder)) for p in [*folder.glob("services/*"), *manifests]} | {
        "greenroom.yaml"
    }
    for name, text in found.items():
        there = (folder / name).read_bytes().decode()
        if name.startswith("needs/"):
            assert text == there
        elif name == "greenroom.yaml":
            read = yaml.safe_load(text)
            assert without_the_pods(read) == without_the_pods(yaml.safe_load(there))
            scheduling = yaml.safe_load(there).get("scheduling", {})
            assert read["scheduling"] == {**scheduling, "priorityClass": read["scheduling"]["priorityClass"]}
        else:
            assert yaml.safe_load(text) == yaml.safe_load(there), name


def written(folder: Path, env: dict[str, str], manifest: str = MANIFESTS[0]) -> Path:
    for name in ("services", "needs"):
        (folder / name).mkdir(exist_ok=True)
    main = {"installation": "no", "domain": "preview.example.com"}
    argocd = {"chart": "oci://registry.example.com/charts/preview", "chartVersion": "1e3"}
    (folder / "greenroom.yaml").write_text(yaml.safe_dump({**main, "argocd": argocd}))
    service = {**SERVICE, "env": env, "runAsUser": 1_000_700_000, "needs": [{"manifest": "needs/mail.yaml"}]}
    (folder / "services" / "shop.yaml").write_text(yaml.safe_dump(service))
    (folder / "needs" / "mail.yaml").write_bytes(manifest.encode())
    return folder


@pytest.mark.parametrize("manifest", MANIFESTS, ids=["no-newline", "indented", "crlf"])
def test_manifest_stays_byte_for_byte(helm: str, tmp_path: Path, manifest: str) -> None:
    folder = written(tmp_path, {}, manifest)
    assert config.load(folder).platform.repositories
    assert mounted(helm, folder)["needs/mail.yaml"] == manifest


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cn", "Cs")) | st.sampled_from("\t\n\r"), max_size=12
)
ODD = st.sampled_from(["y", "N", "on", "0777", "0o17", "1e3", "1_000", "1:30", "~", "=", "2026-01-01", ".inf", "0x1F"])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXT | ODD, max_size=30))
def test_every_string_arrives_as_it_was_written(helm: str, tmp_path: Path, texts: list[str]) -> None:
    env = {f"V{i}": text for i, text in enumerate(texts)} | {"Y": "y", "N": "n"}
    folder = written(tmp_path, env)
    service = yaml.safe_load(mounted(helm, folder)["services/shop.yaml"])
    assert service["env"] == yaml.safe_load((folder / "services" / "shop.yaml").read_text())["env"]
    assert service["runAsUser"] == 1_000_700_000
