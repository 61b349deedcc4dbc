"""`greenroom values` checks a folder and prints it as Helm values, without what belongs to this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from greenroom.cli import main

ROOT = Path(__file__).parents[2]
INVALID = ROOT / "examples" / "invalid"
MAIN = """# The platform team owns this file.
installation: acme
domain: preview.example.com
argocd: { chart: oci://registry.example.com/charts/preview, chartVersion: 0.1.0 }
local: { checkouts: { acme/shop: ../shop } }
listen: { webhook: "127.0.0.1:9000" }
state: /tmp/greenroom
"""
SHOP = (
    "repository: acme/shop\nimage: registry.example.com/shop\nport: 8080\nneeds: [{ manifest: needs/mailpit.yaml }]\n"
)
MANIFEST = "apiVersion: v1\nkind: Service\nmetadata: { name: mailpit } # mail\nspec: { ports: [{ port: 80 }] }\n\n"


def folder(path: Path, main_file: str = MAIN, manifest: str = MANIFEST) -> Path:
    (path / "services").mkdir()
    (path / "needs").mkdir()
    (path / "greenroom.yaml").write_text(main_file)
    (path / "services" / "shop.yaml").write_text(SHOP)
    (path / "needs" / "mailpit.yaml").write_bytes(manifest.encode())
    (path / "needs" / "unused.yaml").write_text("not: checked")
    return path


def values(path: Path) -> Result:
    return CliRunner().invoke(main, ["values", str(path)])


def test_values_hold_the_folder_without_the_settings_of_this_machine(tmp_path: Path) -> None:
    found = values(folder(tmp_path))
    assert (found.exit_code, found.stderr) == (0, "")
    assert yaml.safe_load(found.stdout) == {
        "configuration": {
            "greenroom": {
                "installation": "acme",
                "domain": "preview.example.com",
                "argocd": {"chart": "oci://registry.example.com/charts/preview", "chartVersion": "0.1.0"},
            },
            "services": {"shop": yaml.safe_load(SHOP)},
            "needs": {"mailpit": MANIFEST},
        }
    }


def test_service_is_named_by_its_name_not_by_its_file(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "services" / "shop.yaml").rename(path / "services" / "The_Shop.yml")
    (path / "services" / "The_Shop.yml").write_text(f"name: shop\n{SHOP}")
    assert list(yaml.safe_load(values(path).stdout)["configuration"]["services"]) == ["shop"]


@pytest.mark.parametrize("name", ["many-at-once", "not-yaml", "manifest-missing"])
def test_invalid_folder_yields_the_sentences_of_check_and_no_values(name: str) -> None:
    found = values(INVALID / name)
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr == (INVALID / name / "expected.txt").read_text()


def test_warnings_go_to_stderr() -> None:
    found = values(ROOT / "tests" / "charts" / "everything")
    assert found.exit_code == 0
    assert "warning: services/shop.yaml: env.PORT: is 8081" in found.stderr
    assert yaml.safe_load(found.stdout)


def test_local_engine_has_no_values(tmp_path: Path) -> None:
    path = folder(tmp_path, f"{MAIN}engine: local\n")
    (path / "services" / "shop.yaml").write_text(SHOP.partition("needs:")[0])
    found = values(path)
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr == (
        "greenroom.yaml: engine: is `local`, but charts/greenroom runs Greenroom in a cluster, where the engine is"
        " Argo CD. Write `engine: argocd`, or use another folder for the cluster.\n"
    )


def test_manifest_that_helm_cannot_carry_is_reported(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "needs" / "mailpit.yaml").write_bytes(MANIFEST.encode("utf-16"))
    found = values(path)
    assert (found.exit_code, found.stderr) == (2, "needs/mailpit.yaml: is not UTF-8. Save it as UTF-8.\n")
