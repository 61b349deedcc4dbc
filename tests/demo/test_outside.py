"""What a step that was not seen tells of it: what people could see, and nothing of our signature."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.responses import PlainTextResponse

from greenroom.asgi_server import running
from greenroom.core.comment.signed_block import Key, Signer
from greenroom.core.model.github import CommentState, SignedState
from greenroom.core.model.spec import Identity
from greenroom.demo.outside import Eyes, NotSeen
from greenroom.demo.shop import Shop
from greenroom.demo.stage import BOT, Stage
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
async def test_a_failed_step_shows_the_comment_as_people_see_it(text: str, eyes: Eyes) -> None:
    world = eyes.stage.world
    number = world.open_pull_request("shop/catalog", head="idea", sha="a" * 40, by="ada").number
    identity = Identity(world.repository("shop/catalog").id, number)
    signed = Signer("github.example.com", "test", Key("k1", b"secret")).line(
        identity, 7, SignedState(1, CommentState())
    )
    world.comment("shop/catalog", number, f"{signed}\n{text}".strip(), BOT)
    with pytest.raises(NotSeen) as said:
        await eyes.says("catalog", number, "ready")
    with pytest.raises(NotSeen) as answered:
        await eyes.answers("catalog", number)
    told = " ".join(text.split())
    assert str(said.value).endswith(f"does not say '### Preview ready': {told}")
    assert str(answered.value).endswith(f"no comment leads to catalog of catalog#1: {told}")


def commented(eyes: Eyes, *lines: str) -> int:
    world = eyes.stage.world
    number = world.open_pull_request("shop/catalog", head="idea", sha="a" * 40, by="ada").number
    world.comment("shop/catalog", number, "\n".join(lines), BOT)
    return number


def table(link: str, version: str = "3cd9c8a") -> str:
    return f"| service | open | version |\n| --- | --- | --- |\n| catalog | {link} | {version} |"


async def test_a_page_is_opened_where_the_comment_leads(eyes: Eyes) -> None:
    link = f"http://elsewhere.localhost:{eyes.stage.ports['previews']}"
    number = commented(eyes, "### Preview ready\n\nAll services are up.\n", table(link))
    with pytest.raises(NotSeen, match=f"{link}/ returns 503"):
        await eyes.answers("catalog", number)


async def test_an_address_that_leads_away_is_not_opened(eyes: Eyes) -> None:
    number = commented(
        eyes, "### Preview ready\n\nAll services are up.\n", table("http://catalog-pr-1.preview.invalid")
    )
    with pytest.raises(NotSeen, match=r"preview\.invalid leads away from this machine"):
        await eyes.answers("catalog", number)


HERE = "http://catalog-pr-1.preview.localhost:80"


@pytest.mark.parametrize(
    ("sentence", "row"),
    [
        ("Nothing answers.", table(HERE)),
        ("All services are up. Or nothing.", table(HERE)),
        ("All services are up.", table(HERE, "3cd9c8a, not ready")),
        ("All services are up.", table("-")),
        ("All services are up.", ""),
    ],
    ids=["the opposite", "more", "not ready", "no address", "no service"],
)
async def test_a_heading_alone_is_not_believed(sentence: str, row: str, eyes: Eyes) -> None:
    number = commented(eyes, f"### Preview ready\n\n{sentence}\n", row)
    with pytest.raises(NotSeen):
        await eyes.says("catalog", number, "ready")


async def test_heading_sentence_and_services_together_are_believed(eyes: Eyes) -> None:
    number = commented(eyes, "### Preview ready\n\nAll services are up.\n", table(HERE))
    assert "3cd9c8a" in await eyes.says("catalog", number, "ready")
