"""Endpoint of Argo CD's plugin generator, on a port of its own. Argo CD asks here for specs.

Argo CD reads an empty 200, `null` or `{}` as "no previews". An uncertain answer is therefore a 503, and an unknown name
a 404.
https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators-Plugin/
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from greenroom.errors import Doubt

MAX_BYTES = 64 * 1024
NAME = re.compile(r"[a-z0-9.-]{1,253}")
Answer = Callable[[str], list[dict[str, Any]] | None]


def plugin(token: str, answer: Answer) -> Starlette:
    """Return the application. `answer(name)` returns the specs of an ApplicationSet, or None for one that is not ours.

    A `Doubt` becomes a 503.
    """
    expected = f"Bearer {token}".encode()

    async def execute(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            return _error(401, "the token is not the one in Greenroom's plugin Secret")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                return _error(413, f"the request is larger than {MAX_BYTES} bytes")
        name = _name(bytes(body))
        if not name:
            return _error(400, "the request has no valid applicationSetName")
        try:
            parameters = answer(name)
        except Doubt as error:
            return _error(503, str(error))
        if parameters is None:
            return _error(404, f"this instance does not serve an ApplicationSet {name}")
        return JSONResponse({"output": {"parameters": parameters}})

    return Starlette(routes=[Route("/api/v1/getparams.execute", execute, methods=["POST"])])


def _name(body: bytes) -> str:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    name = asked.get("applicationSetName") if isinstance(asked, dict) else None
    return name if isinstance(name, str) and NAME.fullmatch(name) else ""


def _error(code: int, message: str) -> Response:
    return JSONResponse({"error": message}, code)
