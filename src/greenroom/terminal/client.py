"""One call to the admin port of a running instance, with the standard library only: a command must start fast."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from greenroom.errors import Failed, FixConfiguration

SECONDS = 30


class Unreachable(Failed):
    """Nobody answers, or something else than Greenroom does. An instance that restarts is unreachable for a moment."""


def ask(admin: str, path: str, body: dict[str, Any] | None = None, query: Mapping[str, str] | None = None) -> Any:
    """Return the object in the answer to a GET with this query, or to a POST of `body`.

    Raise `Unreachable` when no Greenroom answers, `Failed` with its sentence when it refuses, and `FixConfiguration`
    when `admin` is not an address.
    """
    if not _is_address(admin):
        raise FixConfiguration(
            f"{admin} is not the address of an admin port. Use an address such as http://127.0.0.1:8083."
        )
    data = json.dumps(body).encode() if body is not None else None
    headers = {"X-Greenroom": "cli", "Content-Type": "application/json"}
    url = admin.rstrip("/") + urllib.parse.quote(path)
    url += f"?{urllib.parse.urlencode(query)}" if query else ""
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 -- scheme checked above
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise Failed(_sentence(error)) from None
    except http.client.HTTPException:
        raise _nobody(admin, "the server there does not speak HTTP") from None
    except OSError as error:
        raise _nobody(admin, getattr(error, "reason", error)) from None
    except ValueError:
        raise _nobody(admin, "the response is not from Greenroom") from None
    if not isinstance(found, dict):
        raise _nobody(admin, "the response is not from Greenroom")
    return found


def _is_address(admin: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(admin)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and admin.isascii()
    except ValueError:  # an invalid port or bracket
        return False


def _nobody(admin: str, why: object) -> Unreachable:
    return Unreachable(f"Greenroom is not responding at {admin} ({why}). Is `greenroom serve` running there?")


def _sentence(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"The admin port returned {error.code} {error.reason}."
