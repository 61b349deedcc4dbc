"""The parameter set that an ApplicationSet will receive: the proof that the same core serves Argo CD."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from builders import NOW, PLATFORM, digest, row, sha
from greenroom.core.catalogue import Image, Need, Process, ProcessKind, Resources, Service, Storage, Use
from greenroom.core.rows import Link, Naming, Version, alike, parameters, revision

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
    needs=(Need("db", "postgresql", "16", "DATABASE_URL", Storage.PERSISTENT, "seed/catalog.sql"),),
    uses=(Use("payments", (("url", "PAYMENTS_URL"),)),),
    env=(("COLOUR", "green"),),
    env_from=("catalog-settings",),
    resources=Resources("100m", "256Mi", "512Mi"),
)


def test_the_row_of_a_service_with_everything() -> None:
    made = row(
        42,
        naming=Naming(
            "preview-shop-42", "preview-shop-42", "preview", (("catalog", "catalog-pr-42.preview.example.com"),)
        ),
        versions=(Version("catalog", sha(42), "registry.example.com/shop/catalog:x", digest("image")),),
        services=(CATALOG,),
        links=(Link("catalog", "payments", (("url", "PAYMENTS_URL"),), STAGING, STAGING),),
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
                "incarnation": 1,
                "nonce": 0,
                "asleep": False,
            },
            "settings": {},
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
                            "variable": "DATABASE_URL",
                            "storage": "persistent",
                            "image": "",
                        }
                    },
                    "links": {"payments": {"variables": {"PAYMENTS_URL": "url"}, "url": STAGING, "public": STAGING}},
                    "openTo": [],
                    "env": {"COLOUR": "green"},
                    "envFrom": ["catalog-settings"],
                    "resources": {"cpu": "100m", "memory": "256Mi", "memoryLimit": "512Mi"},
                }
            },
        },
    }


def test_rows_that_differ_in_memory_alone_make_the_same_preview() -> None:
    old = row(1)
    new = replace(old, lives=(("db", "c1"),), renewed=NOW, head_since=NOW, created=NOW, author="grace")
    assert old != new
    assert alike(old, new)
    assert parameters(old, PLATFORM) == parameters(new, PLATFORM)
    assert not alike(old, replace(old, nonce=1))
    assert not alike(old, replace(old, incarnation=2))
