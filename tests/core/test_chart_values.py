"""The parameter set that an ApplicationSet will receive: the proof that the same core serves Argo CD."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NOW, PLATFORM, changed, digest, sha, spec
from greenroom.core.model import codec
from greenroom.core.model.catalog import (
    Image,
    Manifest,
    Need,
    Process,
    ProcessKind,
    Resources,
    Service,
    SharedNeed,
    Storage,
    Use,
)
from greenroom.core.model.spec import Link, Names, PreviewSpec, Version, same_pods
from greenroom.core.planning.chart_values import parameters, revision

STAGING = "https://payments.staging.example.com"
CATALOG = Service(
    name="catalog",
    repository="shop",
    image=Image("registry.example.com/shop/catalog"),
    processes=(
        Process("web", ProcessKind.WEB, ("python", "server.py"), 8080, migrates=True, probe="/healthz"),
        Process("nightly", ProcessKind.CRON, ("python", "nightly.py"), schedule="0 3 * * *"),
    ),
    migrate=("python", "migrate.py"),
    migrate_timeout=timedelta(minutes=2),
    needs=(
        Need(
            "db",
            "postgresql",
            "16",
            (("url", "DATABASE_URL"), ("password", "PGPASSWORD")),
            Storage.PERSISTENT,
            "seed/catalog.sql",
            memory="2Gi",
        ),
    ),
    shared_needs=(SharedNeed("stock", "redis", (("host", "REDIS_HOST"),)),),
    manifests=(Manifest("mailpit", ('{"kind":"Service","n":1}', '{"kind":"Deployment"}')),),
    uses=(Use("payments", (("url", "PAYMENTS_URL"),)),),
    env=(("COLOUR", "green"),),
    env_from=("catalog-settings",),
    resources=Resources("100m", "256Mi", "512Mi"),
)


def test_the_spec_of_a_service_with_everything() -> None:
    made = spec(
        42,
        names=Names(
            "preview-shop-42", "preview-shop-42", "preview", {"catalog": "catalog-pr-42.preview.example.com"}, "shop"
        ),
        versions=(Version("catalog", sha(42), "registry.example.com/shop/catalog:x", digest("image")),),
        services=(CATALOG,),
        targets=(Link("catalog", "payments", (("url", "PAYMENTS_URL"),), STAGING, STAGING),),
        created=NOW,
    )
    found = parameters(made, PLATFORM)
    assert json.loads(json.dumps(found)) == found
    assert found == {
        "name": "preview-shop-42",
        "namespace": "preview-shop-42",
        "installation": "test",
        "repository": "shop",
        "repositoryId": "7",
        "number": "42",
        "headSha": sha(42),
        "chartVersion": "",
        "values": {
            "preview": {
                "repository": "shop",
                "repositoryId": "7",
                "slug": "acme/shop",
                "number": 42,
                "installation": "test",
                "label": "preview",
                "dataGeneration": 1,
                "retry": 0,
                "asleep": False,
            },
            "settings": {},
            "manifests": {"mailpit": [{"kind": "Service", "n": 1}, {"kind": "Deployment"}]},
            "services": {
                "catalog": {
                    "image": f"registry.example.com/shop/catalog@{digest('image')}",
                    "sha": sha(42),
                    "revision": revision(CATALOG, made),
                    "host": "catalog-pr-42.preview.example.com",
                    "web": "web",
                    "processes": {
                        "web": {
                            "kind": "web",
                            "command": ["python", "server.py"],
                            "port": 8080,
                            "schedule": "",
                            "replicas": 1,
                            "migrates": True,
                            "probe": "/healthz",
                        },
                        "nightly": {
                            "kind": "cron",
                            "command": ["python", "nightly.py"],
                            "port": None,
                            "schedule": "0 3 * * *",
                            "replicas": 1,
                            "migrates": False,
                            "probe": "/",
                        },
                    },
                    "migrate": {"command": ["python", "migrate.py"], "timeoutSeconds": 120},
                    "needs": {
                        "db": {
                            "kind": "postgresql",
                            "version": "16",
                            "variables": {"DATABASE_URL": "url", "PGPASSWORD": "password"},
                            "storage": "persistent",
                            "image": "",
                            "memory": "2Gi",
                            "size": "",
                        }
                    },
                    "sharedNeeds": [{"service": "stock", "name": "redis", "variables": {"REDIS_HOST": "host"}}],
                    "links": {"payments": {"variables": {"PAYMENTS_URL": "url"}, "url": STAGING, "public": STAGING}},
                    "openTo": [],
                    "env": {"COLOUR": "green"},
                    "envFrom": ["catalog-settings"],
                    "resources": {"cpu": "100m", "memory": "256Mi", "memoryLimit": "512Mi"},
                }
            },
        },
    }


def test_specs_that_differ_in_memory_alone_make_the_same_preview() -> None:
    old = spec(1)
    new = changed(old, holders={"db": "c1"}, reset_at=NOW, head_since=NOW, created=NOW, author="grace")
    assert old != new
    assert same_pods(old, new)
    assert parameters(old, PLATFORM) == parameters(new, PLATFORM)
    assert not same_pods(old, changed(old, retry=1))
    assert not same_pods(old, changed(old, generation=2))


def test_a_manifest_that_two_services_name_is_there_once_and_restarts_nobody() -> None:
    made = spec(42, services=(CATALOG, replace(CATALOG, name="stock")))
    newer = tuple(replace(s, manifests=(Manifest("mailpit", ('{"kind":"Service","n":2}',)),)) for s in made.services)
    other = changed(made, services=newer)
    assert parameters(made, PLATFORM)["values"]["manifests"].keys() == {"mailpit"}  # type: ignore[index]
    assert parameters(made, PLATFORM) != parameters(other, PLATFORM)
    assert [revision(s, made) for s in made.services] == [revision(s, other) for s in other.services]


def test_an_upgrade_restarts_no_preview_that_does_not_use_what_is_new() -> None:
    """Rows of before `run_as_user` are the specs of today, and so are the revisions that their pods carry."""
    made = spec(42, services=(CATALOG,))
    older = codec.dumped(made)
    del older["config"]["services"][0]["run_as_user"]
    found = codec.loaded(PreviewSpec, older)
    assert found == made
    assert revision(CATALOG, made) == "c459b3ff4903"
    assert "runAsUser" not in _values_of(made)


def test_the_number_of_a_user_reaches_the_chart_and_makes_new_pods() -> None:
    numbered = replace(CATALOG, run_as_user=1000)
    old, new = spec(42, services=(CATALOG,)), spec(42, services=(numbered,))
    assert _values_of(new)["runAsUser"] == 1000
    assert codec.loaded(PreviewSpec, codec.dumped(new)) == new
    assert not same_pods(old, new)
    assert revision(CATALOG, old) != revision(numbered, new)


@pytest.mark.parametrize(("limit", "seconds"), [(None, 0), (timedelta(minutes=5), 300), (timedelta(milliseconds=1), 1)])
def test_no_limit_of_a_migration_is_a_zero_in_the_spec(limit: timedelta | None, seconds: int) -> None:
    made = spec(42, services=(replace(CATALOG, migrate_timeout=limit),))
    assert _values_of(made)["migrate"]["timeoutSeconds"] == seconds
    assert codec.loaded(PreviewSpec, codec.dumped(made)) == made


def _values_of(made: PreviewSpec) -> dict[str, Any]:
    values: Any = parameters(made, PLATFORM)["values"]
    found: dict[str, Any] = values["services"]["catalog"]
    return found
