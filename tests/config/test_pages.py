"""Every YAML block in the pages is valid."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenroom import config

PAGE = (Path(__file__).parents[2] / "docs" / "services.md").read_text()
MONOREPO = dict(re.findall(r"```yaml\n# services/(\w+)\.yaml\n(.*?)```", PAGE, re.DOTALL))
BLOCKS = [b for b in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if not b.startswith("# services/")]
OTHER: dict[str, Any] = {"repository": "acme/other", "image": "registry.example.com/acme/other", "port": 80}
PLATFORM = {
    "installation": "test",
    "domain": "preview.example.com",
    "argocd": {"chart": "oci://registry.example.com/charts/preview", "chartVersion": "0.1.0"},
}
STAGING = {
    "payments": "https://payments.staging.example.com",
    "catalog": {"url": "http://catalog.staging.svc:8080", "public": "https://catalog.staging.example.com"},
}


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_of_the_page_is_a_service(block: str, tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    used = [u["service"] for u in yaml.safe_load(block).get("uses", ())]
    staging = {name: url for name, url in STAGING.items() if name in used}
    (tmp_path / "greenroom.yaml").write_text(yaml.safe_dump({**PLATFORM, "staging": staging}))
    for name in used:
        (tmp_path / "services" / f"{name}.yaml").write_text(yaml.safe_dump(OTHER))
    (tmp_path / "services" / "shop.yaml").write_text(block)
    assert config.load(tmp_path).platform.repositories


def test_monorepo_of_the_page_is_a_valid_configuration_without_warnings(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "greenroom.yaml").write_text(yaml.safe_dump(PLATFORM))
    for name, block in MONOREPO.items():
        (tmp_path / "services" / f"{name}.yaml").write_text(block)
    loaded = config.load(tmp_path)
    [repository] = loaded.platform.repositories
    assert [s.name for s in repository.services] == ["back", "front", "worker"]
    assert loaded.warnings == ()


def test_yaml_blocks_of_local_md_are_a_valid_configuration(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "local.md").read_text()
    platform, *services = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(services) == 2
    (tmp_path / "services").mkdir()
    (tmp_path / "greenroom.yaml").write_text(platform)
    for service in services:
        (tmp_path / "services" / "notes.yaml").write_text(service)
        loaded = config.load(tmp_path)
        assert loaded.warnings == ()
        assert "me/notes" in loaded.settings.local.checkouts


@pytest.mark.parametrize(("page", "services"), [("kubernetes", ["shop", "payments"]), ("trial", ["shop"])])
def test_folder_in_the_page_is_a_valid_configuration(page: str, services: list[str], tmp_path: Path) -> None:
    """The blocks are greenroom.yaml, each service, and the other values of the chart."""
    text = (Path(__file__).parents[2] / "docs" / f"{page}.md").read_text()
    platform, *files, values = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "services").mkdir()
    (tmp_path / "greenroom.yaml").write_text(platform)
    for name, block in zip(services, files, strict=True):
        assert f"services/{name}.yaml" in text
        (tmp_path / "services" / f"{name}.yaml").write_text(block)
    assert config.load(tmp_path).warnings == ()
    assert config.helm_values(tmp_path)
    assert "configuration" not in yaml.safe_load(values)
    assert f"greenroom values {'~/try/' * (page == 'trial')}platform > " in text


def test_every_field_of_a_service_stands_on_the_page() -> None:
    fields = config.json_schema()["service"]["properties"]
    assert len(BLOCKS) > 5
    assert [f for f in fields if f"{f}:" not in PAGE] == []
