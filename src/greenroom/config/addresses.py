"""Field types for addresses: domains, URLs and host:port; each refuses with a sentence that holds the fix."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
EVERYWHERE = ("0.0.0.0", "[::]")  # noqa: S104  # named, not listened on


def domain(value: str) -> str:
    """A domain without scheme, port or `*`."""
    if not re.fullmatch(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*", value):
        raise ValueError(f"{value!r} is no domain. Write it bare, such as `preview.example.com`.")
    return value


def url(value: str) -> str:
    """An http(s) URL with a host, and a port that there is."""
    try:
        parts = urlsplit(value)
        port, whole = parts.port, parts.scheme in ("http", "https") and parts.hostname
    except ValueError:  # a port that is no number or above 65535, or a bracket that is not closed
        raise ValueError(f"{value!r} has a host or port that cannot be. Ports are 1 to 65535.") from None
    if port == 0:
        raise ValueError(f"{value!r} has a host or port that cannot be. Ports are 1 to 65535.")
    if not whole:
        raise ValueError(f"{value!r} is no URL. Write it whole: https://{_guess(value)}.")
    return value


def listener(value: str) -> str:
    """host:port to listen on; port 0 takes a free one."""
    host, _, port = value.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{value!r} is no address. Write host:port, such as 127.0.0.1:8080.")
    return value


def loopback(value: str) -> str:
    """host:port on loopback, for what asks nobody who they are."""
    host = listener(value).rpartition(":")[0]
    if host not in LOOPBACK:
        raise ValueError(f"{host} is no loopback address, and it asks nobody who they are. Use 127.0.0.1.")
    return value


def collide(one: str, other: str) -> bool:
    """Whether two listeners want one port. Port 0 is always another one."""
    (host, _, port), (host2, _, port2) = one.rpartition(":"), other.rpartition(":")
    if int(port) != int(port2) or int(port) == 0:
        return False
    same = {host, host2} <= set(LOOPBACK) or host == host2
    return same or host in EVERYWHERE or host2 in EVERYWHERE


def _guess(value: str) -> str:
    """The host that somebody probably meant."""
    bare = value.rpartition("://")[2]
    return bare if re.fullmatch(r"[a-z0-9.-]+\.[a-z]+(:\d+)?(/\S*)?", bare) else "service.staging.example.com"


Domain = Annotated[str, AfterValidator(domain)]
Url = Annotated[str, AfterValidator(url)]
OptionalUrl = Annotated[str, AfterValidator(lambda value: url(value) if value else value)]
Listener = Annotated[str, AfterValidator(listener)]
Loopback = Annotated[str, AfterValidator(loopback)]
