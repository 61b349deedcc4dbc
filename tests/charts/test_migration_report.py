"""The containers of the migration report in the pod that migrates, and what they need."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from charts.rendering import CHART, Object, Render, Values, named, pods
from charts.variants import VARIANTS
from greenroom.core.migration_report.server_log import SETTINGS
from greenroom.seeds.rehearse import SNAPSHOT

SEEDED = VARIANTS["a seed in a layer"]


def init_containers(rendered: list[Object], workload: str) -> dict[str, Any]:
    (pod,) = [pod for o, pod in pods(rendered) if o["metadata"]["name"] == workload]
    return {c["name"]: c for c in pod["spec"].get("initContainers", [])}


def test_snapshots_are_taken_right_before_and_right_after_the_migration(render: Render, everything: Values) -> None:
    found = list(init_containers(render(everything, SEEDED), "shop-web"))
    at = found.index("migrate")
    assert found[at - 1 : at + 2] == ["report-before", "migrate", "report-after"]
    assert all(name.startswith("wait-") for name in found[: at - 1])
    assert found[at + 2 :] == []


def test_snapshots_use_the_image_of_the_need_and_its_password_from_the_secret(
    render: Render, everything: Values
) -> None:
    for moment in ("before", "after"):
        found = init_containers(render(everything, SEEDED), "shop-web")[f"report-{moment}"]
        assert found["image"] == "registry.example.com/seed:1"
        env = {e["name"]: e.get("value") or e["valueFrom"] for e in found["env"]}
        secret = {"secretKeyRef": {"name": "shop-postgresql", "key": "password"}}
        assert env.pop("PGPASSWORD") == secret
        assert env == {"PGHOST": "shop-postgresql", "PGPORT": "5432", "PGUSER": "app", "PGDATABASE": "app"}
        assert found["command"][-1] == moment
        assert "PASSWORD" not in " ".join(found["command"])


@pytest.mark.parametrize("there", [True, False])
def test_snapshot_that_fails_never_fails_the_pod(
    render: Render, everything: Values, there: bool, tmp_path: Any
) -> None:
    command = init_containers(render(everything, SEEDED), "shop-web")["report-before"]["command"]
    script = tmp_path / "snapshot.sh"
    if there:
        script.write_text('echo "$1"; exit 3')
    line = [c.replace("/greenroom/snapshot.sh", str(script)) for c in command]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "before\n" if there else "")


def test_scripts_are_in_a_config_map_that_the_pod_can_do_without(render: Render, everything: Values) -> None:
    found = render(everything, SEEDED)
    scripts = named(found, "ConfigMap", "greenroom-report")["data"]
    assert scripts == {n: (CHART / "report" / n).read_text() for n in ("snapshot.sh", "snapshot.sql", "ledgers.sql")}
    (pod,) = [pod for o, pod in pods(found) if o["metadata"]["name"] == "shop-web"]
    assert pod["spec"]["volumes"] == [
        {"name": "greenroom-report", "configMap": {"name": "greenroom-report", "optional": True}}
    ]


def test_chart_has_copies_of_the_scripts() -> None:
    """Helm reads only files of its own chart. CONTRIBUTING.md names the command that copies them."""
    ours = {path.name: path.read_text() for path in SNAPSHOT.parent.iterdir()}
    assert {path.name: path.read_text() for path in (CHART / "report").iterdir()} == ours


@pytest.mark.parametrize("variant", ["a seed in a layer", "seeds on volumes", "a seed that the stock image restores"])
def test_seeded_server_logs_what_the_report_needs(render: Render, everything: Values, variant: str) -> None:
    database = named(render(everything, VARIANTS[variant]), "Deployment", "shop-postgresql")
    args = database["spec"]["template"]["spec"]["containers"][0]["args"]
    assert sorted(args) == sorted(f"-c{name}={value}" for name, value in SETTINGS.items())


def test_first_seeded_need_is_reported(render: Render, everything: Values) -> None:
    found = init_containers(render(everything, VARIANTS["seeds on volumes"]), "shop-web")
    hosts = {e["value"] for n in ("before", "after") for e in found[f"report-{n}"]["env"] if e["name"] == "PGHOST"}
    assert hosts == {"shop-postgresql"}


def test_preview_without_a_seed_has_no_report(render: Render, everything: Values) -> None:
    for variant in ("as it is", "a database that brings its data"):
        found = render(everything, VARIANTS[variant])
        assert not [
            c
            for _, pod in pods(found)
            for c in pod["spec"].get("initContainers", [])
            if c["name"].startswith("report-")
        ]
        assert not [o for o in found if o["metadata"]["name"] == "greenroom-report"]
        database = named(found, "Deployment", "shop-postgresql")["spec"]["template"]["spec"]
        assert "args" not in database["containers"][0]


def test_only_the_process_that_migrates_has_a_report(render: Render, everything: Values) -> None:
    found = render(everything, SEEDED)
    with_report = {
        o["metadata"]["name"]
        for o, pod in pods(found)
        if any(c["name"] == "report-before" for c in pod["spec"].get("initContainers", []))
    }
    assert with_report == {"shop-web"}
