"""The one client for GitHub and registries: through the environment's proxy, but never to this machine."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from greenroom import logs
from greenroom.errors import Failed

LOOPBACK = ("all://127.0.0.0/8", "all://[::1]", "all://localhost", "all://*.localhost")
READS = ("GET", "HEAD", "OPTIONS")


class Client(httpx2.AsyncClient):
    """A client whose reads end when told to. A write that was sent is waited for: only its answer says what it did."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._limits: set[asyncio.Timeout] = set()
        self._given_up = False

    def give_up(self) -> None:
        """End every read that is waited for, and each that is begun from now on, as one that took too long."""
        self._given_up = True
        for limit in self._limits:
            limit.reschedule(asyncio.get_running_loop().time())

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request. Raises `httpx2.ReadTimeout` for a read that was given up."""
        if not _only_reads(request):
            return await super().send(request, **options)
        limit = asyncio.timeout(0 if self._given_up else None)
        self._limits.add(limit)
        try:
            async with limit:
                return await super().send(request, **options)
        except TimeoutError:
            raise httpx2.ReadTimeout("Greenroom stops and waits no longer.", request=request) from None
        finally:
            self._limits.discard(limit)


def _only_reads(request: httpx2.Request) -> bool:
    """Whether nothing changes by it; Greenroom sends no mutation by GraphQL."""
    return request.method in READS or (request.method == "POST" and request.url.path.endswith("/graphql"))


def client(seconds: float) -> Client:
    """A client that waits so long for each step of an answer. Raises `Failed` when the proxy is none that it knows."""
    try:
        return Client(timeout=seconds, mounts=dict.fromkeys(LOOPBACK))
    except (ImportError, ValueError) as error:  # the first for SOCKS, which needs a library of its own
        kind = (
            "a SOCKS proxy is none that Greenroom knows" if isinstance(error, ImportError) else logs.scrub(str(error))
        )
        raise Failed(
            f"The proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names cannot be used ({kind})."
            " Name one that begins with http://, or unset it."
        ) from None
