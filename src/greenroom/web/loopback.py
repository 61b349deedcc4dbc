"""Applications that ask nobody who they are answer to loopback names only: a page elsewhere cannot rebind its name."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

NAMES = frozenset(("127.0.0.1", "localhost", "::1"))


class LoopbackOnly:
    """Refuses every other Host header with 403."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        headers = dict(scope.get("headers", []))
        if scope["type"] == "http" and _name(headers.get(b"host", b"").decode("latin-1")) not in NAMES:
            refused = PlainTextResponse("Open this under 127.0.0.1 or localhost.\n", 403)
            await refused(scope, receive, send)
            return
        await self._application(scope, receive, send)


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # a bracket that is not closed
        return None
