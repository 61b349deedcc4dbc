"""The one port where previews answer: `http://SERVICE-pr-N.DOMAIN:PORT` to the process that serves it now.

Services call each other at `http://127.0.0.1:PORT/.host/SERVICE-pr-N.DOMAIN/...`. HTTP/1.1 with bodies of any length,
and WebSockets. An unknown name gets a page that tells nothing of others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from greenroom.local import sockets
from greenroom.local.forwarding import ForwardedRequest, Malformed, end_to_end, forwarded
from greenroom.local.routes import Routes

BY_PATH = "/.host/"  # for calls between services: not every resolver knows names below localhost
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark"><title>{title}</title>'
    "<style>body{{font:16px/1.5 system-ui;margin:20vh auto;max-width:32em;padding:0 1em}}</style>"
    "<h1>{title}</h1><p>{text}</p></html>"
)
_TIMEOUT = httpx2.Timeout(60, connect=5, pool=None)


class Proxy:
    """An ASGI application that forwards requests along its `routes`."""

    def __init__(self) -> None:
        self.routes = Routes()
        self._open: Counter[int] = Counter()
        limits = httpx2.Limits(max_connections=None)  # a page may keep its WebSocket open for days
        self._client = httpx2.AsyncClient(timeout=_TIMEOUT, limits=limits, trust_env=False)

    async def drained(self, port: int, seconds: float) -> None:
        """Wait until no request is under way to a port that no route leads to any more, or the time is up.

        Open WebSockets do not count: they may never end, and pages reconnect to the new version.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while self._open[port] and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket"):
            return
        try:
            found = forwarded(scope, BY_PATH)
        except Malformed as error:
            await _page(400, "Bad request", str(error))(scope, receive, send)
            return
        port = self.routes.port(found.host)
        if not port:
            await _no_preview(port)(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(found, port, scope, receive, send)
        else:
            self._open[port] += 1
            try:
                response = await self._answer(Request(scope, receive), found, port)
                await response(scope, receive, send)
            finally:
                self._open[port] -= 1

    async def _connect(self, found: ForwardedRequest, port: int, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            refused = await sockets.connect(self._client, found, port, scope, receive, send)
        except httpx2.HTTPError:
            refused = _not_answering()
        if refused is not None:
            await refused(scope, receive, send)

    async def _answer(self, request: Request, found: ForwardedRequest, port: int) -> Response:
        has_body = {b"content-length", b"transfer-encoding"} & {name for name, _ in request.scope["headers"]}
        outgoing = httpx2.Request(
            request.method,
            f"http://127.0.0.1:{port}/",
            headers=list(found.headers),
            content=request.stream() if has_body else None,
            extensions={"target": found.target, "timeout": _TIMEOUT.as_dict()},
        )
        try:
            answer = await self._client.send(outgoing, stream=True, follow_redirects=False)
        except ClientDisconnect:
            return _page(400, "Bad request", "The request ended before its body was complete.")
        except httpx2.HTTPError:
            return _not_answering()
        response = StreamingResponse(_body(answer), answer.status_code)
        response.raw_headers = [*end_to_end(answer.headers.raw), (b"x-robots-tag", b"noindex")]
        return response


async def _body(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for part in answer.aiter_raw():
            yield part
    finally:
        await answer.aclose()


def _no_preview(port: int | None) -> Response:
    if port is None:
        return _page(404, "No preview here", "This address belongs to no preview that runs now.")
    return _page(503, "Starting", "The preview is starting. Load this page again in a few seconds.")


def _not_answering() -> Response:
    return _page(502, "Not answering", "The preview's process does not answer. Its log says why.")


def _page(status: int, title: str, text: str) -> Response:
    headers = {"x-robots-tag": "noindex", "retry-after": "2"} if status == 503 else {"x-robots-tag": "noindex"}
    return HTMLResponse(PAGE.format(title=title, text=text), status, headers)
