"""What listens: answers leave at once, and a port that is taken is an error of the system."""

from __future__ import annotations

import asyncio
import socket

import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from greenroom import asgi_server


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_small_answers_leave_at_once(host: str) -> None:
    """Without TCP_NODELAY the second packet of an answer waits for the other side's delayed acknowledgement: 40 ms."""
    seen = asyncio.Queue[int]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.put_nowait(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = asgi_server.listener(host, 0)
    async with await asyncio.start_server(answer, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        assert await seen.get()
        writer.close()


async def test_port_in_use_is_reported() -> None:
    async with asgi_server.running(PlainTextResponse("")) as url:
        with pytest.raises(OSError, match="Address already in use"):
            async with asgi_server.running(PlainTextResponse(""), int(url.rpartition(":")[2])):
                pass


async def test_an_upgrade_that_is_not_offered_is_answered_as_the_plain_request() -> None:
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    upgrade["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ=="

    async def pages_only(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await PlainTextResponse("hello")(scope, receive, send)

    async with asgi_server.running(pages_only) as url, httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(url, headers=upgrade)
        assert (answer.status_code, answer.text) == (200, "hello")
