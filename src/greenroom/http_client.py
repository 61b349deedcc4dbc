"""The one client for GitHub and registries. It uses the environment's proxy, except for this machine's addresses."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from greenroom import logs
from greenroom.errors import Failed

LOOPBACK = ("all://127.0.0.0/8", "all://[::1]", "all://localhost", "all://*.localhost")
READS = ("GET", "HEAD", "OPTIONS")


class Client(httpx2.AsyncClient):
    """A client that can give up its reads. It waits for every sent write, because only the answer says what it did."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._limits: set[asyncio.Timeout] = set()
        self._given_up = False

    def give_up(self) -> None:
        """End every pending read, and each that begins from now on, as one that took too long."""
        self._given_up = True
        for limit in self._limits:
            limit.reschedule(asyncio.get_running_loop().time())

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request. Raise `httpx2.ReadTimeout` for a read that was given up."""
        if not _only_reads(request):
            return await super().send(request, **options)
        limit = asyncio.timeout(0 if self._given_up else None)
        self._limits.add(limit)
        try:
            async with limit:
                return await super().send(request, **options)
        except TimeoutError:
            raise httpx2.ReadTimeout("Greenroom is shutting down.", request=request) from None
        finally:
            self._limits.discard(limit)


def _only_reads(request: httpx2.Request) -> bool:
    """Return whether a request changes nothing. Greenroom sends no GraphQL mutations."""
    return request.method in READS or (request.method == "POST" and request.url.path.endswith("/graphql"))


def client(seconds: float) -> Client:
    """Return a client that waits this long for each step of an answer. Raise `Failed` for an unsupported proxy."""
    try:
        return Client(timeout=seconds, mounts=dict.fromkeys(LOOPBACK))
    except (ImportError, ValueError) as error:  # ImportError for SOCKS, which needs another library
        kind = "Greenroom does not support SOCKS proxies" if isinstance(error, ImportError) else logs.scrub(str(error))
        raise Failed(
            f"The proxy in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY cannot be used ({kind})."
            " Set the variable to a URL that begins with http://, or unset it."
        ) from None
