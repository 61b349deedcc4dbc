"""A cache on this machine: a real server beside the services, that outlives versions and dies with the preview."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from greenroom.core.model.catalog import Need, Storage
from greenroom.core.model.engine import Health
from greenroom.errors import Failed
from greenroom.local import caches, processes
from greenroom.local.engine import LocalEngine
from local.workshop import IDENTITY, Workshop, seen, taken, until, wait

SERVER = next((n for n in ("redis-server", "valkey-server") if shutil.which(n)), "")
needs_server = pytest.mark.skipif(
    not SERVER and os.environ.get("CI") not in ("true", "1"),
    reason="needs redis-server or valkey-server: apt-get install redis-server",
)
CACHE = Need("redis", "redis", "7", (("url", "REDIS_URL"), ("port", "REDIS_PORT")))


async def given(engine: LocalEngine) -> dict[str, str]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{engine.proxy_port}/"
        answer = await client.get(url, headers={"host": "web-pr-1.preview.localhost"})
    environment: dict[str, str] = answer.json()["environment"]
    return environment


def ask(url: str, *commands: str) -> list[str]:
    """The answers of the cache to these commands."""
    parsed = urlsplit(url)
    assert parsed.hostname
    assert parsed.port
    with socket.create_connection((parsed.hostname, parsed.port), timeout=2) as connection:
        file = connection.makefile("rb")
        answers = []
        for command in (f"AUTH {parsed.password}", *commands):
            connection.sendall(f"{command}\r\n".encode())
            line = file.readline().decode().strip()
            if line.startswith("$") and line != "$-1":
                line = file.readline().decode().strip()
            answers.append(line)
    return answers[1:]


@needs_server
async def test_a_cache_lives_beside_versions_comes_back_empty_and_is_removed_with_the_preview(shop: Workshop) -> None:
    first, second = shop.commit("1"), shop.commit("2")
    async with LocalEngine(shop.settings, lambda i: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(first, needs=(CACHE,)), 1))
        await wait(engine, Health.READY, first)
        url = (await given(engine))["REDIS_URL"]
        assert (await given(engine))["REDIS_PORT"] == str(urlsplit(url).port)
        assert ask(url, "SET a 1", "GET a") == ["+OK", "1"]
        await engine.serve(shop.preview_set(shop.spec(second, needs=(CACHE,)), 2))
        await wait(engine, Health.READY, second)
        assert (await given(engine))["REDIS_URL"] == url
        assert ask(url, "GET a") == ["1"], "a push keeps it"
        [cache] = shop.record().caches
        os.kill(cache.pid, signal.SIGKILL)

        async def back() -> bool:
            [now] = shop.record().caches
            return now.pid != cache.pid and await caches.pong(now.port, urlsplit(url).password or "")

        await until(back)
        assert ask(url, "GET a") == ["$-1"], "the same address, and empty"
    async with LocalEngine(replace(shop.settings, proxy_port=0), lambda i: None) as engine:
        await wait(engine, Health.READY, second)
        [after] = shop.record().caches
        assert processes.alive(after.pid, after.started), "a restart of Greenroom finds it again"
        uid = (await seen(engine)).uid
        await engine.serve(shop.preview_set(None, 3))
        await engine.remove(IDENTITY, uid)
        assert not processes.alive(after.pid, after.started)
        assert (await engine.receipt(IDENTITY)).clean


@needs_server
async def test_a_version_without_it_ends_it(shop: Workshop) -> None:
    first, second = shop.commit("1"), shop.commit("2")
    async with LocalEngine(shop.settings, lambda i: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(first, needs=(CACHE,)), 1))
        await wait(engine, Health.READY, first)
        [cache] = shop.record().caches
        await engine.serve(shop.preview_set(shop.spec(second), 2))
        await wait(engine, Health.READY, second)

        async def gone() -> bool:
            return not shop.record().caches

        await until(gone)
        assert not processes.alive(cache.pid, cache.started)


@needs_server
async def test_nobody_without_the_password_is_answered(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, lambda i: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1"), needs=(CACHE,)), 1))
        await wait(engine, Health.READY)
        parsed = urlsplit((await given(engine))["REDIS_URL"])
        assert not await caches.pong(parsed.port or 0, "wrong")
        [running] = shop.record().caches
        assert running.pid in shop.pids(), "it is found if it is forgotten"
        assert ask(f"redis://x:wrong@127.0.0.1:{parsed.port}/0", "GET a")[0].startswith("-NOAUTH")
        state = json.loads(next((shop.settings.state / "previews").glob("*.json")).read_text())
        [cache] = state["caches"]
        assert parsed.password
        assert parsed.password not in processes.command(cache["pid"])
        settings = Path(processes.command(cache["pid"]).split()[1])
        assert settings.stat().st_mode & 0o077 == 0
        assert settings.parent.stat().st_uid == os.geteuid(), "nobody can put a link where we write a password"


@needs_server
async def test_what_persists_outlives_its_process(shop: Workshop) -> None:
    kept = replace(CACHE, storage=Storage.PERSISTENT)
    async with LocalEngine(shop.settings, lambda i: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1"), needs=(kept,)), 1))
        await wait(engine, Health.READY)
        url = (await given(engine))["REDIS_URL"]
        assert ask(url, "SET a 1") == ["+OK"]
        [cache] = shop.record().caches
        await processes.end(cache.pid, cache.started)

        async def back() -> bool:
            [now] = shop.record().caches
            return now.pid != cache.pid and await caches.pong(now.port, urlsplit(url).password or "")

        await until(back)
        assert ask(url, "GET a") == ["1"]


async def test_where_no_server_is_found_the_preview_says_what_to_install(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_without(tmp_path / "bin", "redis-server", "valkey-server"))
    async with LocalEngine(shop.settings, lambda i: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1"), needs=(CACHE,)), 1))
        found = await wait(engine, Health.FAILED)
        assert found.why == (
            "Neither redis-server nor valkey-server is on PATH. Install one: apt-get install redis-server."
        )


def path_without(folder: Path, *programs: str) -> str:
    """Return a PATH with everything that this machine has but these programs."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).glob("*"):
            if program.name not in programs and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return str(folder)


@pytest.mark.parametrize(("kind", "first"), [("redis", "redis-server"), ("valkey", "valkey-server")])
def test_each_kind_takes_its_own_server_first(
    kind: str, first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failed):
        caches.server(kind)
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).touch(0o755)
    assert caches.server(kind) == str(tmp_path / first)


def test_the_password_file_is_private(tmp_path: Path) -> None:
    assert caches.private(tmp_path / "x").stat().st_mode & 0o777 == 0o600


@needs_server
async def test_a_cache_that_cannot_come_back_is_reported_and_forgiven_when_it_can(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, lambda i: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1"), needs=(CACHE,)), 1))
        await wait(engine, Health.READY)
        [cache] = shop.record().caches
        os.kill(cache.pid, signal.SIGKILL)
        with taken(cache.port):
            found = await wait(engine, Health.FAILED)
            assert "exited during startup" in found.why
            assert (await given(engine))["REDIS_PORT"] == str(cache.port), "the services go on"
        found = await wait(engine, Health.READY)
        assert (found.why, found.log) == ("", ())
