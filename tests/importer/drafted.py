"""Drafts of a file that is written for the test, and whether they are a configuration."""

from __future__ import annotations

from pathlib import Path

from greenroom import config
from greenroom.importer import Draft, Options, drafts, written

OPTIONS = Options(repository="acme/shop", image="registry.example.com/acme/shop")


def read(tmp_path: Path, name: str, text: str, **beside: str) -> list[Draft]:
    """The drafts of a file with this text. `beside` are other files."""
    for other, content in {name: text, **beside}.items():
        (tmp_path / other).write_text(content)
    return drafts(tmp_path / name, OPTIONS)


def load(tmp_path: Path, made: list[Draft]) -> None:
    """Raises `FixConfiguration` unless the drafts, as they are written, pass `greenroom check`."""
    (tmp_path / "services").mkdir(exist_ok=True)
    (tmp_path / "greenroom.yaml").write_text(
        "{ installation: test, domain: preview.example.com, argocd: { chart: oci://r.example.com/preview, chartVersion: 0.1.0 } }"
    )
    for draft in made:
        (tmp_path / "services" / f"{draft.name}.yaml").write_text(written(draft))
    config.load(tmp_path)
