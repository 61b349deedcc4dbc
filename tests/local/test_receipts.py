"""What is said of a removed preview is true: what cannot be looked at is not gone."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from builders import changed
from greenroom.core.model.engine import Health
from greenroom.errors import Failed
from greenroom.local import processes
from greenroom.local.engine import LocalEngine
from greenroom.local.names import database_prefix
from local.workshop import IDENTITY, NEED, SEED, Workshop, quiet, seen, until, wait


async def died(shop: Workshop) -> None:
    """PostgreSQL ends, as in a reboot."""
    server = shop.server()
    os.kill(server.pid, signal.SIGKILL)

    async def gone() -> bool:
        return not processes.alive(server.pid, server.started)

    await until(gone)


async def withdrawn(shop: Workshop, engine: LocalEngine) -> str:
    """A preview with a database that sleeps, so that nothing needs the server, and is to be removed; its uid."""
    spec = shop.spec(shop.commit("1", seed__sql=SEED), needs=NEED)
    await engine.serve(shop.preview_set(spec, 1))
    uid = (await wait(engine, Health.READY)).uid
    await engine.serve(shop.preview_set(changed(spec, asleep=True), 2))

    async def asleep() -> bool:
        return not any(s.sha for s in (await seen(engine)).services)

    await until(asleep)
    await engine.serve(shop.preview_set(None, 3))
    return uid


async def test_databases_are_removed_though_the_server_had_died(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, quiet) as engine:
        uid = await withdrawn(shop, engine)
        await died(shop)
        await engine.remove(IDENTITY, uid)
        assert (await engine.receipt(IDENTITY)).clean
        assert await engine._ground.postgres.named(database_prefix(IDENTITY)) == []


async def test_databases_are_looked_for_though_the_server_had_died(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, quiet) as engine:
        uid = await withdrawn(shop, engine)
        await engine.remove(IDENTITY, uid)
        left = f"{database_prefix(IDENTITY)}left"
        await engine._ground.postgres.clone(left, "template0", "a" * 12)
        await died(shop)
        receipt = await engine.receipt(IDENTITY)
        assert "databases" in receipt.checked
        assert receipt.left == (f"database {left}",)
        await engine._ground.postgres.drop(left)
        assert (await engine.receipt(IDENTITY)).clean


async def test_a_server_that_does_not_start_is_no_receipt(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, quiet) as engine:
        uid = await withdrawn(shop, engine)
        await died(shop)
        control = shop.run_as.home / "postgres" / "global" / "pg_control"
        control.rename(control.with_suffix(".away"))
        receipt = await engine.receipt(IDENTITY)
        assert "databases" not in receipt.checked
        assert "its databases, which could not be checked (PostgreSQL did not start)" in receipt.left
        with pytest.raises(Failed, match="PostgreSQL did not start"):
            await engine.remove(IDENTITY, uid)
        assert "Its removal failed: PostgreSQL did not start." in (await seen(engine)).why
        control.with_suffix(".away").rename(control)
        await engine.remove(IDENTITY, uid)
        assert (await engine.receipt(IDENTITY)).clean


async def test_a_removal_that_leaves_something_is_tried_again(shop: Workshop, tmp_path: Path) -> None:
    """The folder of its logs is a link, for example, which is not followed."""
    async with LocalEngine(shop.settings, quiet) as engine:
        uid = await withdrawn(shop, engine)
        logs, elsewhere = engine._ground.state.logs(IDENTITY), tmp_path / "elsewhere"
        logs.rename(elsewhere)
        logs.symlink_to(elsewhere)
        left = f"These resources still exist: folder {logs.name}."
        with pytest.raises(Failed, match=re.escape(left)):
            await engine.remove(IDENTITY, uid)
        assert (await seen(engine)).health is Health.FAILED
        assert (await seen(engine)).why == f"Its removal failed: {left}"
        logs.unlink()
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.remove(IDENTITY, uid)
        assert (await engine.receipt(IDENTITY)).clean
