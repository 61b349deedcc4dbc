"""What a request to the previews' port asks for: the host, the target, and the headers to pass on.

https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 (fields that concern one connection only)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.types import Scope

Headers = tuple[tuple[bytes, bytes], ...]
_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailers",
        b"transfer-encoding",
        b"upgrade",
    }
)
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]*)(:[0-9]{0,5})?")
_OURSELVES = re.compile(rb"127\.0\.0\.1(:\d+)?")
_ABSOLUTE = re.compile(rb"(?i)https?://([^/?#]*)(.*)", re.DOTALL)


class Malformed(Exception):
    """A request that is not valid. The message is a sentence for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is passed on. `host` is in lower case and without a port."""

    host: str
    target: bytes
    headers: Headers


def asked(scope: Scope, by_path: str) -> Asked:
    """Return what a request asks for. Raises `Malformed`.

    A path below `by_path` names the host, if the request was sent to the proxy itself. The whole Host header is
    compared: a page of `127.0.0.1.evil.example`, a name that leads here, names no preview.
    """
    target = scope.get("raw_path") or scope["path"].encode()
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    if absolute := _ABSOLUTE.fullmatch(target):  # a server has to accept this form, and its host counts (RFC 9112, 3.2)
        host, target = absolute[1], absolute[2] or b"/"
    if not target.startswith(b"/") and (scope.get("method"), target) != ("OPTIONS", b"*"):
        raise Malformed("The request's target is not a path. Send the path only, for example /index.html.")
    if _OURSELVES.fullmatch(host) and target.startswith(by_path.encode()):
        host, _, rest = target.removeprefix(by_path.encode()).partition(b"/")
        target = b"/" + rest
    name = _HOST.fullmatch(host)
    if name is None:
        raise Malformed("The Host header is not a valid host name. Send the preview's name, with or without a port.")
    if query := scope["query_string"]:
        target += b"?" + query
    kept = tuple((k, v) for k, v in passed_on(scope["headers"]) if k != b"host")
    forwarded = ((b"host", host), (b"x-forwarded-host", host), (b"x-forwarded-proto", b"http"))
    return Asked(name[1].decode().lower(), target, (*kept, *forwarded))


def passed_on(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers without those of the connection, and without those that `Connection` names."""
    found = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in found if name == b"connection" for token in value.split(b",")}
    return tuple((name, value) for name, value in found if name not in _HOP | named)
