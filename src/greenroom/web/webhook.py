"""The webhook endpoint: size cap, signature over the raw bytes, a hint for the loop, 202 within milliseconds.

A webhook is a hint where to look, never a fact. No input of a sender makes this answer 500.
https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from greenroom.controller.instance import Hint
from greenroom.errors import FixConfiguration

MAX_BYTES = 5 * 1024 * 1024
EVENTS = frozenset(
    {
        "check_run",
        "check_suite",
        "deployment",
        "deployment_status",
        "installation",
        "installation_repositories",
        "issue_comment",
        "label",
        "package",
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "push",
        "registry_package",
        "repository",
        "workflow_run",
    }
)


@dataclass(frozen=True, slots=True)
class DeploymentSeen:
    """A deployment status as GitHub reported it, for the history."""

    hint: Hint
    key: str
    at: datetime
    environment: str
    sha: str
    state: str
    url: str


OnHint = Callable[[Hint], None]
OnDeployment = Callable[[DeploymentSeen], None]
OnOutcome = Callable[[str], None]


def webhook(
    secrets: Sequence[str], on_hint: OnHint, on_deployment: OnDeployment, on_outcome: OnOutcome = lambda outcome: None
) -> Starlette:
    """Return the application for POST /webhook. It takes one secret, or two while they rotate.

    Raise `FixConfiguration` at once when a secret is empty.
    """
    if not secrets or not all(secrets):
        raise FixConfiguration(
            "A webhook secret is missing or empty, so anyone could send webhooks. Set GREENROOM_WEBHOOK_SECRET, or"
            " the sources that `github.webhookSecretsFrom:` names."
        )
    keys = tuple(s.encode() for s in secrets)

    async def receive(request: Request) -> Response:
        status, outcome = await _received(request, keys, on_hint, on_deployment)
        on_outcome(outcome)
        return JSONResponse({"status": outcome}, status)

    return Starlette(routes=[Route("/webhook", receive, methods=["POST"])])


async def _received(
    request: Request, keys: Sequence[bytes], on_hint: OnHint, on_deployment: OnDeployment
) -> tuple[int, str]:
    body = await _body(request)
    if body is None:
        return 413, "too large"
    if not _signed(body, request.headers.get("x-hub-signature-256", ""), keys):
        return 401, "wrong signature"
    event = request.headers.get("x-github-event", "")
    if not event:
        return 400, "no event"
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return 400, "not JSON"
    hint = hint_of(event, payload)
    if hint is None:
        return 202, "ignored"
    on_hint(hint)
    if event == "deployment_status" and (seen := deployment_of(hint, payload)):
        on_deployment(seen)
    return 202, "accepted"


async def _body(request: Request) -> bytes | None:
    """Return the raw body, or None when it is larger than the cap. Content-Length is not trusted."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BYTES:
                return None
            parts.append(part)
    except ClientDisconnect:
        return b""
    return b"".join(parts)


def _signed(body: bytes, header: str, keys: Sequence[bytes]) -> bool:
    """Return whether one of the secrets signed the body. Only SHA-256 counts; bytes are compared in constant time."""
    given = header.encode("latin-1", "replace")
    expected = [b"sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest().encode() for key in keys]
    return any(hmac.compare_digest(given, e) for e in expected)


def hint_of(event: str, payload: object) -> Hint | None:
    """Return the hint in a payload, or None when the event is unknown or concerns no repository."""
    if event not in EVENTS or not isinstance(payload, Mapping):
        return None
    repository = _mapping(payload, "repository")
    repository_id = repository.get("id")
    if not isinstance(repository_id, int) or isinstance(repository_id, bool):
        return None
    about = _mapping(payload, "pull_request") or _mapping(payload, "issue")
    number = about.get("number")
    fresh = event == "pull_request"
    return Hint(
        repository_id=repository_id,
        slug=str(repository.get("full_name", "")),
        event=event,
        action=str(payload.get("action", "")),
        number=number if isinstance(number, int) else None,
        updated_at=_time(about.get("updated_at")) if fresh else None,
    )


def deployment_of(hint: Hint, payload: Mapping[str, Any]) -> DeploymentSeen | None:
    """Return a deployment status for the history, or None when it lacks a field that the history needs."""
    status, deployment = _mapping(payload, "deployment_status"), _mapping(payload, "deployment")
    at = _time(status.get("created_at"))
    if at is None or "id" not in status:
        return None
    return DeploymentSeen(
        hint=hint,
        key=f"github:{hint.repository_id}:{status['id']}",
        at=at,
        environment=str(deployment.get("environment", ""))[:255],
        sha=str(deployment.get("sha", ""))[:64],
        state=str(status.get("state", ""))[:32],
        url=str(status.get("environment_url") or status.get("target_url") or ""),
    )


def _mapping(payload: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = payload.get(key)
    return found if isinstance(found, Mapping) else {}


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return at if at.tzinfo else None
