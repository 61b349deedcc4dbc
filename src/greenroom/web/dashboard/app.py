"""The pages and the fragment that refreshes them. Loopback only: it asks nobody who they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenroom.controller.board import Board
from greenroom.web.admin import Past
from greenroom.web.dashboard import views
from greenroom.web.loopback import LoopbackOnly

HERE = Path(__file__).parent
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
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


def dashboard(board: Board, past: Past, title: str) -> Starlette:
    """The application. `title` is the installation's name."""
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
        events = await past.events(status.identity, limit=30)
        return page("preview.html", request, status=status, events=events)

    return Starlette(
        routes=[
            Route("/", index),
            Route("/lines", lines),
            Route("/previews/{repository}/{number:int}", preview),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(_Guarded), Middleware(LoopbackOnly)],
    )
