"""A disk that is full for a while: what serves goes on serving, the preview says why, and all goes on by itself."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

import waiting
from greenroom.core.model.engine import Health
from greenroom.core.model.spec import PreviewSpec
from greenroom.errors import Failed, GreenroomError
from greenroom.local import processes
from greenroom.local.engine import LocalEngine, stop_all
from greenroom.local.state import State
from greenroom.store.history import History
from greenroom.store.migrate import migrate
from greenroom.store.rows import Event
from local.workshop import IDENTITY, NEED, Workshop, get, names, seen, until, wait
from local.workshop import SEED as SEED_SQL

QUIET = "BaseHTTPRequestHandler.log_message = lambda *given: None"
"""The server of these tests does not write to its log: it is about Greenroom's own writes."""
SEED = int(os.environ["SEED"])  # tests/conftest.py sets one
LIVES = int(os.environ.get("LIVES", "2"))


class Disk:
    """A tmpfs that can be filled up to some bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, free: int) -> None:
        self.empty()
        for _ in range(10):  # what else is written meanwhile may leave less room than there was
            disk = os.statvfs(self.folder)
            with self._ballast.open("wb") as file, contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(1, disk.f_bavail * disk.f_frsize - free))
                return

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)


def mounted(folder: Path, megabytes: int) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextlib.asynccontextmanager
async def on_a_small_disk(megabytes: int) -> AsyncIterator[tuple[Workshop, Disk]]:
    folder = Path(tempfile.mkdtemp(prefix="greenroom-test-"))
    folder.chmod(0o755)
    (folder / "disk").mkdir()
    if not mounted(folder / "disk", megabytes):
        shutil.rmtree(folder)
        pytest.skip("mounting a small tmpfs needs root and mount(8)")
    made = Workshop(folder)
    made.settings = replace(made.settings, state=folder / "disk" / "state")
    made.settings.state.mkdir()
    home = folder / "disk" / "home"
    home.mkdir()
    (made.settings.state / "home.json").write_text(json.dumps({"home": str(home)}))
    disk = Disk(folder / "disk")
    try:
        yield made, disk
    finally:
        disk.empty()
        await stop_all(made.settings)
        left = made.pids()
        processes.reap()
        subprocess.run(["umount", "--lazy", str(folder / "disk")], check=True)
        shutil.rmtree(folder)
        assert left == []


@pytest.fixture
async def small() -> AsyncIterator[tuple[Workshop, Disk]]:
    async with on_a_small_disk(2) as found:
        yield found


class Loop:
    """Serves specs as the loop does: what the engine refuses is served again until it takes it."""

    def __init__(self, shop: Workshop, engine: LocalEngine) -> None:
        self._shop, self._engine = shop, engine

    async def once(self, spec: PreviewSpec | None) -> bool:
        known = (await self._engine.observe()).sets.get(7)
        with contextlib.suppress(GreenroomError):
            await self._engine.serve(self._shop.preview_set(spec, known.generation + 1 if known else 1))
            return True
        return False

    async def serve(self, spec: PreviewSpec | None) -> None:
        await until(lambda: self.once(spec))

    async def remove(self) -> None:
        async def gone() -> bool:
            found = (await self._engine.observe()).previews.get(IDENTITY)
            if found is not None:
                with contextlib.suppress(GreenroomError):
                    await self._engine.remove(IDENTITY, found.uid)
            return IDENTITY not in (await self._engine.observe()).previews

        await until(gone)


async def in_trouble(engine: LocalEngine) -> str:
    async def reported() -> bool:
        return (await seen(engine)).health is Health.FAILED

    await until(reported)
    return (await seen(engine)).why


@pytest.mark.parametrize("free", [0, 4096, 8192, 16384, 24576])
async def test_a_push_on_a_full_disk_leaves_the_old_version_and_continues_when_there_is_room(
    small: tuple[Workshop, Disk], free: int
) -> None:
    shop, disk = small
    first, second = shop.commit("1", extra=QUIET), shop.commit("2", extra=QUIET, padding="x" * 40_000)
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        loop = Loop(shop, engine)
        await loop.serve(shop.spec(first))
        await wait(engine, Health.READY)
        disk.fill(free)
        taken = await loop.once(shop.spec(second))
        if taken:
            found = await in_trouble(engine)
            assert found.startswith(("The disk is full: ", "The disk is full, so this failed: "))
            assert found.endswith("Free some space.")
            assert (await seen(engine)).fix == "No push is needed. Greenroom retries every few seconds."
        assert (await get(engine)).json()["release"] == "1"
        disk.empty()
        await loop.serve(shop.spec(second))
        found_well = await wait(engine, Health.READY, second)
        assert (found_well.why, (await get(engine)).json()["release"]) == ("", "2")
        await waiting.until(lambda: len(shop.pids()) == 1, 60)


@pytest.mark.parametrize("free", [0, 4096, 16384])
async def test_a_preview_that_begins_on_a_full_disk_says_so_and_starts_when_there_is_room(
    small: tuple[Workshop, Disk], free: int
) -> None:
    shop, disk = small
    sha = shop.commit("1", extra=QUIET, padding="x" * 40_000)
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        loop = Loop(shop, engine)
        disk.fill(free)
        if await loop.once(shop.spec(sha)):
            assert "The disk is full" in await in_trouble(engine)
            assert (await get(engine)).status_code == 503
        disk.empty()
        await loop.serve(shop.spec(sha))
        await wait(engine, Health.READY, sha)
        assert State(shop.settings.state).previews()[IDENTITY] == engine._previews[IDENTITY].kept


async def test_removal_on_a_full_disk_continues_once_there_is_space(small: tuple[Workshop, Disk]) -> None:
    shop, disk = small
    sha = shop.commit("1", extra=QUIET)
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        loop = Loop(shop, engine)
        await loop.serve(shop.spec(sha))
        await wait(engine, Health.READY)
        await loop.serve(None)
        disk.fill(0)
        with pytest.raises(GreenroomError, match="The disk is full"):
            await engine.remove(IDENTITY, (await seen(engine)).uid)
        assert "Its removal failed: The disk is full" in await in_trouble(engine)
        disk.empty()
        await loop.remove()
        assert (await engine.receipt(IDENTITY)).clean


async def test_a_removal_makes_room_by_what_the_preview_itself_wrote(small: tuple[Workshop, Disk]) -> None:
    shop, disk = small
    sha = shop.commit("1", extra=f"{QUIET}\nprint('x' * 100_000)")
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        uid = (await wait(engine, Health.READY)).uid
        await engine.serve(shop.preview_set(None, 2))
        disk.fill(0)
        await engine.remove(IDENTITY, uid)
        assert (await engine.receipt(IDENTITY)).clean


async def test_a_crash_on_a_full_disk_is_fixed_once_there_is_space(small: tuple[Workshop, Disk]) -> None:
    shop, disk = small
    sha = shop.commit("1", extra=QUIET)
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        await Loop(shop, engine).serve(shop.spec(sha))
        await wait(engine, Health.READY)
        disk.fill(0)
        [pid] = shop.pids()
        os.kill(pid, 9)
        assert "The disk is full" in await in_trouble(engine)
        assert State(shop.settings.state).previews()[IDENTITY] == engine._previews[IDENTITY].kept
        disk.empty()
        await wait(engine, Health.READY, sha)
        assert (await get(engine)).status_code == 200
        assert len(shop.pids()) == 1


async def test_a_preview_set_that_cannot_be_kept_is_not_believed(small: tuple[Workshop, Disk]) -> None:
    shop, disk = small
    spec = shop.spec(shop.commit("1", extra=QUIET))
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        disk.fill(0)
        with pytest.raises(GreenroomError, match=r"^The disk is full: .*rows/7.json could not be used"):
            await engine.serve(shop.preview_set(spec, 1))
        observed = await engine.observe()
        assert (observed.sets, observed.previews) == ({}, {})
        disk.empty()
        await engine.serve(shop.preview_set(spec, 1))
        await wait(engine, Health.READY)


async def test_a_start_on_a_full_disk_says_so(small: tuple[Workshop, Disk]) -> None:
    shop, disk = small
    disk.fill(0)
    with pytest.raises(GreenroomError, match=r"^The disk is full: .*Free some space"):
        async with LocalEngine(replace(shop.settings, state=disk.folder / "other"), lambda repository_id: None):
            raise AssertionError("started")


async def test_the_history_continues_after_a_full_disk(small: tuple[Workshop, Disk]) -> None:
    _, disk = small
    url = f"sqlite+aiosqlite:///{disk.folder}/history.db"
    await migrate(url)
    now = datetime(2026, 3, 2, tzinfo=UTC)

    def many(of: str) -> list[Event]:
        return [Event(f"{of} {i}", now, 7, "shop", 1, "action", "x" * 1000) for i in range(100)]

    async with History(url) as history:
        disk.fill(8192)
        with pytest.raises(Failed, match="The history cannot be written"):
            await history.record(*many("full"))
        disk.empty()
        assert await history.record(*many("empty")) == 100
        assert {event.key.partition(" ")[0] for event in await history.events()} == {"empty"}


async def filling(disk: Disk, chance: random.Random) -> None:
    """Fill the disk and make room again, at moments that nobody planned."""
    while True:
        await asyncio.sleep(chance.uniform(0, 0.8))
        disk.fill(chance.choice([0, 4096, 8192, 12288, 16384, 24576]))
        await asyncio.sleep(chance.uniform(0, 0.8))
        disk.empty()


async def answers_as_shown(engine: LocalEngine, shas: Sequence[str]) -> None:
    """What is shown as running is what a page gets, unless that changes while it is asked for.

    A process that was started again needs a moment to listen.
    """

    async def running() -> list[str]:
        found = (await engine.observe()).previews.get(IDENTITY)
        return [s.sha for s in found.services if s.ready] if found else []

    before = await running()
    answer = await get(engine)
    for _ in range(100):
        if answer.status_code == 200 or before != await running():
            break
        await asyncio.sleep(0.05)
        answer = await get(engine)
    if before and before == await running():
        assert (answer.status_code, shas[int(answer.json()["release"])]) == (200, before[0])


@pytest.mark.parametrize("seed", range(SEED, SEED + LIVES))
async def test_a_life_with_a_disk_that_fills_at_any_moment(small: tuple[Workshop, Disk], seed: int) -> None:
    """Run longer: `SEED=1 LIVES=100 pytest tests/local/test_full_disk.py -k any_moment`."""
    shop, disk = small
    chance = random.Random(seed)
    shas = [shop.commit(str(i), extra=QUIET, padding="x" * 5000 * i) for i in range(4)]
    wanted: PreviewSpec | None = None
    ballast: asyncio.Task[None] | None = None
    for _ in range(2):
        async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
            loop = Loop(shop, engine)
            ballast = ballast or asyncio.create_task(filling(disk, chance))
            for _ in range(6):
                asked = shop.spec(chance.choice(shas), asleep=chance.random() < 0.2)
                wanted = asked if await loop.once(asked) else wanted
                if chance.random() < 0.3 and (pids := shop.pids()):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(chance.choice(pids), 9)
                await asyncio.sleep(chance.uniform(0, 0.7))
                await answers_as_shown(engine, shas)
            assert not ballast.done()
    assert ballast is not None
    ballast.cancel()
    await asyncio.gather(ballast, return_exceptions=True)
    disk.empty()
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        loop = Loop(shop, engine)
        chosen = chance.randrange(4)
        await loop.serve(shop.spec(shas[chosen]))
        await wait(engine, Health.READY, shas[chosen])
        assert (await get(engine)).json()["release"] == str(chosen)
        assert len(shop.pids()) == 1
        await loop.serve(None)
        await loop.remove()
        assert (await engine.receipt(IDENTITY)).clean
        assert (await get(engine)).status_code == 404


async def test_a_database_server_that_died_of_a_full_disk_comes_back() -> None:
    async with on_a_small_disk(500) as (shop, disk):
        sha = shop.commit("1", extra=QUIET, seed__sql=SEED_SQL)
        async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
            await engine.serve(shop.preview_set(shop.spec(sha, needs=NEED), 1))
            await wait(engine, Health.READY, seconds=90)
            url = (await get(engine)).json()["environment"]["DATABASE_URL"]
            server = shop.server()
            disk.fill(0)
            with contextlib.suppress(psycopg.Error):
                await write_much(server.url("postgres"))

            async def died() -> bool:
                return not processes.alive(server.pid, server.started)

            await until(died, 60)
            assert "The disk is full" in await in_trouble(engine)
            disk.empty()
            await wait(engine, Health.READY, sha, seconds=90)
            async with await psycopg.AsyncConnection.connect(url) as connection:
                assert await names(connection) == ["one", "two"]


async def write_much(url: str) -> None:
    """Write until the log of PostgreSQL needs another file, for which there is no room."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            await connection.execute("SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000))")


async def test_too_many_open_files_end_no_preview(shop: Workshop) -> None:
    import resource

    first, second = shop.commit("1"), shop.commit("2")
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        loop = Loop(shop, engine)
        await loop.serve(shop.spec(first))
        await wait(engine, Health.READY)
        pids = shop.pids()
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        await loop.serve(shop.spec(second))
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
                processes.alive(pids[0], "any")
            with pytest.raises(GreenroomError, match=r"^Greenroom has too many files open: .*ulimit -n"):
                await engine.receipt(IDENTITY)
            await asyncio.sleep(0)
            while "too many files open" not in engine._previews[IDENTITY].shown.why:
                await asyncio.sleep(0.01)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        await wait(engine, Health.READY, second)
        assert (await get(engine)).json()["release"] == "2"
        assert len(shop.pids()) == 1
