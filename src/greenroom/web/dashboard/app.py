"""Pages of the dashboard, and the fragment that refreshes them. Loopback only, because nobody has to log in."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenroom.controller.status_store import Board
from greenroom.core.linking import graph as graphs
from greenroom.core.model.github import DataAction
from greenroom.errors import GreenroomError
from greenroom.web import messages
from greenroom.web.dashboard import views
from greenroom.web.dashboard.flash import Note, Notes
from greenroom.web.dashboard.graph_layout import drawn
from greenroom.web.history_view import Past, seen
from greenroom.web.loopback import LoopbackOnly
from greenroom.web.sorting import expiry, upcoming
from greenroom.web.templates import environment

log = structlog.get_logger(__name__)

MAX_FORM = 4000
TYPED = "input#q"  # htmx's name for the filter when a person types into it
WHO = "someone on the dashboard"
WRONG = {404: "This page does not exist.", 405: "This page does not accept this request method."}
HERE = Path(__file__).parent
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with `no-referrer` a browser posts our own form with `Origin: null`
    "cache-control": "no-store",
}


class _Guarded:
    """Middleware that adds the security headers to every answer."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and add the headers to its answer."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message["headers"] = [*message["headers"], *given]
            await send(message)

        await self._application(scope, receive, guarded)


class _Whole:
    """Middleware that logs an exception of a page like any other, without secrets, and answers with an error page."""

    def __init__(self, application: ASGIApp, failed: Callable[[Request, Exception], Response]) -> None:
        self._application = application
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application. Log an exception, and answer with a page unless an answer has begun."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._application(scope, receive, noted)
        except Exception as error:
            log.exception("a page failed with an unexpected error", path=scope["path"])
            if not begun:
                await self._failed(Request(scope), error)(scope, receive, send)


class Control(Protocol):
    """The operations of the running loop that forms call."""

    async def use(self, name: str, text: str, by: str) -> dict[str, Any]:
        """Point a service that this preview uses to another target. Raise `GreenroomError` with the reason."""

    async def reset(self, name: str, action: str, by: str) -> dict[str, Any]:
        """Delete the data of this preview. Raise `GreenroomError` with the reason."""


def dashboard(
    board: Board, past: Past, title: str, control: Control | None = None, label: Callable[[], str] = lambda: "preview"
) -> Starlette:
    """Return the application. `title` is the installation's name. `label` returns the label that requests a preview.

    Without `control`, nothing can be changed.
    """
    return _Dashboard(board, past, _Templates(board, title, label), control).application()


class _Templates:
    """Templates of the pages, with the values that all of them show."""

    def __init__(self, board: Board, title: str, label: Callable[[], str]) -> None:
        self._board = board
        self._title = title
        self._label = label
        self._templates = environment(HERE / "templates")

    def page(self, template: str, request: Request, code: int = 200, **values: Any) -> Response:
        """Render a page, or answer 304 when the client has this version of it."""
        etag = f'"{self._board.version}-{views.minute(self._board)}"'
        if code == 200 and request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"etag": etag})
        html = self._templates.get_template(template).render(
            title=self._title,
            label=self._label(),
            board=self._board,
            views=views,
            upcoming=upcoming,
            expiry=expiry,
            **values,
        )
        return HTMLResponse(html, code, headers={"etag": etag})

    async def wrong(self, request: Request, error: Exception) -> Response:
        """Answer with the page of an HTTP error."""
        assert isinstance(error, HTTPException)
        ours = error.detail != HTTPStatus(error.status_code).phrase  # Starlette uses HTTP's phrase if we give no text
        text = error.detail if ours else WRONG.get(error.status_code, error.detail)
        return self.page("wrong.html", request, error.status_code, text=text)

    def failed(self, request: Request, error: Exception) -> Response:
        """Answer with the page of an unexpected error."""
        text = f"This page failed with an unexpected error ({type(error).__name__}). See Greenroom's log."
        return self.page("wrong.html", request, 500, text=text)


class _Dashboard:
    """Endpoints of the pages."""

    def __init__(self, board: Board, past: Past, templates: _Templates, control: Control | None) -> None:
        self._board = board
        self._past = past
        self._templates = templates
        self._control = control
        self._notes = Notes()
        self._secret = secrets.token_bytes(32)

    def application(self) -> Starlette:
        """Return the ASGI application with its routes."""
        return Starlette(
            routes=[
                Route("/", self.index),
                Route("/lines", self.lines),
                Route("/graph", self.graph),
                Route("/previews/{repository}/{number:int}", self.preview),
                Route("/previews/{repository}/{number:int}/use", self.use, methods=["GET", "POST"]),
                Route("/previews/{repository}/{number:int}/data", self.data, methods=["GET", "POST"]),
                Mount("/static", StaticFiles(directory=HERE / "static")),
            ],
            middleware=[Middleware(_Guarded), Middleware(LoopbackOnly), Middleware(_Whole, self._templates.failed)],
            exception_handlers={HTTPException: self._templates.wrong},
        )

    async def index(self, request: Request) -> Response:
        """Answer with the list of previews."""
        query = request.query_params.get("q", "")
        return self._templates.page("index.html", request, query=query, listing=views.listing(self._board, query))

    async def lines(self, request: Request) -> Response:
        """Answer with the list alone, or 204 when the page shows this version of it."""
        query = request.query_params.get("q", "")
        if request.query_params.get("seen") == f"{self._board.version}-{views.minute(self._board)}-{query}":
            return Response(status_code=204)
        listing = views.listing(self._board, query)
        found = self._templates.page("lines.html", request, query=query, listing=listing)
        if request.headers.get("hx-source") == TYPED:
            found.headers["hx-replace-url"] = f"/?{urlencode({'q': query})}" if query else "/"
        return found

    async def preview(self, request: Request) -> Response:
        """Answer with the page of one preview, and the note on a form that was sent from it."""
        name, path = request.path_params["repository"], request.url.path
        found = await seen(self._board, self._past, name, request.path_params["number"], limit=30)
        trouble = self._board.trouble(name)
        if found.status is None:
            return self._templates.page("missing.html", request, 404, found=found, trouble=trouble, repository=name)
        return self._templates.page(
            "preview.html",
            request,
            found=found,
            status=found.status,
            trouble=trouble,
            token=self._token(path) if self._control else "",
            note=self._notes.find(path, request.query_params.get("note", "")),
        )

    async def graph(self, request: Request) -> Response:
        """Answer with the graph of links."""
        found = graphs.graph(self._board.statuses.values())
        return self._templates.page("graph.html", request, graph=found, drawing=drawn(found.edges))

    async def use(self, request: Request) -> Response:
        """Change a link, and redirect to the page with a note."""
        return await self._sent(request, self._used)

    async def data(self, request: Request) -> Response:
        """Start the data of a preview over, and redirect to the page with a note."""
        return await self._sent(request, self._reset)

    async def _sent(
        self, request: Request, act: Callable[[Control, str, Mapping[str, str]], Awaitable[Note]]
    ) -> Response:
        path = request.url.path.rpartition("/")[0]
        if request.method != "POST":
            return RedirectResponse(path, 303)  # a person reloads the address that a form was sent to
        status = self._board.find(request.path_params["repository"], request.path_params["number"])
        if self._control is None:
            raise HTTPException(404, "This dashboard is read-only. Nothing was changed.")
        if status is None:
            raise HTTPException(404, "There is no preview at this address, so nothing was changed.")
        form = await _form(request)
        if not hmac.compare_digest(form.get("token", "").encode(), self._token(path).encode()):
            typed = form.get("target", "")
            note = Note("The form was out of date, so nothing was changed. Send the form again.", typed=typed)
        else:
            note = await act(self._control, status.name, form)
        return RedirectResponse(self._notes.keep(path, note), 303)

    async def _reset(self, control: Control, name: str, form: Mapping[str, str]) -> Note:
        action = form.get("action", "")
        if action not in tuple(DataAction):
            return Note("Nothing was deleted, because the form contains no valid action.")
        if form.get("sure") != "yes":
            return Note("Nothing was deleted. To confirm, check the box and send the form again.")
        try:
            answer = await control.reset(name, action, WHO)
        except GreenroomError as error:
            return Note(str(error))
        return Note(messages.data_reset(answer), bool(answer["done"]))

    async def _used(self, control: Control, name: str, form: Mapping[str, str]) -> Note:
        typed = form.get("target", "")
        try:
            answer = await control.use(name, typed, WHO)
        except GreenroomError as error:
            return Note(str(error), typed=typed)
        moved = bool(answer["done"] and not answer["waits"])
        return Note(messages.linked(answer, self._board.statuses.values()), moved, "" if moved else typed)

    def _token(self, path: str) -> str:
        return hmac.new(self._secret, path.encode(), hashlib.sha256).hexdigest()


async def _form(request: Request) -> dict[str, str]:
    """Return the form that one of our pages sent. Raise an HTTP error for any other form."""
    if int(request.headers.get("content-length") or MAX_FORM + 1) > MAX_FORM:
        raise HTTPException(413, "The form is too large or does not state its length. Nothing was changed.")
    if request.headers.get("origin") != f"{request.url.scheme}://{request.headers['host']}":
        raise HTTPException(403, "Greenroom could not verify that its own page sent this form. Nothing was changed.")
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
