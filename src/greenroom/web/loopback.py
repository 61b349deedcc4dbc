"""Host check for applications without a login: they answer to loopback names only, which prevents DNS rebinding."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

NAMES = frozenset(("127.0.0.1", "localhost", "::1"))


class LoopbackOnly:
    """Middleware that answers 403 unless the Host header names loopback or one of `more`."""

    def __init__(self, application: ASGIApp, more: Collection[str] = ()) -> None:
        self._application = application
        self._names = NAMES.union(more)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application if the Host header is allowed; answer 403 otherwise."""
        headers = dict(scope.get("headers", []))
        if scope["type"] == "http" and _name(headers.get(b"host", b"").decode("latin-1")) not in self._names:
            refused = PlainTextResponse("Use 127.0.0.1 or localhost as the host name in this address.\n", 403)
            await refused(scope, receive, send)
            return
        await self._application(scope, receive, send)


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # a bracket that is not closed
        return None
