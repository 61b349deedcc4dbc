"""Each kind of need gets a local server of its own kind or none, and never the address of another server."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from greenroom.core.model.catalog import Need
from greenroom.core.model.engine import Health
from greenroom.core.model.kinds import KINDS, LocalServer
from greenroom.local.engine import LocalEngine
from local.test_caches import SERVER
from local.workshop import Workshop, get, quiet, wait


def need(kind: str) -> Need:
    return Need("it", kind, KINDS[kind].default, (("url", "IT_URL"),))


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.local])
async def test_offered_kind_has_the_address_of_its_own_server(kind: str, shop: Workshop) -> None:
    if KINDS[kind].local is LocalServer.REDIS and not SERVER:
        pytest.skip("needs redis-server or valkey-server: apt-get install redis-server")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1"), needs=(need(kind),)), 1))
        await wait(engine, Health.READY)
        address = urlsplit((await get(engine)).json()["environment"]["IT_URL"])
    assert address.scheme == KINDS[kind].chart.scheme


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if not kind.local])
async def test_a_kind_without_a_local_server_is_never_ready(kind: str, shop: Workshop) -> None:
    """`greenroom check` rejects it, but a spec from an earlier configuration may still name it."""
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1"), needs=(need(kind),)), 1))
        found = await wait(engine, Health.FAILED)
        assert (
            found.why
            == f"The local engine does not offer {kind}, which web needs. It offers postgresql, redis, valkey."
        )
        assert shop.pids() == []
