"""Pages of the simulated GitHub: repositories with their branches, pull requests with their conversations.

There is no login, so only loopback and the configured address are answered. A form is accepted only if one of our
pages sent it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from greenroom.errors import Failed
from greenroom.simulate.hub import Hub
from greenroom.simulator.webhooks import Webhooks
from greenroom.simulator.world import PullRequest
from greenroom.web.templates import environment

HERE = Path(__file__).parent
MAX_FORM = 70_000  # GitHub takes comments of 65,536 characters
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
_HIDDEN = re.compile("<!--.*?-->", re.DOTALL)  # such as the signed line of our comment, which GitHub does not show
_ADDRESS = re.compile(r"https?://[\w.:/?=%+~-]+[\w/]")


def _text(renderer: RendererProtocol, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    """Return text with its URLs as links, as GitHub shows them."""
    return _ADDRESS.sub(r'<a href="\g<0>">\g<0></a>', escapeHtml(tokens[at].content))


_MARKDOWN = MarkdownIt("commonmark").enable("table")
_MARKDOWN.add_render_rule("text", _text)


def pages(hub: Hub, hooks: Webhooks, dashboard: str) -> Starlette:
    """Return the pages as an ASGI application. `dashboard` is the address of Greenroom's dashboard."""
    return _Pages(hub, hooks, dashboard).application()


class _Pages:
    """Endpoints of the pages."""

    def __init__(self, hub: Hub, hooks: Webhooks, dashboard: str) -> None:
        self._hub = hub
        self._hooks = hooks
        self._dashboard = dashboard
        self._templates = environment(HERE / "templates")

    def application(self) -> Starlette:
        """Return the ASGI application with its routes."""
        return Starlette(
            routes=[
                Route("/", self.index),
                Route("/page.css", _file("page.css", "text/css")),
                Route("/page.js", _file("page.js", "text/javascript")),
                Route("/{owner}/{name}/pulls", self.open, methods=["POST"]),
                Route("/{owner}/{name}/pull/{number:int}", self.pull),
                Route("/{owner}/{name}/pull/{number:int}/{action}", self.act, methods=["POST"]),
            ],
            exception_handlers={HTTPException: _wrong},
        )

    async def index(self, request: Request) -> Response:
        """Answer with the repositories."""
        return self._page(request, "index.html")

    async def pull(self, request: Request) -> Response:
        """Answer with one pull request."""
        slug, pull_request = self._found(request)
        return self._page(request, "pull.html", slug=slug, pull=pull_request)

    async def open(self, request: Request) -> Response:
        """Open a pull request, and redirect to its page."""
        slug, form = self._slug(request), await sent(request)
        try:
            number = await self._hub.open(slug, form.get("branch", ""), form.get("body", ""))
        except Failed as error:
            return RedirectResponse(f"/?{urlencode({'note': str(error)})}", 303)
        return RedirectResponse(f"/{slug}/pull/{number}", 303)

    async def act(self, request: Request) -> Response:
        """Change a pull request, and redirect to its page."""
        slug, pull_request = self._found(request)
        form, action = await sent(request), request.path_params["action"]
        path = f"/{slug}/pull/{pull_request.number}"
        if not self._act(slug, pull_request, action, form):
            text = f"Nothing was changed: `{action}` is not possible now, or the form was incomplete."
            return RedirectResponse(f"{path}?{urlencode({'note': text})}", 303)
        return RedirectResponse(path, 303)

    def _act(self, slug: str, pull_request: PullRequest, action: str, form: Mapping[str, str]) -> bool:
        """Return whether the action was possible."""
        world, who, number = self._hub.world, self._hub.who, pull_request.number
        match action:
            case "label" if form.get("label") in self._hub.labels:
                world.label(slug, number, form["label"], who)
            case "unlabel" if form.get("label") in self._hub.labels:
                world.unlabel(slug, number, form["label"], who)
            case "comment" if form.get("body", "").strip():
                world.comment(slug, number, form["body"], who)
            case "close" if pull_request.state == "open":
                world.close(slug, number, who)
            case "reopen" if pull_request.state == "closed" and not pull_request.merged_at:
                world.reopen(slug, number, who)
            case _:
                return False
        return True

    def _page(self, request: Request, template: str, **values: Any) -> Response:
        html = self._templates.get_template(template).render(
            hub=self._hub,
            dashboard=self._dashboard,
            note=request.query_params.get("note", ""),
            unheard=unheard(self._hooks),
            shown=shown,
            **values,
        )
        return HTMLResponse(html, headers=HEADERS)

    def _found(self, request: Request) -> tuple[str, PullRequest]:
        slug = self._slug(request)
        pull_request = self._hub.world.repository(slug).pull_requests.get(request.path_params["number"])
        if pull_request is None:
            raise HTTPException(404, "This pull request does not exist.")
        return slug, pull_request

    def _slug(self, request: Request) -> str:
        slug = f"{request.path_params['owner']}/{request.path_params['name']}"
        if slug not in self._hub.repositories:
            raise HTTPException(404, "This repository is not in the configuration.")
        return slug


def _file(name: str, kind: str) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    text = (HERE / "templates" / name).read_text()

    async def answer(request: Request) -> Response:
        return Response(text, media_type=kind, headers=HEADERS)

    return answer


async def _wrong(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}\n", error.status_code, headers=HEADERS)


async def sent(request: Request) -> dict[str, str]:
    """Return the form that one of our pages sent. Raise an HTTP error for any other form."""
    if request.headers.get("origin") != f"{request.url.scheme}://{request.headers['host']}":
        raise HTTPException(403, "This form was not sent from this site. Nothing was changed.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM:
            raise HTTPException(413, "The form is too large. Nothing was changed.")
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def shown(body: str) -> Markup:
    """Return a comment or description as GitHub would show it. The page's policy blocks scripts in it."""
    return Markup(_MARKDOWN.render(_HIDDEN.sub("", body)))  # noqa: S704 -- what people write here is their own


def unheard(hooks: Webhooks) -> str:
    """Return why Greenroom did not accept the last webhook, or an empty string."""
    status = hooks.log[-1][1] if hooks.log else 200
    if status is None:
        return f"Greenroom is not responding at {hooks.url}. Is `greenroom serve` running?"
    if status == 401:
        return f"Greenroom refused the last webhook ({status}). Does `greenroom serve` use the same webhook secret?"
    if status >= 400:
        return f"Greenroom did not accept the last webhook ({status}). See the log of `greenroom serve`."
    return ""
