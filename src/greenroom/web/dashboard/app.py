"""The pages and the fragment that refreshes them. Loopback only: it asks nobody who they are."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

import structlog
from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenroom.controller.board import Board
from greenroom.core import graph as graphs
from greenroom.errors import GreenroomError
from greenroom.web import said
from greenroom.web.dashboard import views
from greenroom.web.dashboard.drawing import drawn
from greenroom.web.dashboard.notes import Note, Notes
from greenroom.web.loopback import LoopbackOnly
from greenroom.web.order import expiry, upcoming
from greenroom.web.past import Past, seen

log = structlog.get_logger(__name__)

MAX_FORM = 4000
TYPED = "input#q"  # what htmx calls the filter, when somebody typed into it
WHO = "somebody at the dashboard"
WRONG = {404: "There is no such page.", 405: "Nothing can be sent to this page."}
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


class _Whole:
    """Whatever a page raises is logged as all is, without secrets, and answered by a page of ours."""

    def __init__(self, application: ASGIApp, failed: Callable[[Request, Exception], Response]) -> None:
        self._application = application
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._application(scope, receive, noted)
        except Exception as error:
            log.exception("a page failed in a way that Greenroom does not know", path=scope["path"])
            if not begun:
                await self._failed(Request(scope), error)(scope, receive, send)


class Control(Protocol):
    """What a form may ask of the running loop."""

    async def use(self, name: str, text: str, by: str) -> dict[str, Any]:
        """Point a service that this preview uses elsewhere. Raises `GreenroomError` with the reason."""


def dashboard(
    board: Board, past: Past, title: str, control: Control | None = None, label: Callable[[], str] = lambda: "preview"
) -> Starlette:
    """The application. `title` is the installation's name, `label` what people put on a pull request to get a preview.

    Without `control` nothing can be changed.
    """
    secret, notes = secrets.token_bytes(32), Notes()

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
        html = pages.get_template(template).render(
            title=title, label=label(), board=board, views=views, upcoming=upcoming, expiry=expiry, **values
        )
        return HTMLResponse(html, code, headers={"etag": etag})

    async def index(request: Request) -> Response:
        query = request.query_params.get("q", "")
        return page("index.html", request, query=query, listing=views.listing(board, query))

    async def lines(request: Request) -> Response:
        query = request.query_params.get("q", "")
        seen = request.query_params.get("seen")
        if seen == f"{board.version}-{views.minute(board)}-{query}":
            return Response(status_code=204)
        found = page("lines.html", request, query=query, listing=views.listing(board, query))
        if request.headers.get("hx-source") == TYPED:
            found.headers["hx-replace-url"] = f"/?{urlencode({'q': query})}" if query else "/"
        return found

    async def preview(request: Request) -> Response:
        name, number = request.path_params["repository"], request.path_params["number"]
        found = await seen(board, past, name, number, limit=30)
        if found.status is None:
            return page("missing.html", request, 404, found=found, trouble=board.trouble(name), repository=name)
        path = request.url.path
        note = notes.find(path, request.query_params.get("note", ""))
        sign = token(path) if control else ""
        trouble = board.trouble(found.status.repository)
        return page("preview.html", request, found=found, status=found.status, trouble=trouble, token=sign, note=note)

    async def use(request: Request) -> Response:
        path = request.url.path.removesuffix("/use")
        if request.method != "POST":
            return RedirectResponse(path, 303)  # somebody loads the address again that a form was sent to
        status = board.find(request.path_params["repository"], request.path_params["number"])
        if status is None or control is None:
            raise HTTPException(404, "There is nothing here that could be changed.")
        if int(request.headers.get("content-length") or MAX_FORM + 1) > MAX_FORM:
            raise HTTPException(413, "The form is too large. Nothing was changed.")
        if request.headers.get("origin") != f"{request.url.scheme}://{request.headers['host']}":
            raise HTTPException(403, "This form was not sent by a page of ours. Nothing was changed.")
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        typed = form.get("target", "")
        if not hmac.compare_digest(form.get("token", "").encode(), token(path).encode()):
            note = Note("The form was out of date. Nothing was changed; send it again.", typed=typed)
        else:
            note = await used(control, status.name, typed)
        return RedirectResponse(notes.keep(path, note), 303)

    async def used(control: Control, name: str, typed: str) -> Note:
        try:
            answer = await control.use(name, typed, WHO)
        except GreenroomError as error:
            return Note(str(error), typed=typed)
        moved = bool(answer["done"] and not answer["waits"])
        return Note(said.linked(answer, board.statuses.values()), moved, "" if moved else typed)

    async def wrong(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        ours = error.detail != HTTPStatus(error.status_code).phrase  # Starlette says HTTP's words where we say none
        text = error.detail if ours else WRONG.get(error.status_code, error.detail)
        return page("wrong.html", request, error.status_code, text=text)

    def failed(request: Request, error: Exception) -> Response:
        text = f"This page failed in a way that Greenroom does not know ({type(error).__name__}); see its log."
        return page("wrong.html", request, 500, text=text)

    async def graph(request: Request) -> Response:
        found = graphs.graph(board.statuses.values())
        return page("graph.html", request, graph=found, drawing=drawn(found.edges))

    return Starlette(
        routes=[
            Route("/", index),
            Route("/lines", lines),
            Route("/graph", graph),
            Route("/previews/{repository}/{number:int}", preview),
            Route("/previews/{repository}/{number:int}/use", use, methods=["GET", "POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(_Guarded), Middleware(LoopbackOnly), Middleware(_Whole, failed)],
        exception_handlers={HTTPException: wrong},
    )
