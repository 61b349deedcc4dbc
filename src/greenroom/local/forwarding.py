"""Requests to the previews' port as they are forwarded: the host, the target and the headers.

https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 (hop-by-hop fields)
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
    """The request is not valid. The message is for its sender."""


@dataclass(frozen=True, slots=True)
class ForwardedRequest:
    """A request as it is forwarded. `host` is in lower case and has no port."""

    host: str
    target: bytes
    headers: Headers


def forwarded(scope: Scope, by_path: str) -> ForwardedRequest:
    """Return a request as it is forwarded. Raise `Malformed` if it is not valid.

    In a request to the proxy itself, a path below `by_path` names the host. The whole Host header is compared, so that
    a page at `127.0.0.1.evil.example`, which may resolve to this machine, cannot reach a preview.
    """
    target = scope.get("raw_path") or scope["path"].encode()
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    if absolute := _ABSOLUTE.fullmatch(target):  # servers must accept this form and use its host (RFC 9112, 3.2)
        host, target = absolute[1], absolute[2] or b"/"
    if not target.startswith(b"/") and (scope.get("method"), target) != ("OPTIONS", b"*"):
        raise Malformed("The request's target is not a path. Send the path only, for example /index.html.")
    if _OURSELVES.fullmatch(host) and target.startswith(by_path.encode()):
        host, _, rest = target.removeprefix(by_path.encode()).partition(b"/")
        target = b"/" + rest
    name = _HOST.fullmatch(host)
    if name is None:
        raise Malformed("The request does not name a valid host. Send the preview's host name in the Host header.")
    if query := scope["query_string"]:
        target += b"?" + query
    ours = {b"host": host, b"x-forwarded-host": host, b"x-forwarded-proto": b"http"}
    kept = ((k, v) for k, v in end_to_end(scope["headers"]) if k not in ours)
    return ForwardedRequest(name[1].decode().lower(), target, (*kept, *ours.items()))


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers without the hop-by-hop ones and those that `Connection` names."""
    found = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in found if name == b"connection" for token in value.split(b",")}
    return tuple((name, value) for name, value in found if name not in _HOP | named)
