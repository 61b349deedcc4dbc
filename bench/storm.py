"""Burst of webhooks at a running Greenroom: how often it lists pull requests, and how long the first webhook waits.

The stage is the demo's: simulator and registry in this process, `greenroom serve` as a process of its own. Greenroom
resyncs once an hour there, so every list is one that a webhook caused.
"""

from __future__ import annotations

import asyncio
import json
import time
from statistics import median

from greenroom.demo.play import SERVE
from greenroom.demo.stage import SECRETS, Stage, stage
from greenroom.simulator.webhooks import signature

SECONDS, A_SECOND, HINTS, QUIET = 6.0, 50, 11, 3.0


def _body(scene: Stage) -> bytes:
    repository = {"id": scene.world.repository("shop/payments").id, "full_name": "shop/payments"}
    return json.dumps({"action": "completed", "repository": repository}).encode()


async def _send(scene: Stage, body: bytes) -> None:
    headers = {"x-github-event": "check_run", "x-hub-signature-256": signature(_secret(), body)}
    url = f"http://127.0.0.1:{scene.ports['webhook']}/webhook"
    assert (await scene.client.post(url, content=body, headers=headers)).status_code == 202


def _secret() -> str:
    return SECRETS["GREENROOM_WEBHOOK_SECRET"]


def _lists(scene: Stage) -> int:
    assert scene.simulator
    return scene.simulator.requests["POST /graphql"]


async def first_hint(scene: Stage, body: bytes) -> float:
    """Return the seconds from a webhook after a quiet period to the list that it causes."""
    await asyncio.sleep(QUIET)
    before, begun = _lists(scene), time.perf_counter()
    await _send(scene, body)
    while _lists(scene) == before:
        await asyncio.sleep(0.002)
    return time.perf_counter() - begun


async def storm(scene: Stage, body: bytes) -> int:
    """Return the number of lists during a burst, until the last webhook was acted on."""
    before, begun, sending = _lists(scene), time.perf_counter(), []
    for number in range(int(SECONDS * A_SECOND)):
        sending.append(asyncio.create_task(_send(scene, body)))
        await asyncio.sleep(max(0.0, begun + (number + 1) / A_SECOND - time.perf_counter()))
    await asyncio.gather(*sending)
    await asyncio.sleep(QUIET)
    return _lists(scene) - before


async def measure() -> None:
    """Print the figures."""
    async with stage(None, SERVE, keep=False) as scene:
        await asyncio.to_thread(scene.stop)
        path = scene.platform / "greenroom.yaml"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"resync": "1h"}))
        await scene.start()
        body = _body(scene)
        waits = [await first_hint(scene, body) for _ in range(HINTS)]
        print(f"webhook after a quiet time to the list that it causes, n={HINTS}: p50 {median(waits) * 1000:.0f} ms")
        lists = await storm(scene, body)
        print(f"{A_SECOND} webhooks a second for {SECONDS:.0f} s, one repository: {lists} lists of pull requests")


def main() -> None:
    """Measure."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
