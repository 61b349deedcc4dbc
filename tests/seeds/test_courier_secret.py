"""A build whose Secret has no token for GitHub."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from greenroom.cli.seed_cluster import courier
from greenroom.core.model.codec import dumped
from greenroom.core.model.seeds import SeedBuild, SeedInputs, Source
from greenroom.errors import Failed


def test_courier_without_a_token_names_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = SeedInputs("postgresql", "16", "docker.io/library/postgres:16", "d" * 40)
    build = SeedBuild(inputs, Source("acme/shop", "a" * 40), "seed/shop.sql", f"r.example.com/seeds:{inputs.tag}")
    monkeypatch.setenv("GREENROOM_SEED_BUILD", json.dumps(dumped(build)))
    monkeypatch.setenv("GREENROOM_SEED_TOKEN", "uid")
    monkeypatch.setenv("GREENROOM_GITHUB_API", "http://127.0.0.1:1")
    monkeypatch.delenv("GREENROOM_GITHUB_TOKEN", raising=False)
    found = CliRunner().invoke(courier, ["http://127.0.0.1:1"])
    assert isinstance(found.exception, Failed)
    assert "Set the key `github-token` in the Secret for seed builds" in str(found.exception)
