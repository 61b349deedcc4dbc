"""What a step that was not seen tells of it: what people could see, and nothing of our signature."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.responses import PlainTextResponse

from greenroom.core.comment import Key, Signer
from greenroom.core.model import Block, Identity, Memory
from greenroom.demo.outside import Eyes, NotSeen
from greenroom.demo.shop import Shop
from greenroom.demo.stage import BOT, Stage
from greenroom.serving import running
from greenroom.simulator.registry import Images
from greenroom.simulator.world import World

SEEN = "### Preview waiting\nWaiting for image registry.example.com/shop/catalog:3cd9c8a…."


@pytest.fixture
async def eyes(tmp_path: Path) -> AsyncIterator[Eyes]:
    """A stage on which every preview answers 503."""
    async with running(PlainTextResponse("not yet", 503)) as url, httpx2.AsyncClient(trust_env=False) as client:
        ports = {"previews": int(url.rpartition(":")[2])}
        world = World()
        world.token("t", BOT)
        world.repository("shop/catalog")
        yield Eyes(Stage(tmp_path, world, Images(), Shop(tmp_path), client, (), ports))


@pytest.mark.parametrize("text", [SEEN, "### Preview waiting", ""], ids=["whole", "short", "only signed"])
async def test_a_failed_step_tells_of_the_comment_what_people_see(text: str, eyes: Eyes) -> None:
    world = eyes.stage.world
    number = world.open_pull_request("shop/catalog", head="idea", sha="a" * 40, by="ada").number
    identity = Identity(world.repository("shop/catalog").id, number)
    signed = Signer("github.example.com", "test", Key("k1", b"secret")).line(identity, 7, Block(1, Memory()))
    world.comment("shop/catalog", number, f"{signed}\n{text}".strip(), BOT)
    with pytest.raises(NotSeen) as said:
        await eyes.says("catalog", number, "### Preview ready")
    with pytest.raises(NotSeen) as answered:
        await eyes.answers("catalog", number)
    told = " ".join(text.split())
    assert str(said.value).endswith(f"does not say '### Preview ready': {told}")
    assert str(answered.value).endswith(f"answers 503; its comment: {told}")
