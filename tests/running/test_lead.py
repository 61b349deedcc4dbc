"""An instance that cannot begin its work ends; it does not go on and look at nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

from greenroom.controller.instance import Instance


async def nothing() -> None:
    return None


async def broken() -> None:
    raise RuntimeError("what the engine holds is odd")


async def test_instance_that_leads_and_cannot_begin_its_loops_stops() -> None:
    lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    instance = SimpleNamespace(_engine=SimpleNamespace(lead=nothing), _keep=broken, lost=lost, _leads=False)
    await Instance._lead(cast(Instance, instance))
    assert lost.result() == "This instance cannot run as the active instance: what the engine holds is odd."
