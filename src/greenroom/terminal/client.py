"""One call to the admin port of a running instance, with the standard library: a command must start fast."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from greenroom.errors import Failed, FixConfiguration

SECONDS = 30


def ask(admin: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The JSON answer to a GET, or to a POST of `body`. Raises `Failed` with a sentence when there is none."""
    if urllib.parse.urlsplit(admin).scheme not in ("http", "https"):
        raise FixConfiguration(f"{admin} is no address of an admin port; it looks like http://127.0.0.1:8083.")
    data = json.dumps(body).encode() if body is not None else None
    headers = {"X-Greenroom": "cli", "Content-Type": "application/json"}
    request = urllib.request.Request(admin + path, data=data, headers=headers)  # noqa: S310 -- scheme checked above
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Failed(_sentence(error)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Failed(f"No Greenroom answers at {admin} ({reason}). Is `greenroom serve` running there?") from None


def _sentence(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"The admin port answered {error.code} {error.reason}."
