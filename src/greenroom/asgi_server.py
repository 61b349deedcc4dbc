"""A server for an ASGI application inside the caller's event loop. The caller decides when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the caller's loop decides when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def listener(host: str, port: int) -> socket.socket:
    """Return a listening socket that declares TCP: only then asyncio sends small answers at once (TCP_NODELAY)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        made.listen(2048)
    except OSError:
        made.close()
        raise
    return made


@asynccontextmanager
async def running(
    application: ASGIApp, port: int = 0, host: str = "127.0.0.1", *, websockets: bool = False
) -> AsyncIterator[str]:
    """Serve the application and yield its base URL. Port 0 takes a free port. Raise `OSError` when the port is taken.

    Without `websockets`, or without wsproto (the extra `demo`), upgrade requests are answered as plain HTTP.
    """
    bound = listener(host, port)
    config = uvicorn.Config(
        application,
        log_config=None,
        lifespan="off",
        ws="wsproto" if websockets and find_spec("wsproto") else "none",
        ws_ping_interval=None,  # a proxy adds no pings: each side checks the other itself
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await task
        bound.close()
