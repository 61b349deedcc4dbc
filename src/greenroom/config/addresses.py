"""Field types for addresses: domains, URLs and host:port. Each error message includes the fix."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
EVERYWHERE = ("0.0.0.0", "[::]")  # noqa: S104  # compared only, never bound
LABEL = 63
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.%\w-]+\]")


def domain(value: str) -> str:
    """Validate a domain. It has no scheme, port or `*`."""
    *_, last = labels = value.split(".")
    if len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)) or last.strip("0123456789-") == "":
        raise ValueError(f"{value!r} is not a valid domain. Write the bare domain, such as `preview.example.com`.")
    if long := next((label for label in labels if len(label) > LABEL), ""):
        raise ValueError(
            f"`{long[:20]}…` is longer than {LABEL} characters, the limit for each part of a domain. Shorten it."
        )
    return value


def url(value: str) -> str:
    """Validate an http(s) URL. It has a host, and its port, if any, is 1 to 65535."""
    try:
        parts = urlsplit(value)
        port, whole = parts.port, parts.scheme in ("http", "https") and parts.hostname
    except ValueError:  # the port is not a number or is above 65535, or a bracket is not closed
        raise ValueError(f"{value!r} has an invalid host or port. Ports range from 1 to 65535.") from None
    if port == 0:
        raise ValueError(f"{value!r} has an invalid host or port. Ports range from 1 to 65535.")
    if not whole:
        raise ValueError(f"{value!r} is not a valid URL. Write the full URL: https://{_guess(value)}.")
    return value


def api_url(value: str) -> str:
    """Validate the URL that an API's paths are appended to. It has no query, fragment or user."""
    parts = urlsplit(url(value))
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must contain only a host and a path. Write `https://HOST/api/v3`.")
    return value


def host(value: str) -> str:
    """Validate a registry's host name. It may have a port."""
    name, colon, port = value.partition(":")
    if not all(map(_LABEL.fullmatch, name.split("."))) or (colon and not is_port(port)):
        raise ValueError("is not a valid host. Write the bare host, such as `ghcr.io` or `registry.example.com:5000`.")
    return value


def listener(value: str) -> str:
    """Validate a host:port to listen on. Port 0 picks a free port."""
    where, _, port = value.rpartition(":")
    if not _HOST.fullmatch(where) or not is_port(port, least=0):
        raise ValueError(f"{value!r} is not a valid address. Write host:port, such as 127.0.0.1:8080.")
    return value


def loopback(value: str) -> str:
    """Validate a host:port on loopback, for listeners without authentication."""
    where = listener(value).rpartition(":")[0]
    if where not in LOOPBACK:
        raise ValueError(f"{where} is not a loopback address, and this listener has no authentication. Use 127.0.0.1.")
    return value


def collide(one: str, other: str) -> bool:
    """Return whether two listeners need the same port. Port 0 never collides."""
    (where, _, port), (where2, _, port2) = one.rpartition(":"), other.rpartition(":")
    if int(port) != int(port2) or int(port) == 0:
        return False
    same = {where, where2} <= set(LOOPBACK) or where == where2
    return same or where in EVERYWHERE or where2 in EVERYWHERE


def is_port(text: str, least: int = 1) -> bool:
    """Return whether a text is a port number of at least `least`."""
    return text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= 65535


def _guess(value: str) -> str:
    """Return the host that the value probably means, or an example."""
    bare = value.rpartition("://")[2]
    return bare if re.fullmatch(r"[a-z0-9.-]+\.[a-z]+(:\d+)?(/\S*)?", bare) else "service.staging.example.com"


Domain = Annotated[str, AfterValidator(domain)]
Url = Annotated[str, AfterValidator(url)]
ApiUrl = Annotated[str, AfterValidator(api_url)]
Host = Annotated[str, AfterValidator(host)]
OptionalUrl = Annotated[str, AfterValidator(lambda value: url(value) if value else value)]
Listener = Annotated[str, AfterValidator(listener)]
Loopback = Annotated[str, AfterValidator(loopback)]
