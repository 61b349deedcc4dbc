"""The one client for GitHub and registries: through the proxy that the environment names, but never to this machine."""

from __future__ import annotations

import httpx2

from greenroom import logs
from greenroom.errors import Failed

LOOPBACK = ("all://127.0.0.0/8", "all://[::1]", "all://localhost", "all://*.localhost")


def client(seconds: float) -> httpx2.AsyncClient:
    """A client that waits so long for each step of an answer. Raises `Failed` when the proxy is none that it knows."""
    try:
        return httpx2.AsyncClient(timeout=seconds, mounts=dict.fromkeys(LOOPBACK))
    except (ImportError, ValueError) as error:  # the first for SOCKS, which needs a library of its own
        kind = (
            "a SOCKS proxy is none that Greenroom knows" if isinstance(error, ImportError) else logs.scrub(str(error))
        )
        raise Failed(
            f"The proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names cannot be used ({kind})."
            " Name one that begins with http://, or unset it."
        ) from None
