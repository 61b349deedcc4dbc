"""The one port where previews answer: `http://SERVICE-pr-N.DOMAIN:PORT` to the process that serves it now.

Services call each other at `http://127.0.0.1:PORT/.host/SERVICE-pr-N.DOMAIN/...`. HTTP/1.1 with bodies of any length;
no WebSockets. An unknown name gets a page that tells nothing of others.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit

import httpx2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from greenroom.local.routes import Routes

HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)
_OURSELVES = re.compile(rb"127\.0\.0\.1(:\d+)?")
BY_PATH = "/.host/"  # for calls between services: not every resolver knows names below localhost
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark"><title>{title}</title>'
    "<style>body{{font:16px/1.5 system-ui;margin:20vh auto;max-width:32em;padding:0 1em}}</style>"
    "<h1>{title}</h1><p>{text}</p></html>"
)


class Proxy:
    """An ASGI application that passes requests on along its `routes`."""

    def __init__(self) -> None:
        self.routes = Routes()
        self._open: Counter[int] = Counter()
        self._client = httpx2.AsyncClient(timeout=httpx2.Timeout(60, connect=5), trust_env=False)

    async def drained(self, port: int, seconds: float) -> None:
        """Wait until no request is under way to a port that no route leads to any more, or the time is up."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._open[port] and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        request = Request(_named(scope), receive)
        host = (urlsplit(f"//{request.headers.get('host', '')}").hostname or "").lower()
        port = self.routes.port(host)
        self._open[port or 0] += 1
        try:
            response = await self._answer(request, port)
            await response(request.scope, receive, send)
        finally:
            self._open[port or 0] -= 1

    async def _answer(self, request: Request, port: int | None) -> Response:
        if port is None:
            return _page(404, "No preview here", "This address belongs to no preview that runs now.")
        if not port:
            return _page(503, "Starting", "The preview is starting. Load this page again in a few seconds.")
        url = request.url.replace(scheme="http", hostname="127.0.0.1", port=port)
        headers = [(k, v) for k, v in request.headers.items() if k not in HOP]
        headers += [("x-forwarded-host", request.headers.get("host", "")), ("x-forwarded-proto", "http")]
        outgoing = self._client.build_request(request.method, str(url), headers=headers, content=request.stream())
        if "content-length" not in request.headers and "transfer-encoding" not in request.headers:
            outgoing = self._client.build_request(request.method, str(url), headers=headers)
        try:
            answer = await self._client.send(outgoing, stream=True, follow_redirects=False)
        except httpx2.HTTPError:
            return _page(502, "Not answering", "The preview's process does not answer. Its log says why.")
        kept = [(k, v) for k, v in answer.headers.multi_items() if k.lower() not in HOP]
        response = StreamingResponse(_body(answer), answer.status_code)
        response.raw_headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in kept]
        response.raw_headers.append((b"x-robots-tag", b"noindex"))
        return response


def _named(scope: Scope) -> Scope:
    """The request with the host that its path names, if it was sent to the proxy itself.

    The whole Host header is compared: a page of `127.0.0.1.evil.example`, a name that leads here, names no preview.
    """
    whole = scope["raw_path"].decode("latin-1") if scope.get("raw_path") else scope["path"]
    headers = dict(scope["headers"])
    if not _OURSELVES.fullmatch(headers.get(b"host", b"")) or not whole.startswith(BY_PATH):
        return scope
    host, _, rest = whole.removeprefix(BY_PATH).partition("/")
    named = [(k, v) for k, v in scope["headers"] if k != b"host"] + [(b"host", host.encode("latin-1"))]
    raw = f"/{rest}"
    return {**scope, "headers": named, "path": unquote(raw), "raw_path": raw.encode("latin-1")}


async def _body(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for part in answer.aiter_raw():
            yield part
    finally:
        await answer.aclose()


def _page(status: int, title: str, text: str) -> Response:
    headers = {"x-robots-tag": "noindex", "retry-after": "2"} if status == 503 else {"x-robots-tag": "noindex"}
    return HTMLResponse(PAGE.format(title=title, text=text), status, headers)
