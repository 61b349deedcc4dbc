"""An address belongs to one preview: of two that want it, and while its name changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from builders import changed
from greenroom.core.model.engine import Health, PreviewSet
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.local.engine import LocalEngine
from greenroom.local.preview import Preview
from local.workshop import IDENTITY, Workshop, get, seen, until, wait

NEWER = Identity(8, 1)


def renamed(spec: PreviewSpec, name: str) -> PreviewSpec:
    return changed(spec, names=replace(spec.names, hosts={"web": f"web-pr-1.{name}.localhost"}))


def of_newer(shop: Workshop, sha: str) -> PreviewSet:
    """The same pull request of a repository of the same name that was made again: another id, one host."""
    return PreviewSet(8, "shop", 1, {1: changed(shop.spec(sha), repository_id=8)})


def newer(engine: LocalEngine) -> Preview:
    return engine._previews[NEWER]


async def test_a_second_preview_of_one_host_waits_and_takes_no_route(shop: Workshop) -> None:
    first, second = shop.commit("1"), shop.commit("2")
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(first), 1))
        uid = (await wait(engine, Health.READY)).uid
        await engine.serve(of_newer(shop, second))

        async def reported() -> bool:
            return "another preview" in (await engine.observe()).previews[NEWER].why

        await until(reported)
        found = (await engine.observe()).previews[NEWER]
        assert found.health is Health.FAILED
        assert "web-pr-1.preview.localhost" in found.why
        assert (await get(engine)).json()["release"] == "1"
        await engine.serve(shop.preview_set(None, 2))
        await engine.remove(IDENTITY, uid)

        async def answers() -> bool:
            return (await get(engine)).status_code == 200

        await until(answers)
        assert (await get(engine)).json()["release"] == "2"
        assert (await engine.receipt(IDENTITY)).clean
        await engine.serve(PreviewSet(8, "shop", 2))
        await engine.remove(NEWER, newer(engine).kept.uid)
        assert (await get(engine)).status_code == 404


async def test_removing_one_of_two_previews_of_a_host_leaves_the_other_its_route(shop: Workshop) -> None:
    first, second = shop.commit("1"), shop.commit("2")
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(first), 1))
        await wait(engine, Health.READY)
        await engine.serve(of_newer(shop, second))
        await engine.serve(PreviewSet(8, "shop", 2))
        await engine.remove(NEWER, newer(engine).kept.uid)
        assert (await get(engine)).json()["release"] == "1"
        assert (await seen(engine)).health is Health.READY


async def test_after_a_restart_the_address_stays_with_the_preview_that_serves(shop: Workshop) -> None:
    first, second = shop.commit("1"), shop.commit("2")
    other = replace(of_newer(shop, second), repository_id=6)
    other = replace(other, specs={1: changed(other.specs[1], repository_id=6)})
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(first), 1))
        await wait(engine, Health.READY)
        await engine.serve(other)
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        assert (await get(engine)).json()["release"] == "1"
        await engine.serve(PreviewSet(6, "shop", 2))
        await engine.remove(Identity(6, 1), engine._previews[Identity(6, 1)].kept.uid)


async def test_after_a_rename_the_old_address_answers_404(shop: Workshop) -> None:
    sha = shop.commit("1")
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        await wait(engine, Health.READY)
        await engine.serve(shop.preview_set(renamed(shop.spec(sha), "store"), 2))
        assert (await get(engine)).status_code == 404
        assert (await get(engine, "web-pr-1.store.localhost")).status_code == 200
        await engine.serve(shop.preview_set(None, 3))
        await engine.remove(IDENTITY, (await seen(engine)).uid)
        assert (await get(engine)).status_code == 404
        assert (await get(engine, "web-pr-1.store.localhost")).status_code == 404


async def test_a_rename_while_a_version_starts_does_not_fail_it(shop: Workshop) -> None:
    sha = shop.commit("1", extra="while not os.path.exists(os.environ['HOME'] + '/go'): time.sleep(0.01)")
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))

        async def starts() -> bool:
            starting = older(engine).kept.starting
            return starting is not None and bool(starting.processes)

        await until(starts)
        await engine.serve(shop.preview_set(renamed(shop.spec(sha), "store"), 2))
        home = shop.run_as.home / "previews" / "7-1" / "home"
        (home / "go").touch()
        found = await wait(engine, Health.READY)
        assert found.why == ""
        assert (await get(engine, "web-pr-1.store.localhost")).status_code == 200
        assert (await get(engine)).status_code == 404


def older(engine: LocalEngine) -> Preview:
    return engine._previews[IDENTITY]


async def test_the_receipt_looks_at_routes(shop: Workshop) -> None:
    sha = shop.commit("1")
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        uid = (await wait(engine, Health.READY)).uid
        await engine.serve(shop.preview_set(None, 2))
        await engine.remove(IDENTITY, uid)
        receipt = await engine.receipt(IDENTITY)
        assert (receipt.clean, "routes" in receipt.checked) == (True, True)
        engine._ground.proxy.routes.claim(IDENTITY, {"web-pr-1.preview.localhost": 1})
        assert (await engine.receipt(IDENTITY)).left == ("route http://web-pr-1.preview.localhost",)


async def test_a_label_that_flaps_while_a_preview_is_removed_leaves_no_route(shop: Workshop) -> None:
    sha = shop.commit("1", extra="import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    async with LocalEngine(shop.settings, lambda repository_id: None) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        uid = (await wait(engine, Health.READY)).uid
        await engine.serve(shop.preview_set(None, 2))
        removing = asyncio.create_task(engine.remove(IDENTITY, uid))
        await wait(engine, Health.REMOVING)
        await engine.serve(shop.preview_set(shop.spec(sha), 3))
        await engine.serve(shop.preview_set(None, 4))
        await removing
        assert (await get(engine)).status_code == 404
        assert (await engine.receipt(IDENTITY)).left == ()
