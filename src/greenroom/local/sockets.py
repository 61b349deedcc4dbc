"""WebSocket forwarding, end to end: subprotocols, text and binary messages, close codes, refusals."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import httpx2
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from greenroom.local.forwarding import ForwardedRequest, end_to_end

if TYPE_CHECKING:
    from httpx2.websockets import AsyncWebSocketSession

LARGEST = 16 * 1024 * 1024
"""Maximum bytes of one message from the preview. It equals uvicorn's limit for messages from clients."""
_REFUSAL = 256 * 1024
_REQUESTED = frozenset(
    {b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-protocol"}
)
_OURS = frozenset({b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol"})


async def connect(
    client: httpx2.AsyncClient, found: ForwardedRequest, port: int, scope: Scope, receive: Receive, send: Send
) -> Response | None:
    """Connect to a preview's process and forward messages until one side closes.

    Return the process's answer when it refuses the upgrade. Raise `httpx2.HTTPError` when it does not answer.
    """
    from httpx2.websockets import AsyncWebSocketSession  # imports wsproto, which only the extra `demo` installs

    kept = ((k, v) for k, v in found.headers if k not in _REQUESTED)  # many servers refuse a second key
    headers = [*kept, *_handshake(scope["subprotocols"])]
    url = f"http://127.0.0.1:{port}/"
    extensions = {"target": found.target}
    async with client.stream("GET", url, headers=headers, extensions=extensions, follow_redirects=False) as answer:
        if answer.status_code != 101:
            return await _refusal(answer)
        session = AsyncWebSocketSession(
            answer.extensions["network_stream"],
            max_message_size_bytes=LARGEST,
            keepalive_ping_interval_seconds=None,  # a process paused in a debugger stays connected
            response=answer,
        )
        await send(
            {
                "type": "websocket.accept",
                "subprotocol": session.subprotocol,
                "headers": [(k, v) for k, v in end_to_end(answer.headers.raw) if k not in _OURS],
            }
        )
        await _pass_on(session, receive, send)
    return None


def _handshake(subprotocols: list[str]) -> list[tuple[bytes, bytes]]:
    """Return the headers of our own upgrade request. Each side negotiates compression separately.

    https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    """
    fields = [
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-key", base64.b64encode(secrets.token_bytes(16))),
    ]
    return fields + ([(b"sec-websocket-protocol", ", ".join(subprotocols).encode())] if subprotocols else [])


async def _refusal(answer: httpx2.Response) -> Response:
    """Return the answer of a process that refuses the upgrade, up to a maximum length."""
    body = b""
    async for part in answer.aiter_raw():
        body += part
        if len(body) > _REFUSAL:
            break
    response = Response(body[:_REFUSAL], answer.status_code)
    kept = [(k, v) for k, v in end_to_end(answer.headers.raw) if k != b"content-length"]
    response.raw_headers = [*kept, (b"content-length", str(len(response.body)).encode())]
    return response


async def _pass_on(session: AsyncWebSocketSession, receive: Receive, send: Send) -> None:
    from wsproto.utilities import RemoteProtocolError

    try:
        async with session:
            await _until_one_closes(_to_process(session, receive), _to_client(session, send))
    except* RemoteProtocolError:  # the process broke the protocol; the client sees the connection end
        pass


async def _until_one_closes(*ways: Coroutine[Any, Any, None]) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


async def _to_process(session: AsyncWebSocketSession, receive: Receive) -> None:
    from httpx2.websockets import HTTPXWSException
    from wsproto.utilities import LocalProtocolError

    try:
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.receive":
                text = message.get("text")
                await (session.send_bytes(message["bytes"]) if text is None else session.send_text(text))
        await session.close(_code(message["code"]), message.get("reason") or None)
    except (HTTPXWSException, LocalProtocolError):
        return  # the process closed first; the other direction reports it


async def _to_client(session: AsyncWebSocketSession, send: Send) -> None:
    from httpx2.websockets import HTTPXWSException, WebSocketDisconnect
    from wsproto.events import BytesMessage, TextMessage

    try:
        while True:
            event = await session.receive()
            if isinstance(event, TextMessage):
                await send({"type": "websocket.send", "text": event.data})
            elif isinstance(event, BytesMessage):
                await send({"type": "websocket.send", "bytes": bytes(event.data)})
    except WebSocketDisconnect as closed:
        await send({"type": "websocket.close", "code": _code(closed.code), "reason": closed.reason})
    except (HTTPXWSException, OSError):
        return  # no close frame, because the process sent none


def _code(code: int) -> int:
    """Return a close code in the form that wsproto expects: "no code" must be its own enum value."""
    from wsproto.frame_protocol import CloseReason

    return CloseReason.NO_STATUS_RCVD if code == CloseReason.NO_STATUS_RCVD else code
