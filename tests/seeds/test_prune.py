"""`greenroom seed prune`: what is kept, and that doubt deletes nothing; with a real registry and an admin port."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from greenroom.asgi_server import running
from greenroom.core.model.seeds import LABEL
from greenroom.seeds import oci
from greenroom.seeds.retention import InUse, Stored, verdicts
from seeds.conftest import started_registry
from seeds.test_platform_build import Shop

NOW = datetime(2026, 11, 30, tzinfo=UTC)
GROUP = ("acme/shop:seed/shop.sql", "postgresql", "postgres:16")

NOBODY = InUse()


def stored(number: int, days: float = 30, **changes: Any) -> Stored:
    fields = {"built": NOW - timedelta(days=days + number), "group": GROUP, **changes}
    return Stored(f"tag{number}", f"sha256:{number:064x}", **fields)


def deleted(images: list[Stored], used: InUse = NOBODY) -> list[str]:
    return [each.stored.tag for each in verdicts(images, used, NOW) if not each.why]


def test_five_newest_of_each_dump_and_everything_young_is_kept() -> None:
    other = [stored(20 + n, group=("acme/other:dump", *GROUP[1:])) for n in range(3)]
    assert deleted([stored(n) for n in range(8)] + other) == ["tag7", "tag6", "tag5"]
    assert deleted([stored(n, days=-3.5) for n in range(12)]) == ["tag11"]


def test_image_that_a_preview_uses_is_kept_by_digest_or_tag() -> None:
    images = [stored(n) for n in range(8)]
    assert deleted(images, InUse({images[7].digest: "shop#4"}, {"tag6": "shop#5"})) == ["tag5"]


def test_image_that_does_not_say_its_dump_or_its_age_is_kept() -> None:
    assert deleted([stored(n, group=None) for n in range(9)] + [stored(n, built=None) for n in range(9)]) == []


def test_digest_is_kept_as_long_as_one_of_its_tags_or_an_index_is() -> None:
    images = [stored(n) for n in range(8)]
    twin = Stored("release", images[7].digest)
    index = Stored("index", "sha256:i", parts=(images[6].digest,))
    assert deleted([*images, twin, index]) == ["tag5"]
    used = Stored("multi", "sha256:m", NOW - timedelta(days=300), GROUP, (images[5].digest,))
    assert deleted([*images, used], InUse({images[5].digest: "shop#1"})) == ["tag7", "tag6"]


class Seeds:
    """A registry with seven old seeds of one dump, and a configuration that names it."""

    def __init__(self, host: str, folder: Path) -> None:
        self.host, self.shop = host, Shop(folder)
        file = self.shop.platform / "greenroom.yaml"
        file.write_text(file.read_text().replace("registry.example.com/previews/seeds", f"{host}/seeds"))
        self.digests = {f"tag{n}": self.push(f"tag{n}", days=30 + n) for n in range(7)}

    def push(self, tag: str, *, days: float = 30, label: str = "") -> str:
        built = datetime.now(UTC) - timedelta(days=days)
        said = {"source": GROUP[0], "kind": GROUP[1], "base": GROUP[2], "built": f"{built:%Y-%m-%dT%H:%M:%SZ}"}
        config = json.dumps({"config": {"Labels": {LABEL: label or json.dumps(said)}}, "tag": tag}).encode()
        home = f"http://{self.host}/v2/seeds"
        begun = httpx2.post(f"{home}/blobs/uploads/")
        httpx2.put(f"{begun.headers['location']}&digest={oci.digest_of(config)}", content=config)
        entry = oci.Descriptor(oci.CONFIG, oci.digest_of(config), len(config)).written()
        body = json.dumps({"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": entry, "layers": []}).encode()
        put = httpx2.put(f"{home}/manifests/{tag}", content=body, headers={"content-type": oci.MANIFEST})
        assert put.status_code == 201, put.text
        return oci.digest_of(body)

    def tags(self) -> set[str]:
        home = f"http://{self.host}/v2/seeds"
        names = [f"tag{n}" for n in range(7)]
        heads = {n: httpx2.head(f"{home}/manifests/{n}", headers={"accept": oci.MANIFEST}) for n in names}
        return {name for name, answer in heads.items() if answer.status_code == 200}

    async def prune(self, *more: str, seeds: Any = (), status: int = 200) -> subprocess.CompletedProcess[str]:
        async def answer(request: Request) -> Response:
            assert request.headers["x-greenroom"] == "cli"
            return JSONResponse({"version": 1, "seeds": seeds, "error": "It cannot be read."}, status)

        async with running(Starlette(routes=[Route("/api/seeds", answer)])) as url:
            return await asyncio.to_thread(self.run, "--admin", url, *more)

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "greenroom", "seed", "prune", "--platform", str(self.shop.platform), *more]
        environment = {**os.environ, "DOCKER_CONFIG": str(self.shop.platform)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def seeds(work: Path) -> Iterator[Seeds]:
    with started_registry(work / "registry", deletes=True) as host:
        yield Seeds(host, work / "shop")


ALL = {f"tag{n}" for n in range(7)}


async def test_dry_run_lists_and_delete_deletes_by_digest(seeds: Seeds) -> None:
    used = [{"image": f"{seeds.host}/seeds:tag6", "digest": seeds.digests["tag6"], "preview": "shop#4"}]
    listed = await seeds.prune(seeds=used)
    assert (listed.returncode, seeds.tags()) == (0, ALL), listed.stderr
    assert "keep: used by shop#4" in listed.stdout
    assert listed.stdout.endswith("1 of 7 images can be deleted. Pass --delete to delete them.\n")
    done = await seeds.prune("--delete", seeds=used)
    assert done.stdout.endswith("Deleted 1 of 7 images.\n"), done.stderr
    assert seeds.tags() == ALL - {"tag5"}


async def test_image_of_the_checked_out_commit_is_kept(seeds: Seeds) -> None:
    tag = seeds.shop.looked_up().rpartition(":")[2]
    seeds.push(tag, days=99)
    done = await seeds.prune("--delete", "--checkout", str(seeds.shop.checkout))
    assert f"{tag}  " in done.stdout
    assert "keep: used by the commit in shop (shop/postgresql)" in done.stdout
    assert done.stdout.endswith("Deleted 2 of 8 images.\n"), done.stderr


async def test_checkout_without_a_configured_dump_protects_nothing_so_nothing_is_deleted(
    seeds: Seeds, tmp_path: Path
) -> None:
    done = await seeds.prune("--delete", "--checkout", str(tmp_path))
    assert (done.returncode, seeds.tags()) == (2, ALL)
    assert "contains no dump of the configuration" in done.stderr


@pytest.mark.parametrize("answer", [{"status": 409}, {"status": 404}, {"seeds": [{"digest": "x"}]}, {"seeds": None}])
async def test_greenroom_that_does_not_answer_completely_deletes_nothing(seeds: Seeds, answer: dict[str, Any]) -> None:
    done = await seeds.prune("--delete", **answer)
    assert (done.returncode, seeds.tags()) == (1, ALL)
    assert len(done.stderr.splitlines()) == 1


def test_greenroom_that_cannot_be_reached_deletes_nothing(seeds: Seeds) -> None:
    done = seeds.run("--delete", "--admin", "http://127.0.0.1:9")
    assert (done.returncode, seeds.tags()) == (1, ALL)
    assert "Greenroom" in done.stderr


@pytest.mark.parametrize("label", ["{", '{"built": "yesterday"}', '{"built": "2026-01-01T00:00:00"}', "[]"])
async def test_label_that_cannot_be_read_deletes_nothing(seeds: Seeds, label: str) -> None:
    seeds.push("broken", label=label)
    done = await seeds.prune("--delete")
    assert (done.returncode, seeds.tags()) == (1, ALL)
    assert f"{seeds.host}/seeds:broken cannot be read, so nothing was deleted." in done.stderr


async def test_registry_that_does_not_answer_completely_deletes_nothing(seeds: Seeds) -> None:
    home = f"http://{seeds.host}/v2/seeds"
    manifest = httpx2.get(f"{home}/manifests/tag0", headers={"accept": oci.MANIFEST}).json()
    httpx2.delete(f"{home}/blobs/{manifest['config']['digest']}")
    done = await seeds.prune("--delete")
    assert (done.returncode, seeds.tags()) == (1, ALL), done.stdout


async def test_registry_that_refuses_deletion_is_named(work: Path) -> None:
    with started_registry(work / "registry") as host:
        seeds = Seeds(host, work / "shop")
        done = await seeds.prune("--delete")
        assert (done.returncode, seeds.tags()) == (1, ALL)
        assert f"The registry of {host}/seeds does not allow the deletion of images." in done.stderr


async def test_long_list_is_read_to_its_end(seeds: Seeds) -> None:
    home = f"http://{seeds.host}/v2/seeds/manifests"
    body = httpx2.get(f"{home}/tag6", headers={"accept": oci.MANIFEST}).content
    for number in range(120):
        httpx2.put(f"{home}/more{number:03}", content=body, headers={"content-type": oci.MANIFEST})
    done = await seeds.prune()
    assert sum(line.startswith("more") for line in done.stdout.splitlines()) == 120, done.stderr
