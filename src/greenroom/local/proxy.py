"""Reverse proxy for all previews, on one port: from `http://SERVICE-pr-N.DOMAIN:PORT` to the process that serves now.

Services call each other at `http://127.0.0.1:PORT/.host/SERVICE-pr-N.DOMAIN/...`. The proxy supports HTTP/1.1 with
bodies of any length, and WebSockets. If a preview does not serve, the proxy responds with the sentence of its comment,
without its log. For an unknown name, it responds with a page that reveals nothing about other previews. Browsers get
HTML, other clients get plain text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable

import httpx2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from greenroom.clock import wait_until
from greenroom.core.comment.sanitize import markup
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Reason, Stage
from greenroom.local import sockets
from greenroom.local.forwarding import ForwardedRequest, Malformed, end_to_end, forwarded
from greenroom.local.routes import Routes

BY_PATH = "/.host/"  # for calls between services: not every resolver resolves names below localhost
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark"><title>{title}</title>'
    "<style>body{{font:16px/1.5 system-ui;margin:20vh auto;max-width:32em;padding:0 1em}}</style>"
    "<h1>{title}</h1><p>{text}</p></html>"
)
_TIMEOUT = httpx2.Timeout(60, connect=5, pool=None)


class Proxy:
    """An ASGI application that forwards requests along its `routes`.

    `status` returns the stage and reason in a preview's comment.
    """

    def __init__(self, status: Callable[[Identity], tuple[Stage, Reason]]) -> None:
        self._status = status
        self.routes = Routes()
        self._open: Counter[int] = Counter()
        limits = httpx2.Limits(max_connections=None)  # a page may keep its WebSocket open for days
        self._client = httpx2.AsyncClient(timeout=_TIMEOUT, limits=limits, trust_env=False)

    async def drained(self, port: int, seconds: float) -> None:
        """Wait until the requests to a port that no route leads to anymore have ended, or the time is up.

        Open WebSockets do not count: they may never end, and pages reconnect to the new version.
        """

        async def is_idle() -> bool:
            return not self._open[port]

        await wait_until(is_idle, seconds, every=0.01)

    async def aclose(self) -> None:
        """Close the connections to previews."""
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward an ASGI request to the preview that its host names."""
        if scope["type"] not in ("http", "websocket"):
            return
        try:
            found = forwarded(scope, BY_PATH)
        except Malformed as error:
            await _page(scope, 400, "Bad request", str(error))(scope, receive, send)
            return
        port = self.routes.port(found.host)
        if not port:
            await self._unserved(scope, found.host)(scope, receive, send)
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
            refused = self._not_answering(scope, found.host)
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
            return _page(request.scope, 400, "Bad request", "The request ended before its body was complete.")
        except httpx2.HTTPError:
            return self._not_answering(request.scope, found.host)
        response = StreamingResponse(_body(answer), answer.status_code)
        response.raw_headers = [*end_to_end(answer.headers.raw), (b"x-robots-tag", b"noindex")]
        return response

    def _unserved(self, scope: Scope, host: str) -> Response:
        """Return the response for a preview that does not serve, or for an unknown host."""
        holder = self.routes.holder(host)
        if holder is None:
            return _page(scope, 404, "No preview here", "No running preview has this address.")
        stage, reason = self._status(holder)
        soon = stage in (Stage.STARTING, Stage.UPDATING)
        return _page(scope, 503, f"Preview {stage.value}", str(reason), soon=soon)

    def _not_answering(self, scope: Scope, host: str) -> Response:
        """Return the response for a process that should serve but does not."""
        holder = self.routes.holder(host)
        stage, reason = self._status(holder) if holder else (Stage.READY, None)
        if stage is Stage.READY:  # it just crashed, or it does not speak HTTP
            return _page(scope, 502, "Not responding", "The preview's process is not responding. See its log.")
        if stage is Stage.STARTING:
            return self._unserved(scope, host)
        return _page(scope, 502, f"Preview {stage.value}", str(reason))


async def _body(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for part in answer.aiter_raw():
            yield part
    finally:
        await answer.aclose()


def _page(scope: Scope, status: int, title: str, text: str, *, soon: bool = False) -> Response:
    """Return a page for a browser, plain text for other clients: a service, curl, a WebSocket."""
    headers = {"x-robots-tag": "noindex", "cache-control": "no-store", "vary": "accept"}
    headers |= {"retry-after": "2"} if soon else {}
    accepts = b",".join(value for name, value in scope["headers"] if name == b"accept").lower()
    if b"text/html" not in accepts:
        return PlainTextResponse(f"{title}: {text}\n", status, headers)
    return HTMLResponse(PAGE.format(title=markup(title), text=markup(text)), status, headers)
