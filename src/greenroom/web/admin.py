"""JSON API of the admin port, through which the command line queries a running instance. Loopback only.

Every request needs the header `X-Greenroom: cli`. A page of another site cannot send it without a CORS preflight.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from greenroom.controller.status_store import Board, RepositoryHealth
from greenroom.core.comment.awaited import awaited
from greenroom.core.comment.sanitize import plain
from greenroom.core.linking import graph as graphs
from greenroom.core.messages import migration_lines
from greenroom.core.model.catalog import Repository
from greenroom.core.model.github import DataAction
from greenroom.core.model.status import Status
from greenroom.errors import Failed, GreenroomError
from greenroom.store.rows import Event
from greenroom.web import messages
from greenroom.web.history_view import Past, seen
from greenroom.web.loopback import LoopbackOnly
from greenroom.web.sorting import Trouble, expiry, problems_first, troubles

log = structlog.get_logger(__name__)

Json = dict[str, Any]
MAX_BYTES = 100_000
VERSION = 1
SENT = {"previews": '["shop#42"]', "holds": '{"shop#42": "..."}', "preview": '"shop#42"', "target": '"payments#17"'}


class Control(Protocol):
    """Operations of the running loop that the admin port calls."""

    @property
    def repositories(self) -> tuple[Repository, ...]:
        """Return the repositories of the catalog."""

    @property
    def resync(self) -> float:
        """Return the seconds between two full reads of GitHub."""

    def read_again(self, repository: str) -> None:
        """Read a repository again soon."""

    async def plan(self) -> list[Json]:
        """Return the actions of the next pass."""

    async def release(self, names: list[str], by: str, seen: Mapping[str, str]) -> list[Json]:
        """Release exactly the holds that were seen, by the names of their previews."""

    async def redeploy(self, names: list[str], by: str) -> list[Json]:
        """Redeploy these previews with the current chart, settings and images."""

    async def use(self, name: str, text: str, by: str) -> Json:
        """Point a service that this preview uses to another target."""

    async def reset(self, name: str, action: str, by: str) -> Json:
        """Delete the data of a preview. `action` is `reset` or `reseed`."""

    async def seeds(self) -> list[Json]:
        """Return the seed images that previews use."""


class SweepResult(Protocol):
    """The result of a sweep. Each object prints itself."""

    @property
    def orphans(self) -> Sequence[object]:
        """Return the objects that belong to nothing."""

    @property
    def deleted(self) -> Sequence[object]:
        """Return the orphans that were deleted."""


Sweep = Callable[[], Awaitable[SweepResult]]


def admin(board: Board, past: Past, control: Control, sweep: Sweep | None = None) -> Starlette:
    """Return the application. `sweep` is None for an engine that has nothing to sweep."""
    return _Admin(board, past, control, sweep).application()


class _Admin:
    """Endpoints of the admin port."""

    def __init__(self, board: Board, past: Past, control: Control, sweep: Sweep | None) -> None:
        self._board = board
        self._past = past
        self._control = control
        self._sweep = sweep

    def application(self) -> Starlette:
        """Return the ASGI application with its routes."""
        return Starlette(
            routes=[
                Route("/api/use", _asked(self.use), methods=["POST"]),
                Route("/api/reset", _asked(self.reset), methods=["POST"]),
                Route("/api/seeds", _asked(self.seeds)),
                Route("/api/graph", _asked(self.graph)),
                Route("/api/redeploy", _asked(self.redeploy), methods=["POST"]),
                Route("/api/orphans", _asked(self.sweep), methods=["POST"]),
                Route("/api/previews", _asked(self.previews)),
                Route("/api/previews/{repository}/{number:int}", _asked(self.preview)),
                Route("/api/previews/{repository}/{number:int}/wait", _asked(self.wait)),
                Route("/api/plan", _asked(self.plan)),
                Route("/api/release", _asked(self.release), methods=["POST"]),
            ],
            middleware=[Middleware(LoopbackOnly)],
        )

    async def previews(self, request: Request) -> Response:
        """Answer with all previews, repositories and troubles."""
        found = problems_first(self._board.statuses.values())
        catalog = self._control.repositories
        known = {r.name: RepositoryHealth(r.name, r.slug) for r in catalog} | self._board.repositories
        services = {r.name: [s.name for s in r.services] for r in catalog}
        repositories = [{**health(r), "services": services.get(n, [])} for n, r in sorted(known.items())]
        shared = [trouble(t) for t in troubles(self._board.repositories.values())]
        answer = {"previews": [status(s) for s in found], "repositories": repositories, "troubles": shared}
        return _answer({**answer, "resync": self._control.resync})

    async def preview(self, request: Request) -> Response:
        """Answer with one preview and its latest events."""
        name, number = request.path_params["repository"], request.path_params["number"]
        found = await seen(self._board, self._past, name, number, limit=5)
        wrong = self._board.trouble(name)
        if found.status is None:
            now = f" Changes in {name} are paused: {wrong}" if wrong else ""
            return _wrong(404, f"{found.name}: {found.unknown}{now}")
        return _answer(
            {
                "status": status(found.status),
                "expiry": expiry(found.status, self._board.now),
                "trouble": wrong,
                "events": [event(e) for e in found.events],
                "history": found.wrong,
            }
        )

    async def wait(self, request: Request) -> Response:
        """Answer at once whether a preview serves `commit`, or the head of its pull request. `read=again` makes a pass
        run soon.
        """
        name = request.path_params["repository"]
        found = self._board.find(name, request.path_params["number"])
        if request.query_params.get("read") == "again":
            self._control.read_again(name)
        superseded = self._board.heads.superseded_by(found.identity, found.head_sha) if found else ()
        trouble, known = self._board.trouble(name), self._board.repositories.get(name)
        now = awaited(found, request.query_params.get("commit", ""), trouble, superseded)
        shown = status(found) if found else None
        read_at = _iso(known.read_at) if known else None
        return _answer({"outcome": now.outcome.value, "why": now.why, "read_at": read_at, "status": shown})

    async def plan(self, request: Request) -> Response:
        """Answer with the actions of the next pass."""
        return _answer({"actions": await self._control.plan()})

    async def release(self, request: Request) -> Response:
        """Release the holds that were seen."""
        body = await _body(request, previews=list, holds=dict)
        return _answer({"released": await self._control.release(body["previews"], _by(body), body["holds"])})

    async def redeploy(self, request: Request) -> Response:
        """Redeploy previews."""
        body = await _body(request, previews=list)
        return _answer({"redeployed": await self._control.redeploy(body["previews"], _by(body))})

    async def use(self, request: Request) -> Response:
        """Change a link."""
        body = await _body(request, preview=str, target=str)
        answer = await self._control.use(body["preview"], body["target"], _by(body))
        return _answer({**answer, "text": messages.linked(answer, self._board.statuses.values())})

    async def reset(self, request: Request) -> Response:
        """Delete the data of a preview, so that it starts over."""
        body = await _body(request, preview=str, action=str)
        if body["action"] not in tuple(DataAction):
            raise Failed("`action` must be reset or reseed.")
        answer = await self._control.reset(body["preview"], body["action"], _by(body))
        return _answer({**answer, "text": messages.data_reset(answer)})

    async def seeds(self, request: Request) -> Response:
        """Answer with the seed images that previews use, or with an error unless all of them are known."""
        return _answer({"seeds": await self._control.seeds()})

    async def graph(self, request: Request) -> Response:
        """Answer with the graph of links."""
        found = graphs.graph(self._board.statuses.values())
        return _answer({"links": [link(e) for e in found.edges], "apart": list(found.apart)})

    async def sweep(self, request: Request) -> Response:
        """Delete objects that belong to nothing."""
        if self._sweep is None:
            text = "The local engine leaves no orphans, because it verifies each removal."
            return _answer({"orphans": [], "deleted": [], "text": text})
        done = await self._sweep()
        found = {"orphans": [str(o) for o in done.orphans], "deleted": [str(o) for o in done.deleted]}
        return _answer({**found, "text": "" if done.orphans else "No orphaned objects found."})


def _asked(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        if request.headers.get("x-greenroom") != "cli":
            return _wrong(403, "This port is for the command line. Send the header X-Greenroom: cli.")
        try:
            return await endpoint(request)
        except _NotUnderstood as error:
            return _wrong(error.code, str(error))
        except GreenroomError as error:
            return _wrong(409, str(error))
        except Exception as error:
            log.exception("a request on the admin port failed with an unexpected error")
            return _wrong(
                500, f"The request failed with an unexpected error ({type(error).__name__}). See Greenroom's log."
            )

    return guarded


class _NotUnderstood(Exception):
    """A request that cannot be understood, with the HTTP status code of the answer."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


async def _body(request: Request, **wanted: type) -> Json:
    """Return the object in the request. It has the `wanted` keys with their types, and `by`. A list holds only strings.

    Raise `_NotUnderstood` when the request is too large or has another shape.
    """
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > MAX_BYTES:
            raise _NotUnderstood(413, "The request is too large.")
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(
        _is(found.get(key), kind) for key, kind in (*wanted.items(), ("by", str))
    ):
        example = ", ".join(f'"{key}": {SENT[key]}' for key in wanted)
        raise _NotUnderstood(400, f'The request is not valid. Send {{{example}, "by": "..."}}.')
    return found


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind) and (not isinstance(value, list) or all(isinstance(v, str) for v in value))


def _by(body: Json) -> str:
    """Return the name of the caller, as a line that fits into a sentence."""
    return plain(body["by"], 100)


def _answer(body: Json) -> Response:
    """Return an answer with the version of its format, which grows when a key is removed or changes its meaning."""
    return JSONResponse({"version": VERSION, **body})


def _wrong(code: int, sentence: str) -> Response:
    return JSONResponse({"version": VERSION, "error": sentence}, code)


def status(found: Status) -> Json:
    """Return a status as JSON. Times are in ISO 8601, UTC."""
    return {
        "name": found.name,
        "repository": found.repository,
        "slug": found.slug,
        "number": found.number,
        "title": found.title,
        "author": found.author,
        "url": found.url,
        "stage": found.stage.value,
        "reason": {"code": found.reason.code, "text": found.reason.text, "fix": found.reason.fix},
        "services": [
            {"service": s.service, "url": s.url, "sha": s.sha, "digest": s.digest, "ready": s.ready, "note": s.note}
            for s in found.services
        ],
        "links": [
            {"service": k.service, "target": k.target, "name": k.name, "why": k.why, "url": k.url, "page": k.page}
            for k in found.links
        ],
        "used_by": [
            {"name": u.name, "page": u.page, "misses": u.misses, "by_hand": u.manual_overrides} for u in found.used_by
        ],
        "seeds": list(found.seeds),
        "logins": list(found.logins),
        "answer": str(found.answer) if found.answer else "",
        "warning": str(found.warning) if found.warning else "",
        "by_hand": list(found.manual_overrides),
        "since": _iso(found.since),
        "created": _iso(found.created),
        "expires": _iso(found.expires),
        "expires_why": found.expires_why,
        "kept": found.kept,
        "head_sha": found.head_sha,
        "serves_head": found.serves_head,
        "serving": found.serving,
        "cause": found.cause,
        "log": list(found.log),
        "hold": str(found.hold or ""),
        "position": found.position,
        "overdue": found.overdue,
        "migrations": list(migration_lines(found.migrations)),
    }


def link(found: graphs.Edge) -> Json:
    """Return a link of the graph as JSON."""
    return {
        "preview": found.source,
        "service": found.target,
        "name": found.name,
        "why": found.why,
        "url": found.url,
        "version": found.version,
    }


def event(found: Event) -> Json:
    """Return an event as JSON."""
    return {"at": _iso(found.at), "kind": found.kind, "text": found.text, "data": dict(found.data)}


def trouble(found: Trouble) -> Json:
    """Return a trouble as JSON."""
    return {"title": found.title, "text": found.text}


def health(found: RepositoryHealth) -> Json:
    """Return a repository's health as JSON."""
    return {"name": found.name, "slug": found.slug, "read_at": _iso(found.read_at), "trouble": found.trouble}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
