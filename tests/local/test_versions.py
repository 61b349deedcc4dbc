"""From one version of a preview to the next: what serves goes on serving until the next one has proved itself."""

from __future__ import annotations

from dataclasses import replace

from greenroom.core.model import Health
from greenroom.local.engine import LocalEngine
from local.workshop import Workshop, get, quiet, seen, wait

ONCE = {"extra": "import itertools; asked = itertools.count()", "status": "500 if next(asked) else 200"}
"""It answers its own probe, and nobody after that."""


async def test_a_version_that_fails_at_the_switch_leaves_the_old_one_serving(shop: Workshop) -> None:
    first, second, third = shop.commit("1"), shop.commit("2", **ONCE), shop.commit("3")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.rows(shop.row(first), 1))
        await wait(engine, Health.READY)
        before = shop.pids()
        await engine.serve(shop.rows(shop.row(second), 2))
        found = await wait(engine, Health.FAILED)
        assert found.why == "web does not answer through the proxy (500)."
        assert [s.sha for s in found.services] == [first]
        assert (await get(engine)).json()["release"] == "1"
        assert shop.pids() == before
        await engine.serve(shop.rows(shop.row(third), 3))
        await wait(engine, Health.READY, third)
        assert (await get(engine)).json()["release"] == "3"
        assert not set(before) & set(shop.pids())


async def test_a_first_version_that_fails_at_the_switch_serves_nobody(shop: Workshop) -> None:
    sha = shop.commit("1", **ONCE)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.rows(shop.row(sha), 1))
        found = await wait(engine, Health.FAILED)
        assert [s.sha for s in found.services] == [""]
        assert shop.pids() == []
        assert (await get(engine)).status_code == 503
        assert (await seen(engine)).health is Health.FAILED


async def test_what_was_not_the_commit_s_fault_is_tried_again_at_the_next_start(shop: Workshop) -> None:
    sha = shop.commit("1")
    async with LocalEngine(replace(shop.settings, checkouts={}), quiet) as engine:
        await engine.serve(shop.rows(shop.row(sha), 1))
        found = await wait(engine, Health.FAILED)
        assert found.why == (
            "There is no checkout of acme/shop here."
            " Add its path under `local.checkouts` in greenroom.yaml and start Greenroom again."
        )
        assert found.fix == "Nothing needs to be pushed; it is tried again when Greenroom starts again."
    async with LocalEngine(shop.settings, quiet) as engine:
        found = await wait(engine, Health.READY, sha)
        assert (found.why, found.fix) == ("", "")


async def test_what_a_push_mends_says_nothing_of_the_machine(shop: Workshop) -> None:
    sha = shop.commit("1", extra="raise SystemExit('boom')")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.rows(shop.row(sha), 1))
        assert (await wait(engine, Health.FAILED)).fix == ""
