"""The judge itself: what GitHub's description does not have, or has otherwise, is a violation, whatever was answered."""

from __future__ import annotations

import httpx2
import pytest

from greenroom.serving import running
from greenroom.simulator.app import Simulator
from greenroom.simulator.world import World
from judge import COUNTS, Judge

AUTH = {"authorization": "Bearer t0ken", "accept": "application/vnd.github+json"}


@pytest.mark.parametrize(
    ("method", "path", "sent", "words"),
    [
        ("GET", "/nonsense", None, "not an operation"),
        ("DELETE", "/repos/acme/shop", None, "not an operation"),
        ("POST", "/repos/acme/shop/issues/1/comments", {"text": "no body"}, "body"),
    ],
)
async def test_what_github_does_not_have_is_a_violation(method: str, path: str, sent: object, words: str) -> None:
    world = World()
    world.token("t0ken", "greenroom[bot]")
    world.repository("acme/shop")
    judge = Judge(Simulator(world))
    before = COUNTS.copy()
    async with running(judge) as url, httpx2.AsyncClient() as client:
        answer = await client.request(method, f"{url}/api/v3{path}", json=sent, headers=AUTH)
    assert answer.status_code >= 400
    assert words in "\n".join(judge.violations)
    assert before == COUNTS, "and is no exercise of an operation"
