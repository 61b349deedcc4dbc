"""The judge itself: requests and answers that GitHub's description does not have, or has otherwise, are violations."""

from __future__ import annotations

import json

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from greenroom.asgi_server import running
from greenroom.simulator.app import Simulator
from greenroom.simulator.webhooks import Delivery, Webhooks
from greenroom.simulator.world import Deployment, World
from judge import COUNTS, Judge, error_violations, webhook_violations, webhooks

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


async def answered(status: int, body: object, path: str = "/repos/acme/shop") -> list[str]:
    """Return what the judge says of a GitHub that answers a good request so."""

    async def answer(request: Request) -> Response:
        return Response(json.dumps(body), status, media_type="application/json")

    application = Starlette()
    application.add_route("/{path:path}", answer, methods=["GET"])
    judge = Judge(application)
    async with running(judge) as url, httpx2.AsyncClient() as client:
        await client.get(f"{url}/api/v3{path}", headers=AUTH)
    return judge.violations


ERROR = {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, {"id": "seven"}, "-> 200"),
        (200, [], "-> 200"),
        (404, {"message": ["not", "a", "sentence"]}, "-> 404"),
        (404, "nothing", "-> 404"),
        (401, {"error": "who are you?"}, "'message' is a required property"),
        (429, {"message": "Slow down."}, "'documentation_url' is a required property"),
    ],
    ids=["a wrong type", "a list", "a message of another type", "a text", "another error", "half an error"],
)
async def test_an_answer_that_github_would_not_give_is_a_violation(status: int, body: object, words: str) -> None:
    assert words in "\n".join(await answered(status, body))


@pytest.mark.parametrize(("status", "body"), [(404, ERROR), (401, ERROR), (429, ERROR)])
async def test_an_error_as_github_writes_it_is_not_a_violation(status: int, body: object) -> None:
    assert await answered(status, body) == []


def test_an_error_that_is_no_json_is_a_violation() -> None:
    assert error_violations(b"<html>") == ["the body is not JSON"]


def sent() -> dict[str, Delivery]:
    """Return one webhook of each kind that the simulator sends, by event and action."""
    world = World()
    hooks = Webhooks(world, "secret")
    hooks.send_to("http://127.0.0.1/webhook")
    shop, number = "acme/shop", 1
    world.open_pull_request(shop, head="idea", sha="a" * 40, by="ada", draft=True)
    world.ready_for_review(shop, number, "ada")
    world.push(shop, number, "b" * 40, "ada")
    world.label(shop, number, "preview", "ada")
    world.unlabel(shop, number, "preview", "ada")
    comment = world.comment(shop, number, "One?", "grace")
    world.edit_comment(shop, comment.id, "Two?", "grace")
    world.review(shop, number, "grace")
    world.close(shop, number, "ada")
    world.reopen(shop, number, "ada")
    world.workflow_completed(shop)
    run = world.run_workflow(shop, "b" * 40, status="queued")
    world.change_run(shop, run.id, "in_progress")
    world.finish_run(shop, run.id)
    deployment = Deployment(world.id(), "a" * 40, "main", "preview", world.user("ada"), world.now(), True, False)
    world.deploy(shop, deployment)
    world.deployment_status(shop, deployment.id, {"state": "success"}, world.user("ada"))
    world.rename_repository(shop, "acme/store")
    return {named(d): d for d in hooks.queued()}


def named(delivery: Delivery) -> str:
    return f"{delivery.event}-{json.loads(delivery.body)['action']}".replace("_", "-")


def test_every_webhook_that_the_simulator_sends_is_as_github_describes_it() -> None:
    found = sent()
    assert sorted(found) == webhooks()
    assert {name: webhook_violations(d.event, d.body) for name, d in found.items()} == {name: [] for name in found}


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("pull-request-synchronize", "before", "'before' is a required property"),
        ("pull-request-opened", "number", "'number' is a required property"),
        ("issue-comment-created", "comment", "'comment' is a required property"),
    ],
)
def test_a_webhook_that_lacks_something_is_a_violation(name: str, key: str, words: str) -> None:
    delivery = sent()[name]
    body = json.loads(delivery.body)
    del body[key]
    assert words in "\n".join(webhook_violations(delivery.event, json.dumps(body).encode()))


def test_a_webhook_with_a_value_of_another_type_is_a_violation() -> None:
    delivery = sent()["pull-request-labeled"]
    body = json.loads(delivery.body)
    body["pull_request"]["updated_at"] = 7
    assert "updated_at" in "\n".join(webhook_violations(delivery.event, json.dumps(body).encode()))
