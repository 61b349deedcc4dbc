"""PostgreSQL dies alone, or our note of it is damaged: previews come back, with their data."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from greenroom.core.model.engine import Health
from greenroom.local import account, postgres_note, processes
from greenroom.local.engine import LocalEngine
from greenroom.local.postgres_server import Server
from greenroom.local.postmaster import Postmaster
from local.workshop import IDENTITY, NEED, SEED, Workshop, get, names, quiet, seen, taken, until, wait


async def url(engine: LocalEngine) -> str:
    return str((await get(engine)).json()["environment"]["DATABASE_URL"])


async def things(address: str) -> list[str]:
    async with await psycopg.AsyncConnection.connect(address) as connection:
        return await names(connection)


async def end_server(state: Path) -> None:
    """PostgreSQL ends, and nothing else."""
    server = Postmaster(state, account.account(state)).found()
    assert server is not None
    os.kill(server.pid, signal.SIGINT)

    async def gone() -> bool:
        return not processes.alive(server.pid, server.started)

    await until(gone)


async def with_a_change(shop: Workshop, engine: LocalEngine) -> str:
    """A preview with a row that is in no seed; its database's address."""
    await engine.serve(shop.preview_set(shop.spec(shop.commit("1", seed__sql=SEED), needs=NEED), 1))
    await wait(engine, Health.READY)
    address = await url(engine)
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
        await connection.execute("INSERT INTO things VALUES ('three')")
    return address


async def test_a_server_that_dies_alone_comes_back_where_services_know_it(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, quiet) as engine:
        address, before = await with_a_change(shop, engine), shop.pids()
        await end_server(shop.settings.state)

        async def back() -> bool:
            try:
                return await things(address) == ["one", "three", "two"]
            except psycopg.OperationalError:
                return False

        await until(back)
        assert shop.pids() == before, "no service needed to start again"
        assert (await seen(engine)).health is Health.READY


async def test_a_port_that_was_taken_meanwhile_restarts_what_used_it(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, quiet) as engine:
        address, before = await with_a_change(shop, engine), shop.pids()
    await end_server(shop.settings.state)
    with taken(urlsplit(address).port or 0):
        async with LocalEngine(shop.settings, quiet) as engine:

            async def elsewhere() -> bool:
                answer = await get(engine)
                return answer.status_code == 200 and answer.json()["environment"]["DATABASE_URL"] != address

            await until(elsewhere)
            assert (await wait(engine, Health.READY)).why == ""
            assert await things(await url(engine)) == ["one", "three", "two"]
            assert not set(before) & set(shop.pids())


DAMAGE = {
    "emptied": "",
    "cut off": '{"password": "',
    "no object": "[]",
    "of another kind": '{"password": 1, "port": "x"}',
    "another password": '{"password": "not-the-noted-one", "port": 0}',
}


@pytest.mark.parametrize("runs", [False, True], ids=["died", "still runs"])
@pytest.mark.parametrize("note", DAMAGE.values(), ids=DAMAGE)
async def test_a_note_that_is_damaged_costs_no_data(shop: Workshop, note: str, runs: bool) -> None:
    async with LocalEngine(shop.settings, quiet) as engine:
        await with_a_change(shop, engine)
    if not runs:
        await end_server(shop.settings.state)
    (shop.settings.state / "postgres.json").write_text(note)
    async with LocalEngine(shop.settings, quiet) as engine:

        async def back() -> bool:
            try:
                return await things(await url(engine)) == ["one", "three", "two"]
            except (psycopg.OperationalError, ValueError, KeyError):
                return False

        await until(back)
        await wait(engine, Health.READY)

        async def noted() -> bool:  # services may be ready before the engine finds the server again
            found = shop.postmaster().found()
            return found is not None and postgres_note.read(shop.settings.state / "postgres.json")[1] == found.port

        await until(noted)


@pytest.fixture
def server(shop: Workshop) -> Postmaster:
    """One whose server never ran."""
    shop.settings.state.mkdir()
    return Postmaster(shop.settings.state, account.account(shop.settings.state))


async def test_all_wait_for_one_start_and_none_who_gives_up_stops_it(server: Postmaster) -> None:
    impatient, patient = asyncio.create_task(server.server()), asyncio.create_task(server.server())
    await asyncio.sleep(0)
    impatient.cancel()
    found = await patient
    assert impatient.cancelled()
    assert found == server.found() == await server.server()


async def test_a_start_that_is_left_leaves_nothing_half_made(shop: Workshop, server: Postmaster) -> None:
    home = account.account(shop.settings.state).home
    starting = asyncio.create_task(server.server())

    async def begun() -> bool:
        return bool(list(home.glob("postgres.draft-*/*")))

    await until(begun)
    await server.leave()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert list(home.glob("postgres*")) == []
    assert (await server.server()).port == json.loads((shop.settings.state / "postgres.json").read_text())["port"]


async def test_stopped_while_it_starts_it_does_not_run_on(server: Postmaster) -> None:
    starting = asyncio.create_task(server.server())

    async def begun() -> bool:
        return server._server is not None

    await until(begun)
    known = server._server
    await server.stop()
    await asyncio.gather(starting, return_exceptions=True)
    assert known is not None
    assert not processes.alive(known.pid, known.started)


async def test_server_stops_with_greenroom_once_the_last_preview_is_removed(shop: Workshop) -> None:
    def found() -> Server | None:
        return Postmaster(shop.settings.state, account.account(shop.settings.state)).found()

    async with LocalEngine(shop.settings, quiet) as engine:
        await with_a_change(shop, engine)
    assert found(), "a preview that still runs keeps its database"
    async with LocalEngine(replace(shop.settings, proxy_port=0), quiet) as engine:
        uid = (await seen(engine)).uid
        await engine.serve(shop.preview_set(None, 2))
        await engine.remove(IDENTITY, uid)
        assert (await engine.receipt(IDENTITY)).clean
        server = found()
        assert server
    assert not processes.alive(server.pid, server.started)
    async with LocalEngine(replace(shop.settings, proxy_port=0), quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("2"), needs=NEED), 3))
        await wait(engine, Health.READY)


async def test_preview_that_is_not_removed_yet_keeps_the_server_running(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, quiet) as engine:
        await with_a_change(shop, engine)
        await engine.serve(shop.preview_set(None, 2))
    assert Postmaster(shop.settings.state, account.account(shop.settings.state)).found()


async def test_a_copy_of_a_state_folder_leaves_the_server_of_the_original_alone(shop: Workshop) -> None:
    """The `postmaster.pid` in a copy of the data folder names the server of the original."""
    state = shop.settings.state
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1", seed__sql=SEED), needs=NEED), 1))
        await wait(engine, Health.READY)
        original = account.account(state)
        server = Postmaster(state, original).found()
        assert server is not None
        other = state.with_name("copy")
        other.mkdir()
        home = account.account(other).home
        try:
            (home / "postgres").mkdir()
            for name in ("postmaster.pid", "PG_VERSION"):
                shutil.copy2(original.home / "postgres" / name, home / "postgres" / name)
            assert Postmaster(other, account.account(other)).found() is None
            async with LocalEngine(replace(shop.settings, state=other, proxy_port=0), quiet):
                pass  # it stops a server that no preview needs
            assert processes.alive(server.pid, server.started)
        finally:
            shutil.rmtree(home, ignore_errors=True)
