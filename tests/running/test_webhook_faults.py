"""Webhooks that are lost, duplicated, late or out of order reach a real `greenroom serve`: only the delay differs.

But for the lost one, Greenroom looks at everything once an hour here: what happens, happens because of a webhook.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from greenroom.demo.outside import Eyes, demand, until
from greenroom.demo.play import SERVE
from greenroom.demo.stage import Stage, stage

SLUG = "shop/payments"


@asynccontextmanager
async def playing(resync: str) -> AsyncIterator[tuple[Stage, Eyes]]:
    """Start Greenroom, and again with this resync once its configuration is there."""
    async with stage(None, SERVE, keep=False) as found:
        await asyncio.to_thread(found.stop)
        path = found.platform / "greenroom.yaml"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"resync": resync}))
        await found.start()

        async def everything_read() -> None:
            answer = await found.client.get(f"http://127.0.0.1:{found.ports['metrics']}/readyz")
            demand(answer.status_code == 200, answer.text)

        await until(everything_read)
        yield found, Eyes(found)


def asked_for(scene: Stage) -> int:
    """Open a pull request of payments that CI pushed an image for, with the label on."""
    sha = scene.shop.commit("payments", "idea", "2")
    number = scene.world.open_pull_request(SLUG, head="idea", sha=sha, by="ada").number
    scene.images.push(SLUG, sha)
    scene.world.label(SLUG, number, "preview", "ada")
    return number


def closed(scene: Stage, number: int) -> None:
    """Close it in a later second: of a label and a closing in one second nobody can say which came last."""
    scene.world.advance(timedelta(seconds=1))
    scene.world.close(SLUG, number, "ada")


async def arrived(scene: Stage, action: str, times: int) -> None:
    """Greenroom accepted so many webhooks of this action."""
    assert scene.hooks
    accepted = [json.loads(d.body)["action"] for d, status in scene.hooks.log if status == 202]
    demand(accepted.count(action) == times, f"{accepted} of {scene.hooks.log}")


async def test_lost_webhooks_are_caught_up_by_the_next_full_read() -> None:
    async with playing("2s") as (scene, eyes):
        scene.world.faults.on("webhook-lost")
        number = asked_for(scene)
        await until(lambda: eyes.says("payments", number, "ready"), 40)
        closed(scene, number)
        await until(lambda: eyes.gone("payments", number), 40)
        await until(lambda: eyes.says("payments", number, "removed"))
        assert scene.hooks
        assert scene.hooks.log == [], "not one webhook was sent"
        assert scene.world.faults.fired["webhook-lost"] >= 3


async def test_a_webhook_that_comes_twice_does_nothing_twice() -> None:
    async with playing("1h") as (scene, eyes):
        scene.world.faults.on("webhook-duplicated")
        number = asked_for(scene)
        await until(lambda: arrived(scene, "labeled", 2))
        await until(lambda: eyes.says("payments", number, "ready"), 40)
        running = eyes.processes("payments", number)
        assert len(running) == 1
        scene.world.comment(SLUG, number, "Nice.", "grace")
        await until(lambda: arrived(scene, "created", 4))  # this comment, and our own
        await eyes.answers("payments", number, "/methods")
        assert eyes.processes("payments", number) == running
        assert len(eyes.comments("payments", number)) == 1


async def test_a_late_webhook_of_an_older_state_removes_nothing() -> None:
    async with playing("1h") as (scene, eyes):
        number = asked_for(scene)
        await until(lambda: eyes.says("payments", number, "ready"), 40)
        running = eyes.processes("payments", number)
        scene.world.faults.on("webhook-late")
        scene.world.unlabel(SLUG, number, "preview", "ada")
        scene.world.faults.off("webhook-late")
        scene.world.label(SLUG, number, "preview", "ada")
        await until(lambda: arrived(scene, "labeled", 2))
        assert scene.hooks
        scene.hooks.send_late()
        await until(lambda: arrived(scene, "unlabeled", 1))
        await _looked_again(scene, eyes, number)
        assert eyes.processes("payments", number) == running
        assert scene.world.faults.fired["webhook-late"] == 1


async def test_webhooks_out_of_order_leave_the_state_that_github_has() -> None:
    async with playing("1h") as (scene, eyes):
        number = asked_for(scene)
        await until(lambda: eyes.says("payments", number, "ready"), 40)
        running = eyes.processes("payments", number)
        scene.world.faults.on("webhook-reordered", times=1)
        scene.world.unlabel(SLUG, number, "preview", "ada")
        scene.world.label(SLUG, number, "preview", "ada")
        await until(lambda: arrived(scene, "unlabeled", 1))
        assert scene.hooks
        sent = [json.loads(d.body)["action"] for d, _ in scene.hooks.log]
        assert sent.index("unlabeled") > len(sent) - sent[::-1].index("labeled") - 1, f"in order: {sent}"
        await _looked_again(scene, eyes, number)
        assert eyes.processes("payments", number) == running
        assert scene.world.faults.fired["webhook-reordered"] == 1


async def _looked_again(scene: Stage, eyes: Eyes, number: int) -> None:
    """Greenroom has read the repository once more, after every webhook so far."""
    other = scene.world.open_pull_request(SLUG, head="another", sha="b" * 40, by="ada").number
    scene.world.label(SLUG, other, "preview", "ada")
    await until(lambda: eyes.says("payments", other, "waiting"))
    await eyes.says("payments", number, "ready")
    await eyes.answers("payments", number, "/methods")
