"""Seeds: the dump of a commit becomes an image that is built in the cluster, and each preview starts from its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from e2e.scene import REGISTRY, ROOT, SECRETS, Pull, Scene, kubectl, objects, until

NAMESPACE = "greenroom-seeds"
PATH = "seed/catalog.sql"
DUMP = (ROOT / "examples" / "shop" / "catalog" / PATH).read_text()
RUN = uuid4().hex
NEED = {"kind": "postgresql", "version": "15", "as": "DATABASE_URL", "seed": PATH}


@pytest.fixture(scope="module", autouse=True)
def builds(the_played_scene: Scene) -> Iterator[None]:
    """The catalog's database starts from the dump in its repository, and Greenroom builds the images."""
    scene = the_played_scene
    catalog = {**scene.services["catalog"], "needs": [NEED]}
    with scene.configured(seeds={"image": f"{REGISTRY}/seeds", "build": "cluster"}):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "greenroom-seeds", "namespace": NAMESPACE}}
        given = {"github-token": SECRETS["github-token"], "docker-config": "{}"}
        kubectl("apply", "-f", "-", given=json.dumps({**secret, "stringData": given}))
        scene.redeployed()
        with scene.serving(catalog=catalog):
            yield


def dump_with(product: str) -> str:
    """The same dump with another product in place of the kettle. The registry of the cluster has no image of it yet."""
    assert "\tKettle\t" in DUMP
    return f"-- {RUN}\n" + DUMP.replace("\tKettle\t", f"\t{product}\t")


def products(pull: Pull) -> list[str]:
    return [p["name"] for p in pull.page("/products").json()["products"]]


def jobs() -> list[str]:
    return sorted(j["metadata"]["name"] for j in objects("jobs", NAMESPACE))


def test_dump_in_git_becomes_a_database_and_an_older_preview_keeps_its_own(scene: Scene) -> None:
    first = scene.catalog.pull_request("seed-first", "2", files={PATH: dump_with("First kettle")})
    first.says("Greenroom is building the seed image from seed/catalog.sql.", 30)
    first.ready("2")
    assert "First kettle" in products(first)
    assert all(p["stock"] is not None for p in first.page("/products").json()["products"]), "migrated"
    second = scene.catalog.pull_request("seed-second", "2", files={PATH: dump_with("Second kettle")})
    second.ready("2")
    assert "Second kettle" in products(second)
    assert "First kettle" in products(first)
    third = scene.catalog.pull_request("seed-third", "3", files={PATH: dump_with("First kettle")})
    known = jobs()
    third.ready("3")
    assert jobs() == known, "the same dump is not built twice"


def test_preview_starts_over_from_the_same_seed_and_from_a_newer_one_when_a_person_asks(scene: Scene) -> None:
    pull = scene.catalog.pull_request("seed-reset", "2", files={PATH: dump_with("Old kettle")})
    pull.ready("2")
    pull.post("/", {"name": "Lost", "cents": 5})
    until(lambda: "Lost" in products(pull), 20)
    pull.push("3", files={PATH: dump_with("New kettle")})
    pull.ready("3")
    assert {"Lost", "Old kettle"} <= set(products(pull)), "a push does not touch the data"
    pull.say("/preview reset")
    began = time.monotonic()
    until(lambda: "Lost" not in products(pull), 60)
    print(f"reset: {time.monotonic() - began:.1f} s from the comment to the seeded page")
    assert "Old kettle" in products(pull)
    pull.says("ada replaced the data: postgresql starts from seed/catalog.sql", 60)
    pull.ready("3")
    pull.post("/", {"name": "Lost", "cents": 5})
    scene.greenroom("reset", pull.name, "--reseed", "--yes")
    until(lambda: "New kettle" in products(pull), 60)
    assert "Lost" not in products(pull)
    pull.ready("3")


def test_dump_of_mariadb_becomes_its_database_and_is_there_again_after_a_reset(scene: Scene) -> None:
    need = {"kind": "mariadb", "version": "10.11", "as": "MARIADB_URL", "seed": "seed/shop.sql"}
    tests = ROOT / "tests" / "seeds"
    dump = f"-- {RUN}\n{(tests / 'mariadb' / 'plain.sql').read_text()}"
    files = {"seed/shop.sql": dump, "seed/seed.columns.yaml": (tests / "mariadb.columns.yaml").read_text()}
    with scene.serving(payments={**scene.services["payments"], "needs": [need]}):
        pull = scene.payments.pull_request("seed-mariadb", "2", files=files)

        def sql(statement: str) -> str:
            pods = (p for p in pull.pods("greenroom.dev/role=need") if not p["metadata"].get("deletionTimestamp"))
            [name] = [p["metadata"]["name"] for p in pods]
            command = f'MYSQL_PWD="$MARIADB_PASSWORD" mariadb --no-defaults --skip-ssl -h 127.0.0.1 -u app -NBe "{statement}" app'
            return kubectl("exec", "-n", pull.namespace, name, "--", "sh", "-c", command, check=False).strip()

        pull.says("Greenroom is building the seed image from seed/shop.sql.", 30)
        pull.ready("2")
        assert sql("SELECT COUNT(*) FROM customers") == "3"
        assert sql("SELECT CONVERT_TZ('2026-01-01 12:00', 'UTC', 'Europe/Berlin')") == "2026-01-01 13:00:00"
        sql("DELETE FROM orders")
        assert sql("SELECT COUNT(*) FROM orders") == "0"
        pull.say("/preview reset")
        until(lambda: sql("SELECT COUNT(*) FROM orders") == "4", 60)
        pull.says("ada replaced the data: mariadb starts from seed/shop.sql", 60)
        pull.ready("2")
        pull.close()
        pull.gone(90)


def test_broken_dump_says_why_and_a_push_repairs_it(scene: Scene) -> None:
    pull = scene.catalog.pull_request("seed-broken", "2", files={PATH: DUMP + "\nDROP ROLE app;\n"})
    pull.says("`greenroom seed check seed/catalog.sql`", 60)
    assert "Preview blocked" in pull.comment
    pull.push("3", files={PATH: dump_with("Repaired kettle")})
    pull.ready("3")
    assert "Repaired kettle" in products(pull)


def test_pod_that_restores_a_dump_has_no_credentials(scene: Scene) -> None:
    pull = scene.catalog.pull_request("seed-pods", "2", files={PATH: dump_with("Watched kettle")})
    found = until(lambda: objects("pods", NAMESPACE, "greenroom.dev/seed-role=bake"), 60)
    for pod in found:
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert "secret" not in json.dumps(pod["spec"]).lower()
    pull.ready("2")
