"""Image references and authentication challenges, parsed strictly.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from greenroom.errors import FixConfiguration

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER = re.compile(r'([a-zA-Z_]+)=(?:"([^"]*)"|([^\s,]+))')


HUB = "registry-1.docker.io"  # where Docker Hub's API answers; people do not write it
_HUB_NAMES = ("docker.io", "index.docker.io", HUB)


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference: registry host (with port), repository, and tag or digest."""

    host: str
    repository: str
    tag: str


def reference(text: str) -> Reference:
    """Parse `host/name:tag` or `host/name@sha256:...`. Accept Docker Hub's short names."""
    host, slash, rest = text.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "docker.io", text
    name, at, tag = rest.partition("@")
    if not at:
        name, _, tag = rest.partition(":")
    good_tag = _DIGEST.fullmatch(tag) if at else _TAG.fullmatch(tag)
    if not _NAME.fullmatch(name) or not good_tag:
        raise FixConfiguration(
            f"{text!r} is not a valid image reference. Write it as registry.example.com/shop/catalog:TAG."
        )
    host = asked(host)
    if host == HUB and "/" not in name:
        name = f"library/{name}"
    return Reference(host, name, tag)


def asked(host: str) -> str:
    """Return the host to query. Docker Hub has three names."""
    return HUB if host in _HUB_NAMES else host


def written(host: str) -> str:
    """Return a host as people write it."""
    return "docker.io" if host == HUB else host


@dataclass(frozen=True, slots=True)
class Challenge:
    """A registry's authentication challenge: `basic`, or `bearer` with a realm that issues tokens."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def challenge(header: str) -> Challenge | None:
    """Parse a WWW-Authenticate header. Return None if it asks for another scheme."""
    scheme, _, rest = header.strip().partition(" ")
    given = {k.lower(): quoted or bare for k, quoted, bare in _PARAMETER.findall(rest)}
    match scheme.lower():
        case "basic":
            return Challenge("basic")
        case "bearer" if given.get("realm"):
            return Challenge("bearer", given["realm"], given.get("service", ""), given.get("scope", ""))
        case _:
            return None
