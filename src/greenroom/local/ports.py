"""Loopback ports of this machine."""

from __future__ import annotations

import contextlib
import socket


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether nothing listens on a loopback port. A number that is not a port is not free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does: old connections do not count
        with contextlib.suppress(OSError, OverflowError):
            probe.bind(("127.0.0.1", port))
            return port > 0
    return False
