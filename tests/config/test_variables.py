"""Variables that the chart and the local engine set themselves are nobody else's; the list is compared with both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenroom import config
from greenroom.config.variables import MARK, OURS, SYSTEM
from greenroom.errors import FixConfiguration
from greenroom.local import account, processes

ROOT = Path(__file__).parents[2]
PLATFORM = {
    "installation": "demo",
    "domain": "preview.example.com",
    "argocd": {"chart": "oci://registry.example.com/charts/preview", "chartVersion": "0.1.0"},
}
WEB: dict[str, Any] = {"repository": "acme/web", "image": "registry.example.com/acme/web", "port": 8080}


def sentences(path: Path, service: dict[str, Any]) -> list[str]:
    (path / "services").mkdir(exist_ok=True)
    (path / "greenroom.yaml").write_text(yaml.safe_dump(PLATFORM))
    (path / "services" / "web.yaml").write_text(yaml.safe_dump({**WEB, **service}))
    (path / "services" / "api.yaml").write_text(yaml.safe_dump(WEB))
    try:
        config.load(path)
    except FixConfiguration as error:
        return [str(m).removeprefix("services/web.yaml: ") for m in error.mistakes]
    return []


def test_the_chart_sets_no_other_variable() -> None:
    template = (ROOT / "charts" / "preview" / "templates" / "_pod.tpl").read_text()
    assert set(re.findall(r'\$plain := dict "([A-Z]\w+)"|set \$plain "(\w+)"', template)) == {
        ("GREENROOM_PREVIEW", ""),
        ("", "VERSION"),
        ("", "PORT"),
    }
    assert set(OURS) == {"GREENROOM_PREVIEW", "VERSION", "PORT"}


def test_local_engine_sets_no_other_variable(tmp_path: Path) -> None:
    assert set(account.environment(account.Account(tmp_path), {}, tmp_path)) == SYSTEM
    assert processes.MARK == MARK


@pytest.mark.parametrize("name", sorted(OURS | dict.fromkeys(SYSTEM)))
@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"uses": [{"service": "api", "as": "?"}]}, "uses.0.as"),
        ({"uses": [{"service": "api", "as": {"port": "?"}}]}, "uses.0.as.port"),
        ({"needs": [{"kind": "redis", "as": "?"}]}, "needs.0.as"),
        ({"needs": [{"kind": "redis", "as": {"host": "?"}}]}, "needs.0.as.host"),
        ({"address": {"public": "?"}}, "address.public"),
    ],
)
def test_no_address_takes_the_place_of_what_every_process_has(
    given: dict[str, Any], path: str, name: str, tmp_path: Path
) -> None:
    [found] = sentences(tmp_path, yaml.safe_load(yaml.safe_dump(given).replace("'?'", name)))
    assert found.startswith(f"{path}: `{name}` ")
    assert found.endswith("Choose another name.")


@pytest.mark.parametrize("name", ["VERSION", "PATH", "LANG", "PREVIEW", "port"])
def test_plain_settings_may_say_so_in_a_way_of_their_own(name: str, tmp_path: Path) -> None:
    assert sentences(tmp_path, {"env": {name: "1"}}) == []


def test_setting_cannot_override_the_preview_variable(tmp_path: Path) -> None:
    sentence = (
        "`GREENROOM_PREVIEW` is reserved: Greenroom sets it to the preview that the process belongs to. Remove it."
    )
    assert sentences(tmp_path, {"env": {"GREENROOM_PREVIEW": "x"}}) == [f"env.GREENROOM_PREVIEW: {sentence}"]
