"""Each fault on demand really happens, and is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from greenroom.asgi_server import running
from greenroom.simulator.app import Simulator
from greenroom.simulator.webhooks import Webhooks, signature
from greenroom.simulator.world import World

QUERY = """{ repository(owner: "acme", name: "shop") { pullRequests(first: 5) { totalCount nodes { number } } } }"""


@asynccontextmanager
async def github() -> AsyncIterator[tuple[World, httpx2.AsyncClient]]:
    world = World()
    world.token("token", "ada")
    for branch in ("one", "two"):
        world.open_pull_request("acme/shop", head=branch, sha="a" * 40, by="ada")
    async with running(Simulator(world)) as url, httpx2.AsyncClient(base_url=url, timeout=5) as client:
        client.headers["authorization"] = "token token"
        yield world, client


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("server-error", 500, "Server Error"),
        ("secondary-limit", 403, "secondary rate limit"),
        ("unauthorized", 401, "Bad credentials"),
        ("forbidden", 403, "not accessible"),
        ("not-found", 404, "Not Found"),
        ("html", 200, "<!doctype html>"),
    ],
)
async def test_fault_returns_its_status_and_body(fault: str, status: int, words: str) -> None:
    async with github() as (world, client):
        world.faults.on(fault, times=1, path="/pulls")
        first = await client.get("/repos/acme/shop/pulls")
        assert (first.status_code, words in first.text) == (status, True)
        assert (await client.get("/repos/acme/shop/pulls")).status_code == 200
        assert world.faults.fired == {fault: 1}


@pytest.mark.parametrize(("fault", "left"), [("truncated", 1), ("empty-list", 0)])
async def test_fault_shortens_lists(fault: str, left: int) -> None:
    async with github() as (world, client):
        world.faults.on(fault)
        assert len((await client.get("/repos/acme/shop/pulls")).json()) == left
        found = (await client.post("/graphql", json={"query": QUERY})).json()["data"]["repository"]["pullRequests"]
        assert len(found["nodes"]) == left
        assert (found["totalCount"] == 2) == (fault == "truncated")
        assert world.faults.fired[fault] == 2


async def test_a_good_answer_with_a_wrong_date() -> None:
    async with github() as (world, client):
        world.faults.on("wrong-date", times=1)
        first, second = [(await client.get("/user")).headers["date"] for _ in range(2)]
        assert parsedate_to_datetime(first) - parsedate_to_datetime(second) == timedelta(days=1)


async def test_partial_graphql_has_errors_and_nulls() -> None:
    async with github() as (world, client):
        world.faults.on("graphql-errors")
        found = (await client.post("/graphql", json={"query": QUERY})).json()
        assert found["errors"]
        assert found["data"]["repository"]["pullRequests"]["nodes"] == [None, None]


async def test_stale_reads_come_from_before() -> None:
    async with github() as (world, client):
        world.faults.on("stale")
        assert (await client.get("/repos/acme/shop/pulls/1")).json()["state"] == "open"
        world.close("acme/shop", 1, "ada")
        assert (await client.get("/repos/acme/shop/pulls/1")).json()["state"] == "open"
        world.faults.off("stale")
        assert (await client.get("/repos/acme/shop/pulls/1")).json()["state"] == "closed"
        assert world.faults.fired["stale"] == 2


async def test_lagging_replica_shows_lists_and_reads_by_number_as_they_were() -> None:
    world = World()
    world.token("token", "ada")
    world.open_pull_request("acme/shop", head="one", sha="a" * 40, by="ada")
    simulator = Simulator(world)
    async with running(simulator) as url, httpx2.AsyncClient(base_url=url, timeout=5) as client:
        client.headers["authorization"] = "token token"

        async def shown() -> tuple[int, str]:
            listed = (await client.get("/repos/acme/shop/pulls")).json()
            return len(listed), (await client.get("/repos/acme/shop/pulls/1")).json()["state"]

        simulator.lag(timedelta(seconds=3))
        for seconds in (10, 2):
            world.advance(timedelta(seconds=seconds))
            assert await shown() == (1, "open")
            if seconds == 10:
                world.close("acme/shop", 1, "ada")
        world.advance(timedelta(seconds=1))
        assert await shown() == (0, "closed")
        world.reopen("acme/shop", 1, "ada")
        assert await shown() == (0, "closed")
        world.faults.off("lagging-replica")
        assert await shown() == (1, "open")
        assert world.faults.fired["lagging-replica"] == 8


async def test_ignored_write_is_answered_and_not_applied() -> None:
    async with github() as (world, client):
        made = world.comment("acme/shop", 1, "hello", "ada")
        world.faults.on("ignored-write", times=1)
        path = f"/repos/acme/shop/issues/comments/{made.id}"
        answer = await client.patch(path, json={"body": "good bye"})
        assert (answer.status_code, answer.json()["body"]) == (200, "good bye")
        assert (await client.get(path)).json()["body"] == "hello"
        await client.patch(path, json={"body": "good bye"})
        assert (await client.get(path)).json()["body"] == "good bye"
        assert world.faults.fired == {"ignored-write": 1}


async def test_a_dropped_write_was_applied() -> None:
    async with github() as (world, client):
        world.faults.on("dropped-write", times=1)
        try:
            status = (await client.post("/repos/acme/shop/issues/1/comments", json={"body": "hello"})).status_code
        except httpx2.HTTPError:
            status = 0
        assert status in (0, 500)
        assert [c.body for c in world.pull_request("acme/shop", 1).comments] == ["hello"]


async def test_locked_conversation_takes_comments_of_people_with_write_access_only() -> None:
    async with github() as (world, client):
        comments = "/repos/acme/shop/issues/1/comments"
        mine = (await client.post(comments, json={"body": "before"})).json()
        world.lock("acme/shop", 1, "grace", "too heated")
        shown = (await client.get("/repos/acme/shop/pulls/1")).json()
        assert (shown["locked"], shown["active_lock_reason"]) == (True, "too heated")
        for refused in (
            await client.post(comments, json={"body": "after"}),
            await client.patch(f"/repos/acme/shop/issues/comments/{mine['id']}", json={"body": "after"}),
        ):
            assert refused.status_code == 403
            assert refused.json()["message"] == "Unable to create comment because issue is locked."
        assert (await client.post("/repos/acme/shop/issues/2/comments", json={"body": "elsewhere"})).status_code == 201
        world.collaborator("acme/shop", "ada", "write")
        assert (await client.post(comments, json={"body": "after"})).status_code == 201
        assert [c.body for c in world.pull_request("acme/shop", 1).comments] == ["before", "after"]
        world.collaborator("acme/shop", "ada", "triage")
        world.unlock("acme/shop", 1, "grace")
        assert (await client.post(comments, json={"body": "unlocked"})).status_code == 201


async def test_comment_longer_than_github_takes_is_refused() -> None:
    async with github() as (_, client):
        refused = await client.post("/repos/acme/shop/issues/1/comments", json={"body": "x" * 65537})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["message"] == "Body is too long (maximum is 65536 characters)"


async def test_pull_request_of_a_flagged_author_is_shown_nowhere_while_the_repository_is() -> None:
    async with github() as (world, client):
        world.pull_request("acme/shop", 1).hidden = True
        assert (await client.get("/repos/acme/shop/pulls/1")).status_code == 404
        assert (await client.get("/repos/acme/shop/issues/1/comments")).status_code == 404
        assert (await client.get("/repos/acme/shop")).status_code == 200
        assert [p["number"] for p in (await client.get("/repos/acme/shop/pulls")).json()] == [2]
        found = (await client.post("/graphql", json={"query": QUERY})).json()["data"]["repository"]["pullRequests"]
        assert found == {"totalCount": 1, "nodes": [{"number": 2}]}


async def test_recreated_repository_has_another_id() -> None:
    async with github() as (world, client):
        before = (await client.get("/repos/acme/shop")).json()["id"]
        world.delete_repository("acme/shop")
        assert (await client.get("/repos/acme/shop")).status_code == 404
        world.open_pull_request("acme/shop", head="one", sha="b" * 40, by="ada")
        assert (await client.get("/repos/acme/shop")).json()["id"] != before
        assert (await client.get("/repos/acme/shop/pulls/1")).json()["head"]["sha"] == "b" * 40


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a known fault"):
        World().faults.on("typo")


# --- webhooks ---


class Receiver:
    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.application = Starlette(routes=[Route("/webhook", self.receive, methods=["POST"])])

    async def receive(self, request: Request) -> Response:
        body = await request.body()
        assert request.headers["x-hub-signature-256"] == signature("secret", body)
        payload = json.loads(body)
        self.got.append((request.headers["x-github-event"], payload["action"]))
        return Response(status_code=202)

    async def wait(self, count: int) -> list[tuple[str, str]]:
        async with asyncio.timeout(5):
            while len(self.got) < count:
                await asyncio.sleep(0.01)
        return self.got


@asynccontextmanager
async def hooked() -> AsyncIterator[tuple[World, Webhooks, Receiver]]:
    world, receiver = World(), Receiver()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(running(receiver.application))
        hooks = Webhooks(world, "secret")
        hooks.send_to(f"{url}/webhook")
        sending = asyncio.create_task(hooks.run())
        yield world, hooks, receiver
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


OPENED, LABELED = ("pull_request", "opened"), ("pull_request", "labeled")


def happen(world: World) -> None:
    world.open_pull_request("acme/shop", head="one", sha="a" * 40, by="ada")
    world.label("acme/shop", 1, "preview", "ada")


@pytest.mark.parametrize(
    ("fault", "times", "expected"),
    [
        ("", None, [OPENED, LABELED]),
        ("webhook-lost", 1, [LABELED]),
        ("webhook-duplicated", 1, [OPENED, OPENED, LABELED]),
        ("webhook-reordered", 1, [LABELED, OPENED]),
    ],
)
async def test_webhooks_and_their_fates(fault: str, times: int | None, expected: list[tuple[str, str]]) -> None:
    async with hooked() as (world, _, receiver):
        if fault:
            world.faults.on(fault, times)
        happen(world)
        assert await receiver.wait(len(expected)) == expected
        assert world.faults.fired[fault] == (1 if fault else 0)


async def test_a_late_webhook_comes_late() -> None:
    async with hooked() as (world, hooks, receiver):
        world.faults.on("webhook-late", times=1)
        happen(world)
        assert await receiver.wait(1) == [LABELED]
        hooks.send_late()
        assert await receiver.wait(2) == [LABELED, OPENED]
        assert world.faults.fired["webhook-late"] == 1


def test_label_is_not_renamed_to_one_that_exists() -> None:
    world = World()
    for label in ("preview", "Preview-Old"):
        world.create_label("acme/shop", label)
    with pytest.raises(ValueError, match="already"):
        world.rename_label("acme/shop", "preview", "preview-old")
    world.rename_label("acme/shop", "preview", "Preview")
    assert set(world.repository("acme/shop").labels) == {"Preview", "Preview-Old"}
