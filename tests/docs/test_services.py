"""The examples of docs/services.md are valid."""

from __future__ import annotations

import re
from pathlib import Path

from greenroom import config

PAGE = Path(__file__).parents[2] / "docs" / "services.md"
PLATFORM = "installation: acme\ndomain: preview.example.com\nargocd: { chart: oci://r.example.com/preview, chartVersion: 0.1.0 }\n"


def test_monorepo_of_the_page_is_a_valid_configuration(tmp_path: Path) -> None:
    files = re.findall(r"```yaml\n# services/(\w+)\.yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "greenroom.yaml").write_text(PLATFORM)
    (tmp_path / "services").mkdir()
    for name, text in files:
        (tmp_path / "services" / f"{name}.yaml").write_text(text)
    loaded = config.load(tmp_path)
    [repository] = loaded.platform.repositories
    assert [s.name for s in repository.services] == ["back", "front", "worker"]
    assert loaded.warnings == ()
