"""The address of a preview that does not serve shows the reason from its comment and never its log."""

from __future__ import annotations

import html
import os
import signal

import httpx2
import pytest

from greenroom.core import messages
from greenroom.core.comment.serving import NOTHING
from greenroom.core.model.engine import Health
from greenroom.core.model.status import Reason
from greenroom.local.engine import LocalEngine
from local.test_sockets import connected
from local.workshop import Workshop, quiet, seen, until, wait

HOST = "web-pr-1.preview.localhost"
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
SECRET = "the-api-key-of-a-private-repository"


async def at_address(engine: LocalEngine, accept: str = "*/*") -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{engine.proxy_port}/", headers={"host": HOST, "accept": accept})


def page(answer: httpx2.Response) -> str:
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return html.unescape(answer.text.replace("<code>", "`").replace("</code>", "`"))


def says(answer: httpx2.Response, heading: str, reason: Reason) -> None:
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == f"{heading}: {reason}\n"


async def test_address_of_a_failed_preview_shows_the_reason_and_no_log(shop: Workshop) -> None:
    sha = shop.commit("1", extra=f"sys.exit({SECRET!r})")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        assert (await wait(engine, Health.FAILED)).log == (SECRET,)
        expected = messages.failed("web.web exited during startup.", NOTHING)
        says(answer := await at_address(engine), "Preview failed", expected)
        assert answer.status_code == 503
        shown = await at_address(engine, BROWSER)
        assert shown.status_code == 503
        assert str(expected) in page(shown)
        assert SECRET not in answer.text + shown.text


async def test_address_of_a_sleeping_preview_shows_how_to_wake_it(shop: Workshop) -> None:
    sha = shop.commit("1")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha, asleep=True), 1))
        await wait(engine, Health.READY)
        says(answer := await at_address(engine), "Preview asleep", messages.asleep("preview-sleep"))
        assert answer.status_code == 503
        assert "retry-after" not in answer.headers
        assert str(messages.asleep("preview-sleep")) in page(await at_address(engine, BROWSER))


async def test_address_of_a_starting_preview_shows_that_and_when_to_retry(shop: Workshop) -> None:
    sha = shop.commit("1", extra="time.sleep(60)")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        says(answer := await at_address(engine), "Preview starting", messages.starting())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_address_of_a_crashed_preview_shows_the_reason(shop: Workshop) -> None:
    broken = shop.folder / "broken"
    sha = shop.commit("1", extra=f"if os.path.exists({str(broken)!r}): sys.exit(1)")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        await wait(engine, Health.READY)
        broken.touch()
        os.killpg(shop.pids()[0], signal.SIGKILL)

        async def ended_again() -> bool:
            return (await seen(engine)).why == "web.web exited during startup."

        await until(ended_again)
        answer = await at_address(engine)
        assert answer.status_code == 502
        assert answer.text.startswith("Preview failed: web.web exited")


async def test_websocket_of_a_failed_preview_is_rejected_with_its_reason(shop: Workshop) -> None:
    from httpx2.websockets import WebSocketUpgradeError

    sha = shop.commit("1", extra="sys.exit(1)")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        await wait(engine, Health.FAILED)
        with pytest.raises(WebSocketUpgradeError) as refused:
            async with connected(f"ws://127.0.0.1:{engine.proxy_port}/", HOST):
                raise AssertionError("connected")
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["content-type"].startswith("text/plain")
