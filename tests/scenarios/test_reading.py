"""What GitHub cannot show, or shows in another shape: one pull request waits, and everything else goes on."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from greenroom.core.model.github import Requested
from greenroom.core.model.spec import LinkOverride
from stories import SLUG, Story


class Spoiling(httpx2.AsyncHTTPTransport):
    """A proxy that changes one pull request in GitHub's lists."""

    def __init__(self, number: int, **changes: object) -> None:
        super().__init__()
        self.number, self.changes = number, changes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await super().handle_async_request(request)
        if not self.changes or not request.url.path.endswith("/graphql"):
            return answer
        await answer.aread()
        body: dict[str, Any] = json.loads(answer.content)
        for node in ((body["data"].get("r0") or {}).get("pullRequests") or {"nodes": []})["nodes"]:
            if node["number"] == self.number:
                node.update(self.changes)
        headers = {k: v for k, v in answer.headers.items() if k != "content-length"}
        return httpx2.Response(answer.status_code, headers=headers, json=body)


async def test_a_pull_request_that_cannot_be_read_keeps_its_preview_and_stops_no_other(story: Story) -> None:
    spoiled, other = story.labeled("one"), story.labeled("two")
    await story.passes(3)
    before = story.comment(spoiled)
    story.client = httpx2.AsyncClient(transport=(proxy := Spoiling(spoiled, labels=[], title=5)), timeout=5)
    story.restart()
    story.world.close(SLUG, other, "ada")
    late = story.labeled("three")
    await story.passes(6)
    assert story.living == {spoiled, late}
    assert f"GitHub's response about {SLUG}#{spoiled} does not have the documented shape" in str(
        story.status(spoiled).reason
    )
    assert story.comment(spoiled) == before
    assert story.errors == []
    proxy.changes = {}
    story.world.close(SLUG, spoiled, "ada")
    await story.passes(6)
    assert story.living == {late}
    await story.client.aclose()


async def test_a_pull_request_that_cannot_be_read_loses_no_choice_that_a_person_made(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.client = httpx2.AsyncClient(transport=(proxy := Spoiling(number, author=[])), timeout=5)
    story.restart()
    controller = story.controller()
    [identity] = story.engine.previews
    choice = LinkOverride("payments", "staging", "ada", 0)
    controller.choices.add(identity, choice)
    await controller.reconcile(story.platform.repositories[0])
    assert controller.choices.waits(identity)
    proxy.changes = {}
    facts = await controller.facts(story.platform.repositories[0])
    assert facts.asked == {number: Requested((choice,))}
    await story.client.aclose()


async def test_a_heavy_list_is_read_in_the_end_and_removes_nothing_meanwhile(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process before each pass begins with full pages each time")
    kept, closed = story.labeled("one"), story.labeled("two")
    await story.passes(3)
    story.world.faults.on("bad-gateway", path=SLUG, nodes=10 * 453)
    story.world.close(SLUG, closed, "ada")
    await story.one_pass()
    assert story.living == {kept, closed}
    await story.passes(8)
    assert story.living == {kept}
    assert story.world.faults.fired["bad-gateway"] == 3  # 50, 25 and 12
