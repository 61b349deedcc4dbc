"""Every example is as it says: the good ones load, each bad one yields exactly its sentences and exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from greenroom import config
from greenroom.cli import main

ROOT = Path(__file__).parents[2]
INVALID = sorted(p for p in (ROOT / "examples" / "invalid").iterdir() if p.is_dir())
VALID = [ROOT / "examples" / "shop" / "platform", ROOT / "examples" / "minimal"]


@pytest.mark.parametrize("folder", INVALID, ids=[p.name for p in INVALID])
def test_each_invalid_example_yields_its_sentence(folder: Path) -> None:
    result = CliRunner().invoke(main, ["check", str(folder)])
    assert result.exit_code == 2
    assert result.stderr == (folder / "expected.txt").read_text()
    assert result.stdout == ""


def test_there_are_enough_of_them_and_each_is_one_line_a_mistake() -> None:
    assert len(INVALID) >= 20
    for folder in INVALID:
        lines = (folder / "expected.txt").read_text().splitlines()
        assert (len(lines) == 1) == (folder.name != "many-at-once")


@pytest.mark.parametrize("folder", VALID, ids=[p.parent.name for p in VALID])
def test_the_good_examples_load_and_fit_the_published_schema(folder: Path) -> None:
    assert config.load(folder).platform.repositories
    schemas = config.json_schema()
    jsonschema.validate(yaml.safe_load((folder / "greenroom.yaml").read_text()), schemas["greenroom"])
    for path in (folder / "services").glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text()), schemas["service"])


@pytest.mark.parametrize("name", ["greenroom", "service"])
def test_the_published_schema_is_what_the_program_prints(name: str) -> None:
    assert json.loads((ROOT / "docs" / "schema" / f"{name}.json").read_text()) == config.json_schema()[name]


def test_the_smallest_service_has_at_most_eight_lines() -> None:
    assert len((VALID[1] / "services" / "web.yaml").read_text().splitlines()) <= 8


def test_the_page_about_the_configuration_is_what_the_models_say() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "configuration.py", "--check"], check=False)
    assert done.returncode == 0, "run: python docs/configuration.py"
