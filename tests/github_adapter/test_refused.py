"""What GitHub refuses for one pull request is told from what it refuses to the token."""

from __future__ import annotations

import httpx2
import pytest

from github_adapter.test_client import adapter
from greenroom.errors import Doubt, FixCredentials, Refused
from greenroom.github.transport import NotFound, check

SHA = "a" * 40


async def test_locked_conversation_is_refused_and_the_token_is_not_blamed() -> None:
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="one", sha=SHA, by="ada")
        world.lock("acme/shop", 1, "ada")
        with pytest.raises(
            Refused, match=r"The conversation is locked .* Unlock the conversation, or give the account"
        ):
            await github.write_comment("acme/shop", 1, None, "hello", "<!--")
        world.unlock("acme/shop", 1, "ada")
        made = await github.write_comment("acme/shop", 1, None, "hello", "<!--")
        world.lock("acme/shop", 1, "ada")
        with pytest.raises(Refused):
            await github.write_comment("acme/shop", 1, made, "edited", "<!--")
        world.unlock("acme/shop", 1, "ada")
        world.faults.on("forbidden", path="/comments")
        with pytest.raises(FixCredentials):
            await github.write_comment("acme/shop", 1, made, "edited", "<!--")


async def test_comment_that_is_too_long_is_refused_with_githubs_reason() -> None:
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="one", sha=SHA, by="ada")
        with pytest.raises(Refused, match=r"\(422\): Body is too long \(maximum is 65536 characters\)"):
            await github.write_comment("acme/shop", 1, None, "x" * 70000, "<!--")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "This issue was deleted"}', "This issue was deleted"),
        (b'{"message": "Validation Failed", "errors": ["odd"]}', "Validation Failed"),
        (b'["odd"]', "no reason given"),
        (b"<html>", "no reason given"),
    ],
)
def test_write_to_what_is_gone_is_refused_whatever_the_answer_looks_like(body: bytes, words: str) -> None:
    answer = httpx2.Response(410, content=body, headers={"content-type": "application/json"})
    with pytest.raises(Refused, match=words):
        check("POST", "https://api.github.com/repos/acme/shop/issues/1/comments", answer)


async def test_hidden_pull_request_is_distinguished_from_a_hidden_repository_and_from_another_one() -> None:
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="one", sha=SHA, by="ada")
        repository = world.repository("acme/shop")
        assert not await github.hides("acme/shop", repository.id, 1)
        repository.pull_requests[1].hidden = True
        assert await github.hides("acme/shop", repository.id, 1)
        assert not await github.hides("acme/shop", repository.id + 1, 1), "another repository answers under this name"
        world.faults.on("server-error", path="/pulls/1")
        with pytest.raises(Doubt):
            await github.hides("acme/shop", repository.id, 1)
        world.faults.off()
        repository.hidden = True
        with pytest.raises(NotFound):
            await github.hides("acme/shop", repository.id, 1)
