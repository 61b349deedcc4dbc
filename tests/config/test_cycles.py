"""`required: preview` both ways round waits for ever: refused, in one sentence that names the whole circle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from greenroom import config
from greenroom.errors import FixConfiguration

PLATFORM: dict[str, Any] = {
    "installation": "demo",
    "domain": "preview.example.com",
    "argocd": {"chart": "oci://registry.example.com/charts/preview", "chartVersion": "0.1.0"},
}
Uses = dict[str, tuple[str, str]]
NONE = "None of them would ever start. Remove `required: preview` from one of these `uses:` entries."


def folder(path: Path, uses: Uses, required: str | None = "preview") -> Path:
    """Services as NAME: (repository, the services that it uses)."""
    (path / "services").mkdir()
    staging = dict.fromkeys(uses, "https://staging.example.com") if required is None else {}
    (path / "greenroom.yaml").write_text(yaml.safe_dump({**PLATFORM, "staging": staging}))
    for name, (repository, used) in uses.items():
        service: dict[str, Any] = {"repository": f"acme/{repository}", "image": "registry.example.com/a", "port": 80}
        more = {"required": required} if required else {}
        service["uses"] = [{"service": u, "as": f"{u.upper()}_URL", **more} for u in used]
        (path / "services" / f"{name}.yaml").write_text(yaml.safe_dump(service))
    return path


CIRCLES: dict[str, tuple[Uses, list[str]]] = {
    "two": (
        {"a": ("a", "b"), "b": ("b", "a")},
        [
            "services/a.yaml: uses.0.required: acme/a waits for a preview of acme/b (`a` uses `b`), and"
            f" acme/b waits for a preview of acme/a (`b` uses `a`). {NONE}"
        ],
    ),
    "three, from the first by name": (
        {"c": ("c", "a"), "a": ("a", "xb"), "b": ("b", "c"), "x": ("x", "")},
        [
            "services/a.yaml: uses.1.required: acme/a waits for a preview of acme/b (`a` uses `b`), and"
            f" acme/b waits for a preview of acme/c (`b` uses `c`), and acme/c waits for a preview of acme/a (`c` uses `a`). {NONE}"
        ],
    ),
    "by other services of the same repositories": (
        {"a": ("one", "b"), "b": ("two", ""), "c": ("two", "d"), "d": ("one", "")},
        [
            "services/a.yaml: uses.0.required: acme/one waits for a preview of acme/two (`a` uses `b`), and"
            f" acme/two waits for a preview of acme/one (`c` uses `d`). {NONE}"
        ],
    ),
    "two circles": (
        {"a": ("a", "b"), "b": ("b", "a"), "c": ("c", "d"), "d": ("d", "c")},
        ["services/a.yaml: uses.0.required: acme/a waits", "services/c.yaml: uses.0.required: acme/c waits"],
    ),
}


@pytest.mark.parametrize("name", CIRCLES)
def test_cycle_is_rejected_with_its_names(name: str, tmp_path: Path) -> None:
    uses, sentences = CIRCLES[name]
    with pytest.raises(FixConfiguration) as found:
        config.load(folder(tmp_path, uses))
    said = config.report(found.value).splitlines()
    assert len(said) == len(sentences)
    assert all(line.startswith(sentence) for line, sentence in zip(said, sentences, strict=True)), said


@pytest.mark.parametrize(
    ("uses", "required"),
    [
        ({"a": ("one", "b"), "b": ("one", "a")}, "preview"),
        ({"a": ("a", "bc"), "b": ("b", "c"), "c": ("c", "")}, "preview"),
        ({"a": ("a", "b"), "b": ("b", "a")}, None),
    ],
    ids=["one repository", "no way back", "staging serves"],
)
def test_cycle_that_can_start_is_accepted(uses: Uses, required: str | None, tmp_path: Path) -> None:
    assert config.load(folder(tmp_path, uses, required)).platform.repositories
