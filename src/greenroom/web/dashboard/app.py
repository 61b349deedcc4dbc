"""The pages and the fragment that refreshes them. Loopback only: it asks nobody who they are."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenroom.controller.board import Board
from greenroom.core import graph as graphs
from greenroom.core.status import Status
from greenroom.errors import GreenroomError
from greenroom.web.admin import Past
from greenroom.web.dashboard import views
from greenroom.web.dashboard.drawing import drawn
from greenroom.web.loopback import LoopbackOnly

MAX_FORM = 4000
HERE = Path(__file__).parent
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with `no-referrer` a browser posts our own form with `Origin: null`
    "cache-control": "no-store",
}


class _Guarded:
    """Adds the security headers to every answer."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message["headers"] = [*message["headers"], *given]
            await send(message)

        await self._application(scope, receive, guarded)


class Control(Protocol):
    """What a form may ask of the running loop."""

    async def use(self, name: str, text: str, by: str) -> dict[str, Any]:
        """Point a service that this preview uses elsewhere. Raises `GreenroomError` with the reason."""


def dashboard(board: Board, past: Past, title: str, control: Control | None = None) -> Starlette:
    """The application. `title` is the installation's name; without `control` nothing can be changed."""
    secret = secrets.token_bytes(32)

    def token(path: str) -> str:
        return hmac.new(secret, path.encode(), hashlib.sha256).hexdigest()

    pages = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )

    def page(template: str, request: Request, code: int = 200, **values: Any) -> Response:
        """A page, or 304 when the client has this version of it."""
        etag = f'"{board.version}-{views.minute(board)}"'
        if code == 200 and request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"etag": etag})
        html = pages.get_template(template).render(title=title, board=board, views=views, **values)
        return HTMLResponse(html, code, headers={"etag": etag})

    async def index(request: Request) -> Response:
        query = request.query_params.get("q", "")
        return page("index.html", request, query=query, listing=views.listing(board, query))

    async def lines(request: Request) -> Response:
        query = request.query_params.get("q", "")
        seen = request.query_params.get("seen")
        if seen == f"{board.version}-{views.minute(board)}-{query}":
            return Response(status_code=204)
        return page("lines.html", request, query=query, listing=views.listing(board, query))

    async def preview(request: Request) -> Response:
        name, number = request.path_params["repository"], request.path_params["number"]
        status = board.find(name, number)
        if status is None:
            return page("missing.html", request, 404, name=f"{name}#{number}")
        return await shown(request, status)

    async def shown(request: Request, status: Status, said: str = "", code: int = 200) -> Response:
        events = await past.events(status.identity, limit=30)
        sign = token(request.url.path.removesuffix("/use")) if control else ""
        return page("preview.html", request, code, status=status, events=events, token=sign, said=said)

    async def use(request: Request) -> Response:
        name, number = request.path_params["repository"], request.path_params["number"]
        status = board.find(name, number)
        if status is None or control is None:
            return page("missing.html", request, 404, name=f"{name}#{number}")
        if int(request.headers.get("content-length") or MAX_FORM + 1) > MAX_FORM:
            return await shown(request, status, "The form is too large. Nothing was changed.", 413)
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        own = f"{request.url.scheme}://{request.headers['host']}"
        path = request.url.path.removesuffix("/use")
        if request.headers.get("origin") != own or not hmac.compare_digest(form.get("token", ""), token(path)):
            return await shown(request, status, "This form is out of date. Nothing was changed; send it again.", 403)
        try:
            answer = await control.use(status.name, form.get("target", ""), "the dashboard")
        except GreenroomError as error:
            return await shown(request, status, str(error), 409)
        if not answer["done"]:
            return await shown(request, status, "Not yet: our comment could not be written. It is tried again.", 202)
        return RedirectResponse(path, 303)

    async def graph(request: Request) -> Response:
        found = graphs.graph(board.statuses.values())
        return page("graph.html", request, graph=found, drawing=drawn(found.edges))

    return Starlette(
        routes=[
            Route("/", index),
            Route("/lines", lines),
            Route("/graph", graph),
            Route("/previews/{repository}/{number:int}", preview),
            Route("/previews/{repository}/{number:int}/use", use, methods=["POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(_Guarded), Middleware(LoopbackOnly)],
    )
