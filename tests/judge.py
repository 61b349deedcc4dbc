"""GitHub's own descriptions as the judge of every exchange with the simulator: REST by OpenAPI, GraphQL by the schema.

An ASGI wrapper: requests and responses that break GitHub's description, and paths that it does not have, are violations.
`COUNTS` holds how often each operation was judged in this test session.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from graphql import build_schema, parse, validate
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing.requests import MockRequest
from openapi_core.testing.responses import MockResponse
from openapi_schema_validator import OAS30Validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTRACTS = Path(__file__).parent / "contracts"
SCHEMA = Path(__file__).parents[1] / "src/greenroom/simulator/github.graphql"
COUNTS: Counter[str] = Counter()
JSON = "application/json"


@cache
def description() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CONTRACTS / "github-openapi.json").read_text())
    return loaded


@cache
def openapi() -> OpenAPI:
    return OpenAPI.from_dict(description())


def operations() -> list[str]:
    """Every operation that was kept of GitHub's description, as `GET /path`."""
    return [f"{method.upper()} {path}" for path, methods in description()["paths"].items() for method in methods]


@cache
def webhook_description() -> dict[str, Any]:
    with gzip.open(CONTRACTS / "webhook-schemas.json.gz") as file:
        loaded: dict[str, Any] = json.load(file)
    return loaded


def webhooks() -> list[str]:
    """Every webhook that was kept of GitHub's description, as `pull-request-labeled`."""
    return sorted(webhook_description()["webhooks"])


def webhook_violations(event: str, body: bytes) -> list[str]:
    """Return what in a webhook GitHub's description does not have, or has otherwise."""
    payload = json.loads(body)
    name, known = f"{event}-{payload['action']}".replace("_", "-"), webhook_description()
    validator = OAS30Validator({**known["webhooks"][name], "components": known["components"]})
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in validator.iter_errors(payload)]


@cache
def graphql_violations(query: str) -> tuple[str, ...]:
    schema = build_schema(SCHEMA.read_text(), assume_valid=True)
    return tuple(e.message for e in validate(schema, parse(query)))


class Judge:
    """Wraps an ASGI application; `violations` must be empty at the end."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self.violations: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        started: dict[str, Any] = {"status": 0, "headers": [], "body": b""}

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def listen(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.update(status=message["status"], headers=message["headers"])
            elif message["type"] == "http.response.body":
                started["body"] += message.get("body", b"")
            await send(message)

        await self._application(scope, replay, listen)
        self._judge(scope, body, started)

    def _judge(self, scope: Scope, body: bytes, answer: dict[str, Any]) -> None:
        path = scope["path"].removeprefix("/api/v3")
        if path.endswith("/graphql"):
            COUNTS["POST /graphql"] += 1
            self.violations += [f"GraphQL: {v}" for v in graphql_violations(json.loads(body)["query"])]
            return
        request = MockRequest(
            "http://localhost",
            scope["method"],
            f"/api/v3{_one_segment(unquote(path))}",
            args={k: v[-1] for k, v in parse_qs(scope["query_string"].decode()).items()},
            headers={k.decode(): v.decode() for k, v in scope["headers"]},
            data=body,
        )
        status, operation = answer["status"], f"{scope['method']} {_pattern(scope['method'], path)}"
        if operation not in operations():
            self.violations.append(f"{scope['method']} {path} -> {status}: not an operation of the judged description")
        if status in (500, 304) or _is_page(answer):
            return
        try:
            if status != 422:  # what GitHub refuses for its form may well be against its description
                openapi().validate_request(request)
            if status in _documented(operation) and status != 204:
                openapi().validate_response(request, MockResponse(answer["body"], status, content_type=JSON))
            elif status >= 400:
                self.violations += [f"{operation} -> {status}: {why}" for why in error_violations(answer["body"])]
            COUNTS[operation] += status < 300
        except OpenAPIError as error:
            self.violations.append(f"{scope['method']} {path} -> {status}: {_why(error)}")


def error_violations(body: bytes) -> list[str]:
    """Return what makes a body no error of GitHub's, for a status that its description of the operation leaves out."""
    schema = {"allOf": [{"$ref": "#/components/schemas/basic-error"}, {"required": ["message", "documentation_url"]}]}
    try:
        found = json.loads(body)
    except ValueError:
        return ["the body is not JSON"]
    validator = OAS30Validator({**schema, "components": description()["components"]})
    return [e.message for e in validator.iter_errors(found)]


def _documented(operation: str) -> set[int]:
    """Return the statuses that GitHub describes for an operation."""
    method, _, path = operation.partition(" ")
    responses = description()["paths"].get(path, {}).get(method.lower(), {}).get("responses", {})
    return {int(status) for status in responses}


def _one_segment(path: str) -> str:
    """Refs and labels may hold slashes, which OpenAPI's path parameters cannot say."""
    for before in ("/git/ref/", "/labels/"):
        head, found, tail = path.partition(before)
        if found:
            return f"{head}{before}{tail.replace('/', '%2F')}"
    return path


def _is_page(answer: dict[str, Any]) -> bool:
    return any(k.lower() == b"content-type" and b"html" in v for k, v in answer["headers"])


def _pattern(method: str, path: str) -> str:
    """The pattern of GitHub's description that a path falls under; the path itself when there is none."""
    parts = path.strip("/").split("/")
    best = ""
    for pattern, methods in description()["paths"].items():
        wanted = pattern.strip("/").split("/")
        long = wanted[-1] in ("{ref}", "{name}") and len(parts) >= len(wanted)
        same = len(parts) == len(wanted) or long
        fits = same and all(w == p or w.startswith("{") for w, p in zip(wanted, parts, strict=False))
        if fits and method.lower() in methods and pattern.count("{") < (best.count("{") if best else 99):
            best = pattern
    return best or path


def _why(error: BaseException) -> str:
    cause = error.__cause__
    errors = getattr(error, "schema_errors", None) or getattr(cause, "schema_errors", None)
    if errors:
        return "; ".join(f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in list(errors)[:3])
    return f"{type(error).__name__}: {error} {cause or ''}"[:300]


async def _read(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
