"""The admin port's JSON: what the command line asks of a running instance. Loopback only.

Every request needs the header `X-Greenroom: cli`, which no page of another site can send without being asked first.
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

from greenroom.controller.board import Board, RepositoryHealth
from greenroom.core import graph as graphs
from greenroom.core.status import Status
from greenroom.core.text import plain
from greenroom.errors import GreenroomError
from greenroom.store.rows import Event
from greenroom.web import said
from greenroom.web.loopback import LoopbackOnly
from greenroom.web.order import Trouble, expiry, problems_first, troubles
from greenroom.web.past import Past, seen

log = structlog.get_logger(__name__)

Json = dict[str, Any]
MAX_BYTES = 100_000
VERSION = 1
SENT = {"previews": '["shop#42"]', "holds": '{"shop#42": "..."}', "preview": '"shop#42"', "target": '"payments#17"'}


class Control(Protocol):
    """What may be asked of the running loop."""

    async def plan(self) -> list[Json]:
        """What the next pass would do."""

    async def release(self, names: list[str], by: str, seen: Mapping[str, str]) -> list[Json]:
        """Release exactly the holds that were seen, by the names of their previews."""

    async def roll(self, names: list[str], by: str) -> list[Json]:
        """Redeploy these previews with the current chart, settings and images."""

    async def use(self, name: str, text: str, by: str) -> Json:
        """Point a service that this preview uses elsewhere."""


class Swept(Protocol):
    """What a sweep found; each prints itself."""

    @property
    def orphans(self) -> Sequence[object]:
        """What belongs to nothing."""

    @property
    def deleted(self) -> Sequence[object]:
        """What of it was deleted."""


def admin(board: Board, past: Past, control: Control, sweep: Callable[[], Awaitable[Swept]] | None = None) -> Starlette:
    """The application. `sweep` is None with an engine that has nothing to sweep."""

    async def previews(request: Request) -> Response:
        found = problems_first(board.statuses.values())
        repositories = [health(r) for _, r in sorted(board.repositories.items())]
        shared = [trouble(t) for t in troubles(board.repositories.values())]
        return _answer({"previews": [status(s) for s in found], "repositories": repositories, "troubles": shared})

    async def preview(request: Request) -> Response:
        name, number = request.path_params["repository"], request.path_params["number"]
        found = await seen(board, past, name, number, limit=5)
        wrong = board.trouble(name)
        if found.status is None:
            now = f" {name} cannot be read now: {wrong}" if wrong else ""
            return _wrong(404, f"{found.unknown}{now}")
        return _answer(
            {
                "status": status(found.status),
                "expiry": expiry(found.status, board.now),
                "trouble": wrong,
                "events": [event(e) for e in found.events],
                "history": found.wrong,
            }
        )

    async def plan(request: Request) -> Response:
        return _answer({"actions": await control.plan()})

    async def release(request: Request) -> Response:
        body = await _body(request, previews=list, holds=dict)
        return _answer({"released": await control.release(body["previews"], _by(body), body["holds"])})

    async def roll(request: Request) -> Response:
        body = await _body(request, previews=list)
        return _answer({"rolled": await control.roll(body["previews"], _by(body))})

    async def use(request: Request) -> Response:
        body = await _body(request, preview=str, target=str)
        answer = await control.use(body["preview"], body["target"], _by(body))
        return _answer({**answer, "text": said.linked(answer, board.statuses.values())})

    async def graph(request: Request) -> Response:
        found = graphs.graph(board.statuses.values())
        links = [
            {
                "preview": e.source,
                "service": e.target,
                "name": e.name,
                "why": e.why,
                "url": e.url,
                "version": e.version,
            }
            for e in found.edges
        ]
        return _answer({"links": links, "apart": list(found.apart)})

    async def swept(request: Request) -> Response:
        if sweep is None:
            return _wrong(409, "The local engine leaves nothing to sweep; each removal is proved by itself.")
        done = await sweep()
        return _answer({"orphans": [str(o) for o in done.orphans], "deleted": [str(o) for o in done.deleted]})

    return Starlette(
        routes=[
            Route("/api/use", _asked(use), methods=["POST"]),
            Route("/api/graph", _asked(graph)),
            Route("/api/roll", _asked(roll), methods=["POST"]),
            Route("/api/sweep", _asked(swept), methods=["POST"]),
            Route("/api/previews", _asked(previews)),
            Route("/api/previews/{repository}/{number:int}", _asked(preview)),
            Route("/api/plan", _asked(plan)),
            Route("/api/release", _asked(release), methods=["POST"]),
        ],
        middleware=[Middleware(LoopbackOnly)],
    )


def _asked(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        if request.headers.get("x-greenroom") != "cli":
            return _wrong(403, "This port is for the command line; send the header X-Greenroom: cli.")
        try:
            return await endpoint(request)
        except _NotUnderstood as error:
            return _wrong(error.code, str(error))
        except GreenroomError as error:
            return _wrong(409, str(error))
        except Exception as error:
            log.exception("an answer on the admin port failed in a way that Greenroom does not know")
            return _wrong(
                500, f"That failed in a way that Greenroom does not know ({type(error).__name__}); see its log."
            )

    return guarded


class _NotUnderstood(Exception):
    """A request that says nothing that can be done, with the code of HTTP for it."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


async def _body(request: Request, **wanted: type) -> Json:
    """The object that was sent, with these keys of these types and who asks; a list is one of texts.

    Raises `_NotUnderstood`.
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
        raise _NotUnderstood(400, f'The request is not understood; send {{{example}, "by": "..."}}.')
    return found


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind) and (not isinstance(value, list) or all(isinstance(v, str) for v in value))


def _by(body: Json) -> str:
    """Who asks: a line that fits into a sentence."""
    return plain(body["by"], 100)


def _answer(body: Json) -> Response:
    """An answer with the version of its format, which grows when a key is removed or changes its meaning."""
    return JSONResponse({"version": VERSION, **body})


def _wrong(code: int, sentence: str) -> Response:
    return JSONResponse({"version": VERSION, "error": sentence}, code)


def status(found: Status) -> Json:
    """A status as JSON: times in ISO 8601, UTC."""
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
        "used_by": [{"name": u.name, "page": u.page, "misses": u.misses} for u in found.used_by],
        "answer": str(found.answer) if found.answer else "",
        "warning": str(found.warning) if found.warning else "",
        "by_hand": list(found.by_hand),
        "since": _iso(found.since),
        "created": _iso(found.created),
        "expires": _iso(found.expires),
        "expires_why": found.expires_why,
        "kept": found.kept,
        "serving": found.serving,
        "log": list(found.log),
        "hold": found.hold,
        "position": found.position,
        "overdue": found.overdue,
    }


def event(found: Event) -> Json:
    """An event as JSON."""
    return {"at": _iso(found.at), "kind": found.kind, "text": found.text, "data": dict(found.data)}


def trouble(found: Trouble) -> Json:
    """Return a trouble as JSON."""
    return {"title": found.title, "text": found.text}


def health(found: RepositoryHealth) -> Json:
    """A repository's health as JSON."""
    return {"name": found.name, "slug": found.slug, "read_at": _iso(found.read_at), "trouble": found.trouble}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
