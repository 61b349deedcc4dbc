"""The simulator as an ASGI application: authentication, the clock, rate limits, and faults."""

from __future__ import annotations

import copy
import json
from collections import Counter
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from greenroom.simulator import lfs, payloads, queries
from greenroom.simulator.replica import Replica
from greenroom.simulator.rest import Rest, Wrong
from greenroom.simulator.world import User, World

PAGE = "<!doctype html><title>Unicorn!</title><h1>This page is taking too long to load.</h1>"

ENDED = (
    "Something went wrong while executing your query. This may be the result of a timeout, or it could be a GitHub bug."
)


class Dropped(Exception):
    """The answer to a write was lost."""


class Simulator:
    """GitHub over HTTP: REST at `/` and `/api/v3`, GraphQL at `/graphql` and `/api/graphql`, and Git LFS.

    `requests` counts by method and path pattern; `unknown` lists paths that no operation matched.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.requests: Counter[str] = Counter()
        self.unknown: list[str] = []
        self._live = api(world)
        self._stale: tuple[Starlette, World] | None = None
        self._replica: Replica | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an ASGI request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body = await request.body()
        response = await self._answer(request, body)
        if isinstance(response, Dropped):
            raise response
        await response(scope, receive, send)

    async def _answer(self, request: Request, body: bytes) -> Response | Dropped:
        world, path = self.world, request.url.path.removeprefix("/api/v3")
        if (found := lfs.answer(world, request, body)) is not None:
            return found
        who = self._who(request)
        faults = world.faults
        if who is None or faults.fires("unauthorized", path):
            return self._with_headers(path, _error(401, "Bad credentials"))
        if faults.fires("forbidden", path):
            return self._with_headers(path, _error(403, "Resource not accessible by personal access token"))
        if faults.fires("not-found", path):
            return self._with_headers(path, _error(404, "Not Found"))
        if faults.fires("server-error", path):
            return self._with_headers(path, JSONResponse({"message": "Server Error"}, 500))
        if faults.fires("html", path):
            return self._with_headers(path, HTMLResponse(PAGE))
        if faults.fires("secondary-limit", path):
            message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            return self._with_headers(path, _error(403, message, {"retry-after": "60"}))
        reading = request.method == "GET" or path.endswith("/graphql")
        inner = await self._inner(request, body, who, self._reader(path) if reading else self._writer(path))
        if not reading and inner.status_code < 300 and faults.fires("dropped-write", path):
            return Dropped(path)
        return self._with_headers(path, inner, who)

    def lag(self, behind: timedelta) -> None:
        """Make every read show the world as it was that long ago. Call this before the change to hide."""
        self._replica = self._replica or Replica(self.world)
        self._replica.lag(behind)
        self.world.faults.on("lagging-replica")

    def _writer(self, path: str) -> Starlette:
        if not self.world.faults.fires("ignored-write", path):
            return self._live
        return api(_copied(self.world))

    def _reader(self, path: str) -> Starlette:
        if self._replica is not None and self.world.faults.fires("lagging-replica", path):
            return api(self._replica.world())
        if "stale" not in self.world.faults.active:
            self._stale = None
            return self._live
        if self._stale is None:
            frozen = _copied(self.world)
            self._stale = api(frozen), frozen
        return self._stale[0] if self.world.faults.fires("stale", path) else self._live

    def freeze(self) -> None:
        """Take the snapshot for "stale" answers. Switch the fault on first."""
        self._reader("")

    async def _inner(self, request: Request, body: bytes, who: User, application: Starlette) -> Response:
        scope = dict(request.scope)
        scope["state"] = {"user": who}
        for prefix in ("/api/v3", "/api"):
            if scope["path"].startswith(f"{prefix}/"):
                scope["path"] = scope["path"].removeprefix(prefix)
                scope["raw_path"] = scope["path"].encode()
                break
        self._count(scope)
        return await _collected(application, scope, body, str(request.base_url).rstrip("/"))

    def _count(self, scope: Scope) -> None:
        for route in self._live.routes:
            match, _ = route.matches(scope)
            if match is Match.FULL and isinstance(route, Route | Mount):
                self.requests[f"{scope['method']} {route.path}"] += 1
                return
        self.unknown.append(f"{scope['method']} {scope['path']}")

    def _who(self, request: Request) -> User | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return self.world.tokens.get(token) if scheme.lower() in ("token", "bearer") else None

    def _with_headers(self, path: str, response: Response, who: User | None = None) -> Response:
        now = self.world.now()
        if self.world.faults.fires("wrong-date", path):
            now += timedelta(days=1)
        response.headers["date"] = format_datetime(now, usegmt=True)
        response.headers["x-github-request-id"] = f"{self.world.id():X}"
        if path.endswith("/graphql"):
            return self._with_points(response, who)
        response.headers["x-ratelimit-limit"] = "5000"
        response.headers["x-ratelimit-remaining"] = "4999"
        response.headers["x-ratelimit-reset"] = str(int(now.timestamp()) + 3600)
        response.headers["x-ratelimit-used"] = "1"
        response.headers["x-ratelimit-resource"] = "core"
        return response

    def _with_points(self, response: Response, who: User | None) -> Response:
        points = self.world.points
        if points.limit is None or points.reset is None or who is None:
            return response
        used = points.used(who.login)
        response.headers["x-ratelimit-limit"] = str(points.limit)
        response.headers["x-ratelimit-remaining"] = str(points.limit - used)
        response.headers["x-ratelimit-reset"] = str(int(points.reset.timestamp()))
        response.headers["x-ratelimit-used"] = str(used)
        response.headers["x-ratelimit-resource"] = "graphql"
        return response


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error with all the fields that GitHub's errors have."""
    body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return JSONResponse(body, status, headers)


def _copied(world: World) -> World:
    """Return an independent copy of the world, without webhooks."""
    frozen = copy.copy(world)
    frozen.repositories, frozen.listeners = copy.deepcopy(world.repositories), []
    return frozen


def api(world: World) -> Starlette:
    """Return the API of GitHub over a world, without faults."""

    async def graphql(request: Request) -> Response:
        body: dict[str, Any] = json.loads(await request.body())
        query, variables = body["query"], body.get("variables") or {}
        for fault, status in (("bad-gateway", 502), ("gateway-timeout", 504)):
            if queries.heavy(world, fault, query, variables):
                return JSONResponse({"data": None, "errors": [{"message": ENDED}]}, status)
        return JSONResponse(queries.answer(world, request.state.user, query, variables))

    async def wrong(request: Request, error: Exception) -> Response:
        assert isinstance(error, Wrong)
        headers = {"location": error.body["url"]} if error.status == 301 else None
        return JSONResponse(error.body, error.status, headers=headers)

    async def unknown(request: Request, error: Exception) -> Response:
        return _error(404, "Not Found")

    routes = [*Rest(world).routes(), Route("/graphql", graphql, methods=["POST"])]
    return Starlette(routes=routes, exception_handlers={Wrong: wrong, 404: unknown, 405: unknown})


async def _collected(application: ASGIApp, scope: Scope, body: bytes, here: str) -> Response:
    """Run an inner application on a body that was already read. Return its whole answer, with links to `here`."""
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        first, sent = not sent, True
        return {"type": "http.request", "body": body if first else b"", "more_body": False}

    found: dict[str, Any] = {"status": 500, "headers": [], "body": b""}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.update(status=message["status"], headers=message["headers"])
        elif message["type"] == "http.response.body":
            found["body"] += message.get("body", b"")

    await application(scope, receive, send)
    ours, served = payloads.WEB.encode(), here.encode()
    response = Response(found["body"].replace(ours, served), found["status"])
    kept = [(k, v.replace(ours, served)) for k, v in found["headers"] if k not in (b"date", b"content-length")]
    response.raw_headers = [h for h in response.raw_headers if h[0] == b"content-length"] + kept
    return response
