"""A build as in a cluster: courier and agent over HTTP, the container's own command, a real server and registry."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from greenroom.argocd.seed_jobs import BAKE
from greenroom.asgi_server import running
from greenroom.core.model.migrations import Migration, MigrationSet
from greenroom.core.model.seeds import LABEL, CommitMigrations, SeedBuild, SeedInputs, SeedLabel, Source
from greenroom.errors import Failed, RetryLater
from greenroom.registry.access import Access
from greenroom.registry.labels import labels
from greenroom.seeds import bake, lfs, oci
from greenroom.seeds.agent import Agent
from greenroom.seeds.courier import AgentAddress, Courier, GitHubSource
from greenroom.seeds.engines import ENGINES
from greenroom.simulator.app import Simulator
from greenroom.simulator.payloads import blob_id
from greenroom.simulator.world import World
from seeds.conftest import RealRegistry

SEED = Path(__file__).parents[2] / "examples" / "shop" / "catalog" / "seed"
DUMP, COLUMNS = (SEED / "catalog.sql").read_bytes(), (SEED / "seed.columns.yaml").read_bytes()
TOKEN = "uid-of-the-job"


@dataclass
class Pods:
    """The two pods of one build, as processes and tasks of this machine."""

    courier: Courier
    agent: Agent
    database: asyncio.subprocess.Process
    world: World

    async def run(self) -> str:
        return await self.courier.run()


@asynccontextmanager
async def pods(
    home: RealRegistry,
    programs: Path,
    work: Path,
    dump: bytes,
    extensions: tuple[str, ...] = (),
    *,
    kind: str = "postgresql",
    version: str = "18",
    columns: bytes = COLUMNS,
) -> AsyncIterator[Pods]:
    shared, folder = work / "work", work / "courier"
    for path in (shared, folder):
        path.mkdir()
        path.chmod(0o777)
    inputs = SeedInputs(kind, version, home.base, blob_id(dump), extensions=extensions)
    name = f"{home.host}/{_repository(work)}:{inputs.tag}"
    build = SeedBuild(inputs, Source("acme/shop", "a" * 40), "seed/shop.sql", name, columns=blob_id(columns))
    world = World()
    world.token("t0ken", "greenroom-bot")
    world.repository("acme/shop").files["a" * 40] = {
        "seed/shop.sql": dump,
        "seed/seed.columns.yaml": columns,
    }
    agent = Agent(shared, TOKEN, ENGINES[kind])
    words = [word for name in extensions for word in ("--extension", name)]
    account: dict[str, Any] = bake.identity()
    async with (
        running(Simulator(world)) as github,
        running(agent.application()) as url,
        httpx2.AsyncClient(timeout=60) as client,
    ):
        agent.install()
        (shared / "data").chmod(0o777)
        environment = {"WORK": str(shared), "PATH": f"{programs}:{os.environ['PATH']}"}
        database = await asyncio.create_subprocess_exec(
            *("sh", "-c", BAKE, "bake", *words), env=environment, stdout=asyncio.subprocess.DEVNULL, **account
        )
        here = AgentAddress(url, TOKEN), GitHubSource(github, "t0ken")
        yield Pods(Courier(build, *here, Access(client), client, folder, lambda *_: None), agent, database, world)
        if database.returncode is None:
            await asyncio.wait_for(database.wait(), 30)


def _repository(work: Path) -> str:
    """Return a name that is valid whatever the folder is called."""
    return f"run-{work.name.encode().hex()}"


async def test_image_is_built_without_the_credentials_and_has_all_data(
    real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    async with pods(real_registry, version[1], work, DUMP) as build:
        image = await build.run()
        assert build.agent.ended.is_set()
        assert await build.run() == image, "the image that exists is not built again"
    repository, digest = image.partition("@")[0].partition("/")[2], image.partition("@")[2]
    home = f"http://{real_registry.host}/v2/{repository}"
    manifest = httpx2.get(f"{home}/manifests/{digest}", headers={"accept": oci.MANIFEST}).json()
    config = httpx2.get(f"{home}/blobs/{manifest['config']['digest']}").json()["config"]
    label = json.loads(config["Labels"][LABEL])
    assert label["rows"] == {"public.products": 30}
    assert label["tag"] == build.courier.build.inputs.tag
    assert "PGDATA=/var/lib/preview/pgdata" in config["Env"]


async def test_image_of_mariadb_is_built_in_the_same_way(
    real_registry: RealRegistry, mariadb: tuple[str, Path], work: Path
) -> None:
    here = Path(__file__).parent
    columns, dump = (here / "mariadb.columns.yaml").read_bytes(), (here / "mariadb" / "plain.sql").read_bytes()
    given = {"kind": "mariadb", "version": "10.11", "columns": columns}
    async with pods(real_registry, mariadb[1], work, dump, **given) as build:  # type: ignore[arg-type]
        image = await build.run()
    repository, digest = image.partition("@")[0].partition("/")[2], image.partition("@")[2]
    home = f"http://{real_registry.host}/v2/{repository}"
    manifest = httpx2.get(f"{home}/manifests/{digest}", headers={"accept": oci.MANIFEST}).json()
    config = httpx2.get(f"{home}/blobs/{manifest['config']['digest']}").json()["config"]
    label = json.loads(config["Labels"][LABEL])
    assert (label["kind"], label["rows"]) == ("mariadb", {"customers": 3, "orders": 4})
    assert label["server"].startswith("10.11.")
    assert "/var/lib/preview/pgdata" not in str(config)
    assert config.get("StopSignal") != "SIGINT", "MariaDB ends on SIGTERM"


async def test_dump_that_cannot_be_restored_fails_with_its_sentence_and_no_image(
    real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    async with pods(real_registry, version[1], work, DUMP.replace(b"cents integer", b"cents money_of_mars")) as build:
        with pytest.raises(
            Failed,
            match=r"^seed/shop\.sql: type \"public.*money_of_mars\" does not exist|^seed/shop\.sql: .*money_of_mars",
        ):
            await build.run()
        assert build.agent.ended.is_set()
    assert httpx2.get(f"http://{real_registry.host}/v2/{_repository(work)}/tags/list").status_code == 404


LEDGER = b"""
CREATE TABLE public.django_migrations (id integer, app text, name text);
COPY public.django_migrations (id, app, name) FROM stdin;
1\tshop\t0001_initial
\\.
"""
CLASSIFIED = COLUMNS + b"public.django_migrations: {app: public, name: public}\n"


async def test_image_records_what_ran_with_the_content_of_the_commit(
    real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    async with pods(real_registry, version[1], work, DUMP + LEDGER) as build:
        build.world.repository("acme/shop").files["a" * 40]["seed/seed.columns.yaml"] = CLASSIFIED
        commit = CommitMigrations("acme/shop", "django", (("shop.0001_initial", "h1", ()), ("shop.0002_x", "h2", ())))
        made = replace(build.courier.build, columns=blob_id(CLASSIFIED), commit=commit)
        image = await replace(build.courier, build=made).run()
        found = await labels(build.courier.access, image)
    assert not isinstance(found, str), found
    label = SeedLabel.parsed(found[LABEL])
    assert label.applied == MigrationSet("django", (Migration("shop.0001_initial", "h1"),))
    assert label.size > 0


async def test_dump_whose_migrations_cannot_be_compared_is_not_pushed(
    real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    async with pods(real_registry, version[1], work, DUMP + LEDGER) as build:
        build.world.repository("acme/shop").files["a" * 40]["seed/seed.columns.yaml"] = CLASSIFIED
        commit = CommitMigrations("acme/shop", unclear="The repository has several folders of migrations.")
        made = replace(build.courier.build, columns=blob_id(CLASSIFIED), commit=commit)
        with pytest.raises(Failed, match=r"^seed/shop\.sql: The dump has a migration table of Django\. The repository"):
            await replace(build.courier, build=made).run()
    assert httpx2.get(f"http://{real_registry.host}/v2/{work.name}/tags/list").status_code == 404


async def test_agent_answers_nobody_but_its_courier(
    real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    async with pods(real_registry, version[1], work, DUMP) as build:
        assert (await build.courier.client.get(f"{build.courier.agent.url}/status")).status_code == 401
        other = replace(build.courier, agent=replace(build.courier.agent, token="other"))
        with pytest.raises(Failed, match="does not have this build's token"):
            await other._send(build.courier.folder / "dump")
        await build.courier._ask("DELETE", "/")


async def test_dump_that_is_not_the_one_in_git_is_not_restored(
    real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    async with pods(real_registry, version[1], work, DUMP) as build:
        build.world.repository("acme/shop").files.clear()
        with pytest.raises(Failed, match=r"GitHub returned 404 for seed/shop\.sql\. Check"):
            await build.run()


def pointer(content: bytes) -> bytes:
    """What git has in place of the content."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(content).hexdigest()}\nsize {len(content)}\n".encode()


async def test_dump_in_git_lfs_is_fetched_from_its_store(
    real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    async with pods(real_registry, version[1], work, pointer(DUMP)) as build:
        build.world.repository("acme/shop").lfs[sha256(DUMP).hexdigest()] = DUMP
        found = await labels(build.courier.access, await build.run())
    assert build.courier.build.inputs.dump == blob_id(pointer(DUMP)), "the name of the image is that of the pointer"
    assert not isinstance(found, str)
    assert json.loads(found[LABEL])["rows"] == {"public.products": 30}


@pytest.mark.parametrize(
    ("stored", "error", "sentence"),
    [
        (
            None,
            Failed,
            r"Git LFS did not provide seed/shop\.sql \(404\)\. If .* run `git lfs push --all origin` in a clone that has it\.",
        ),
        (DUMP[:-1], RetryLater, r"The download of seed/shop\.sql from Git LFS is incomplete or corrupt\."),
        (DUMP + b"x", RetryLater, r"The download of seed/shop\.sql from Git LFS is incomplete or corrupt\."),
    ],
    ids=["missing", "cut", "longer"],
)
async def test_content_of_git_lfs_that_is_not_the_pointer_s_is_not_restored(
    real_registry: RealRegistry,
    version: tuple[str, Path],
    work: Path,
    stored: bytes | None,
    error: type[Exception],
    sentence: str,
) -> None:
    async with pods(real_registry, version[1], work, pointer(DUMP)) as build:
        if stored is not None:
            build.world.repository("acme/shop").lfs[sha256(DUMP).hexdigest()] = stored
        with pytest.raises(error, match=sentence):
            await build.run()


async def test_git_lfs_that_refuses_the_token_is_one_sentence(
    real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    async with pods(real_registry, version[1], work, pointer(DUMP)) as build:
        found = lfs.Pointer("a" * 64, 1)

        def store(token: str = "t0ken", slug: str = "acme/shop") -> lfs.Store:
            return lfs.Store(build.courier.client, build.courier.github.api_url, token, slug)

        with pytest.raises(Failed, match=r"Git LFS returned 401 for x\.sql\. Check the LFS quota .* `github-token`"):
            await store("wrong").download(found, work / "x", "x.sql", 10)
        with pytest.raises(Failed, match=r"Git LFS returned 404 for x\.sql"):
            await store(slug="acme/none").download(found, work / "x", "x.sql", 10)
        large = lfs.Pointer("a" * 64, 3 * 2**20)
        with pytest.raises(Failed, match=r"x\.sql has 3 MB in Git LFS\. Greenroom reads at most 2 MB"):
            await store().download(large, work / "x", "x.sql", 2 * 2**20)
        await build.courier._ask("DELETE", "/")


@pytest.mark.parametrize(
    ("status", "href", "error"),
    [
        (200, "http://169.254.169.254/latest", Failed),
        (429, "https://store.example.com/x", RetryLater),
        (503, "https://store.example.com/x", RetryLater),
    ],
)
async def test_git_lfs_that_is_busy_or_leads_away_from_tls_downloads_nothing(
    status: int, href: str, error: type[Exception], tmp_path: Path
) -> None:
    asked: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.method)
        return httpx2.Response(status, json={"objects": [{"actions": {"download": {"href": href}}}]})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as client:
        store = lfs.Store(client, "https://api.github.com", "t0ken", "acme/shop")
        with pytest.raises(error):
            await store.download(lfs.Pointer("a" * 64, 1), tmp_path / "x", "x.sql", 10)
    assert asked == ["POST"]


@pytest.mark.parametrize(
    ("api", "web"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com"),
        ("https://ghe.example.com/api/v3", "https://ghe.example.com"),
        ("https://ghe.example.com/api/v3/", "https://ghe.example.com"),
        ("https://api.example.com", "https://api.example.com"),
    ],
)
def test_git_lfs_is_at_the_address_of_the_repositories(api: str, web: str) -> None:
    assert lfs._web(api) == web


async def test_dump_that_loses_data_without_an_error_is_refused(
    real_registry: RealRegistry, mariadb: tuple[str, Path], work: Path
) -> None:
    here = Path(__file__).parent
    columns, dump = (here / "mariadb.columns.yaml").read_bytes(), (here / "mariadb" / "plain.sql").read_bytes()
    late = b"CREATE TABLE `late` (`i` int);\nSET autocommit=0;\nINSERT INTO `late` VALUES (1),(2);\n-- Dump completed"
    dump = dump.replace(b"-- Dump completed", late)
    given = {"kind": "mariadb", "version": "10.11", "columns": columns}
    async with pods(real_registry, mariadb[1], work, dump, **given) as build:  # type: ignore[arg-type]
        with pytest.raises(Failed, match=r"The dump inserts 2 rows into `late`, but 0 were restored\. If the dump"):
            await build.run()


def test_shell_of_the_container_is_plain_posix() -> None:
    assert subprocess.run(["sh", "-n", "-c", BAKE], capture_output=True).returncode == 0


async def test_column_that_is_not_classified_is_refused_before_anything_is_restored(
    real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    async with pods(real_registry, version[1], work, DUMP) as build:
        courier = replace(build.courier, build=replace(build.courier.build, columns=""))
        with pytest.raises(Failed, match=r"^seed/shop\.sql: There is no seed\.columns\.yaml beside the dump\."):
            await courier.run()
        assert not (build.agent.work / "go").exists()


async def test_file_that_is_not_the_one_in_git_is_not_used(
    real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    def cut(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=DUMP[:-100])

    async with pods(real_registry, version[1], work, DUMP) as build:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(cut)) as client:
            courier = replace(build.courier, client=client)
            with pytest.raises(
                RetryLater, match=r"The download of seed/shop\.sql from GitHub is incomplete or corrupt\."
            ):
                await courier._fetch(work / "dump", courier.build.inputs.dump, courier.build.path)
        await build.courier._ask("DELETE", "/")


async def test_mode_restore_needs_no_pod_that_restores(
    real_registry: RealRegistry, version: tuple[str, Path], work: Path
) -> None:
    async with pods(real_registry, version[1], work, DUMP) as build:
        inputs = replace(build.courier.build.inputs, mode="restore")
        name = build.courier.build.reference.replace(build.courier.build.inputs.tag, inputs.tag)
        courier = replace(build.courier, build=replace(build.courier.build, inputs=inputs, reference=name))
        image = await courier.run()
        assert not (build.agent.work / "go").exists()
    home = f"http://{real_registry.host}/v2/{_repository(work)}"
    manifest = httpx2.get(f"{home}/manifests/{image.partition('@')[2]}", headers={"accept": oci.MANIFEST}).json()
    config = httpx2.get(f"{home}/blobs/{manifest['config']['digest']}").json()["config"]
    assert "PGDATA=/var/lib/postgresql/data" in config["Env"]
    label = json.loads(config["Labels"][LABEL])
    assert (label["rows"], label["source"]) == ({"public.products": 30}, "acme/shop:seed/shop.sql")
