"""WebSockets through the previews' port, as a page and a development server speak them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from httpx2.websockets import AsyncWebSocketSession, WebSocketDisconnect, WebSocketNetworkError, WebSocketUpgradeError
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from starlette.websockets import WebSocketDisconnect as Left

from greenroom.asgi_server import running
from greenroom.core import messages
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage
from greenroom.local.proxy import Proxy

HOST = "web-pr-1.preview.localhost"
OWNER = Identity(7, 1)
closed_with: asyncio.Queue[tuple[int, str]]


async def _echo(socket: WebSocket) -> None:
    offered = socket.scope["subprotocols"]
    await socket.accept(offered[-1] if offered else None, [(b"x-of-the-process", b"yes")])
    await socket.send_json(
        {
            "host": socket.headers["host"],
            "target": _target(socket),
            "origin": socket.headers["origin"],
            "keys": len(socket.headers.getlist("sec-websocket-key")),
            "versions": socket.headers.getlist("sec-websocket-version"),
        }
    )
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise Left(message["code"], message.get("reason"))
            if (text := message.get("text")) is None:
                await socket.send_bytes(message["bytes"])
            elif text.startswith("close "):
                await socket.close(int(text.removeprefix("close ")), "as asked")
                return
            else:
                await socket.send_text(text)
    except Left as left:
        closed_with.put_nowait((left.code, left.reason))


def _target(socket: WebSocket) -> str:
    return f"{socket.scope['raw_path'].decode()}?{socket.scope['query_string'].decode()}"


async def _refuse(socket: WebSocket) -> None:
    await socket.send_denial_response(JSONResponse({"why": "members only"}, 401, headers={"www-authenticate": "Basic"}))


async def _die(socket: WebSocket) -> None:
    await socket.accept()


@pytest.fixture
async def front() -> AsyncIterator[tuple[str, Proxy]]:
    global closed_with
    closed_with = asyncio.Queue()
    proxy = Proxy(lambda identity: (Stage.READY, messages.ready()))
    routes = [WebSocketRoute("/refuse", _refuse), WebSocketRoute("/die", _die), WebSocketRoute("/{path:path}", _echo)]
    async with running(Starlette(routes=routes), websockets=True) as behind, running(proxy, websockets=True) as address:
        proxy.routes.claim(OWNER, {HOST: int(behind.rpartition(":")[2])})
        yield address, proxy
        await proxy.aclose()


@asynccontextmanager
async def connected(url: str, host: str = HOST, *protocols: str) -> AsyncIterator[AsyncWebSocketSession]:
    headers = {"host": host, "origin": f"http://{host}"} if host else {"origin": "http://here"}
    async with (
        httpx2.AsyncClient(trust_env=False) as client,
        client.websocket(
            url, headers=headers, subprotocols=list(protocols) or None, max_message_size_bytes=2**24
        ) as socket,
    ):
        yield socket


async def test_messages_pass_both_ways_as_text_and_as_bytes(front: tuple[str, Proxy]) -> None:
    address, _ = front
    async with connected(f"{address}/a%20b?c=d", HOST, "chat.v1", "chat.v2") as socket:
        assert socket.subprotocol == "chat.v2"
        assert socket.response is not None
        assert socket.response.headers["x-of-the-process"] == "yes"
        assert await socket.receive_json() == {
            "host": HOST,
            "target": "/a%20b?c=d",
            "origin": f"http://{HOST}",
            "keys": 1,  # some servers refuse a second one
            "versions": ["13"],
        }
        await socket.send_text("hëllo")
        assert await socket.receive_text() == "hëllo"
        for size in (0, 1, 300_000):
            await socket.send_bytes(b"\0\xff" * size)
            assert await socket.receive_bytes() == b"\0\xff" * size


async def test_a_service_connects_to_another_by_path(front: tuple[str, Proxy]) -> None:
    address, _ = front
    async with connected(f"{address}/.host/{HOST}/x", "") as socket:
        assert (await socket.receive_json())["host"] == HOST
        assert socket.subprotocol is None


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4001])
async def test_the_close_code_of_the_process_reaches_the_page(front: tuple[str, Proxy], code: int) -> None:
    address, _ = front
    async with connected(address) as socket:
        await socket.receive_json()
        await socket.send_text(f"close {code}")
        with pytest.raises(WebSocketDisconnect) as ended:
            await socket.receive_text()
        assert (ended.value.code, ended.value.reason) == (code, "as asked")


@pytest.mark.parametrize("code", [1000, 3000, 4999])
async def test_the_close_code_of_the_page_reaches_the_process(front: tuple[str, Proxy], code: int) -> None:
    address, _ = front
    async with connected(address) as socket:
        await socket.receive_json()
        await socket.close(code, "bye")
        async with asyncio.timeout(10):
            assert await closed_with.get() == (code, "bye")


async def test_the_answer_of_a_process_that_refuses_is_forwarded(front: tuple[str, Proxy]) -> None:
    address, _ = front
    request = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "host": HOST}
    request["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{address}/refuse", headers=request)
        assert (answer.status_code, answer.json()) == (401, {"why": "members only"})
        assert answer.headers["www-authenticate"] == "Basic"


async def test_a_process_that_ends_without_a_close_frame_ends_the_connection(front: tuple[str, Proxy]) -> None:
    address, _ = front
    async with connected(f"{address}/die") as socket:
        with pytest.raises(WebSocketNetworkError):
            await socket.receive_text()


@pytest.mark.parametrize(
    ("host", "port", "status"), [("nobody.localhost", None, 404), (HOST, 0, 503), (HOST, 1, 502), ("[::1", None, 400)]
)
async def test_where_no_process_answers_the_upgrade_is_refused(
    front: tuple[str, Proxy], host: str, port: int | None, status: int
) -> None:
    address, proxy = front
    if port is not None:
        proxy.routes.claim(OWNER, {HOST: port})
    with pytest.raises(WebSocketUpgradeError) as refused:
        async with connected(address, host):
            raise AssertionError("connected")
    assert refused.value.response.status_code == status


async def test_an_open_socket_does_not_hold_up_the_next_version(front: tuple[str, Proxy]) -> None:
    address, proxy = front
    async with connected(address) as socket:
        await socket.receive_json()
        port = proxy.routes.port(HOST)
        assert port
        await asyncio.wait_for(proxy.drained(port, 3600), 10)
