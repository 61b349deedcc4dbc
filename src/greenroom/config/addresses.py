"""Field types for addresses: domains, URLs and host:port; each refuses with a sentence that holds the fix."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
EVERYWHERE = ("0.0.0.0", "[::]")  # noqa: S104  # named, not listened on
LABEL = 63
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.%\w-]+\]")


def domain(value: str) -> str:
    """A domain without scheme, port or `*`."""
    *_, last = labels = value.split(".")
    if len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)) or last.strip("0123456789-") == "":
        raise ValueError(f"{value!r} is no domain. Write it bare, such as `preview.example.com`.")
    if long := next((label for label in labels if len(label) > LABEL), ""):
        raise ValueError(f"`{long[:20]}…` is longer than the {LABEL} characters between two dots. Shorten it.")
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


def api_url(value: str) -> str:
    """The URL that an API's paths are added to."""
    parts = urlsplit(url(value))
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("holds more than a host and a path. Write `https://HOST/api/v3`.")
    return value


def host(value: str) -> str:
    """A registry's host, with a port where it has one of its own."""
    name, colon, port = value.partition(":")
    if not all(map(_LABEL.fullmatch, name.split("."))) or (colon and not is_port(port)):
        raise ValueError("is no host. Write it bare, such as `ghcr.io` or `registry.example.com:5000`.")
    return value


def listener(value: str) -> str:
    """host:port to listen on; port 0 takes a free one."""
    where, _, port = value.rpartition(":")
    if not _HOST.fullmatch(where) or not is_port(port, least=0):
        raise ValueError(f"{value!r} is no address. Write host:port, such as 127.0.0.1:8080.")
    return value


def loopback(value: str) -> str:
    """host:port on loopback, for what asks nobody who they are."""
    where = listener(value).rpartition(":")[0]
    if where not in LOOPBACK:
        raise ValueError(f"{where} is no loopback address, and it asks nobody who they are. Use 127.0.0.1.")
    return value


def collide(one: str, other: str) -> bool:
    """Whether two listeners want one port. Port 0 is always another one."""
    (where, _, port), (where2, _, port2) = one.rpartition(":"), other.rpartition(":")
    if int(port) != int(port2) or int(port) == 0:
        return False
    same = {where, where2} <= set(LOOPBACK) or where == where2
    return same or where in EVERYWHERE or where2 in EVERYWHERE


def is_port(text: str, least: int = 1) -> bool:
    """Whether something can listen there."""
    return text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= 65535


def _guess(value: str) -> str:
    """The host that somebody probably meant."""
    bare = value.rpartition("://")[2]
    return bare if re.fullmatch(r"[a-z0-9.-]+\.[a-z]+(:\d+)?(/\S*)?", bare) else "service.staging.example.com"


Domain = Annotated[str, AfterValidator(domain)]
Url = Annotated[str, AfterValidator(url)]
ApiUrl = Annotated[str, AfterValidator(api_url)]
Host = Annotated[str, AfterValidator(host)]
OptionalUrl = Annotated[str, AfterValidator(lambda value: url(value) if value else value)]
Listener = Annotated[str, AfterValidator(listener)]
Loopback = Annotated[str, AfterValidator(loopback)]
