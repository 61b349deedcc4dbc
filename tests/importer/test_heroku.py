"""What app.json and Procfile say in a way that a service file cannot: normalised or left out, and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from importer.drafted import load, read


@pytest.mark.parametrize(
    ("app", "procfile", "expected", "note"),
    [
        (
            {"addons": [{"plan": "heroku-postgresql", "as": "analytics db"}]},
            "web: run",
            {"needs": [{"kind": "postgresql", "version": "16", "as": "ANALYTICS_DB_URL"}]},
            "heroku-postgresql was named ANALYTICS_DB_URL",
        ),
        (
            {"addons": ["heroku-redis", "heroku-key-value-store"]},
            "web: run",
            {"needs": [{"kind": "redis", "version": "8", "as": "REDIS_URL"}]},
            "an earlier add-on also sets REDIS_URL",
        ),
        (
            {"addons": ["heroku-postgresql"], "env": {"DATABASE_URL": "x", "PORT": "5000", "A": None, "B": {}}},
            "web: run",
            {"env": None},
            "DATABASE_URL was left out of `env`",
        ),
        ({"formation": {"web": {"quantity": 12}}}, "web: run", {"processes.web.replicas": 10}, "has 12 replicas"),
        (
            {"formation": {"web": {"quantity": 0}}},
            "web: run",
            {"processes.web.replicas": None},
            "The file sets 0 replicas for web",
        ),
        ({"formation": {"web": {"quantity": []}}}, "web: run", {"processes.web.replicas": None}, "could not be read"),
        ({"formation": {"clock": {}}}, "web: run", {}, "`formation` names clock"),
        (
            {},
            "my_worker: a\nmy-worker: b",
            {"public": False, "processes.my-worker.command": ["a"], "processes.my-worker-2.command": ["b"]},
            "The process my-worker was renamed to my-worker-2",
        ),
        ({}, "Web: a\nweb: b\n42: c", {"processes.web.command": ["b"], "processes.web-2.command": ["a"]}, "Web was"),
        ({"name": "!" * 9}, f"web: run\n{'a' * 80}: b", {"processes." + "a" * 40 + ".kind": "worker"}, "was renamed"),
        ({}, "web: a && b", {"processes.web.command": ["sh", "-c", "a && b"]}, "these processes run with `sh -c`: web"),
        ({}, "web: a\nwork: b | c", {}, "these processes run with `sh -c`: work"),
        ({"name": "shop" * 30}, "release: migrate", {"migrate": ["migrate"]}, "safe to run again"),
    ],
)
def test_it_loads_and_the_difference_is_reported(
    app: dict[str, Any], procfile: str, expected: dict[str, Any], note: str, tmp_path: Path
) -> None:
    [made] = read(tmp_path, "app.json", json.dumps(app), Procfile=procfile)
    load(tmp_path, [made])
    assert {path: at(made.data, path) for path in expected} == expected
    assert note in " ".join(made.notes)


def test_script_that_the_procfile_runs_with_sh_is_not_reported_as_needing_a_shell(tmp_path: Path) -> None:
    [made] = read(tmp_path, "app.json", "{}", Procfile="web: sh run.sh")
    assert made.data["processes"]["web"]["command"] == ["sh", "run.sh"]
    assert "need a shell" not in " ".join(made.notes)


def at(data: Any, path: str) -> Any:
    for part in path.split("."):
        data = (data or {}).get(part)
    return data
