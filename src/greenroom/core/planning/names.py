"""Names that are always valid, stable, and distinct for distinct inputs.

A name stays as it is if Kubernetes accepts it. Otherwise it is made safe and gets `--` and a hash of the input. Inputs
that contain `--` are always hashed, so no input can equal another one's hashed name.
https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
"""

from __future__ import annotations

import hashlib
import re

from greenroom.core.model.catalog import Platform, Repository, Service
from greenroom.core.model.spec import Names

LABEL = 63
SHORT = 30  # characters of a repository's short name
_HASH = 10
_HASHED = re.compile(rf"[a-z0-9](?:[a-z0-9]|-(?!-))*--[0-9a-f]{{{_HASH}}}")
_SAFE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def slug(text: str, limit: int) -> str:
    """Return a DNS label of at most `limit` characters (at least 13) for any Unicode text."""
    if len(text) <= limit and _SAFE.fullmatch(text) and "--" not in text:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    safe = re.sub(r"[^a-z0-9]+", "-", text.lower().encode("ascii", "ignore").decode()).strip("-")
    safe = safe[: limit - _HASH - 2].strip("-")
    return f"{safe or 'x'}--{digest}"


def short(repository: str) -> str:
    """Return the short name that people type for a GitHub repository, at most `SHORT` characters.

    `Web.App` becomes `web-app`, without a hash. If two repositories of a catalog would get the same short name, `check`
    reports a mistake. A name that is too long, or has no Latin letter, is hashed.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", repository.lower()).strip("-") if repository.isascii() else ""
    return plain if 0 < len(plain) <= SHORT else slug(repository.lower(), SHORT)


def namespace(prefix: str, repository: str, number: int) -> str:
    """Return the namespace of a preview, `preview-NAME-NUMBER`. It is also the name of its Argo CD Application.

    A short name that already contains a hash is used as it is, because a second hash would only make it longer.
    """
    tail = f"-{number}"
    room = LABEL - len(prefix) - 1 - len(tail)
    hashed = len(repository) <= room and _HASHED.fullmatch(repository)
    return f"{prefix}-{repository if hashed else slug(repository, room)}{tail}"


def host(service: str, number: int, domain: str) -> str:
    """Return the public host of a service in a preview, `SERVICE-pr-N.DOMAIN`. It is one label deep, for a wildcard
    certificate.
    """
    tail = f"-pr-{number}"
    return f"{slug(service, LABEL - len(tail))}{tail}.{domain}"


def naming(platform: Platform, repository: Repository, number: int) -> Names:
    """Return all names that a preview of this pull request has under this configuration."""
    name = namespace(platform.prefix, repository.name, number)
    public = (s for s in repository.services if s.public and s.web)
    hosts = {s.name: host(s.name, number, platform.domain) for s in public}
    return Names(name=name, namespace=name, label=platform.label, hosts=hosts, repository=repository.name)


def inside(platform: Platform, service: Service, naming: Names) -> str:
    """Return the address at which another preview calls a service of this one; empty when the service cannot be
    reached.
    """
    if service.web is None:
        return ""
    host_name = naming.host(service.name) or ""
    if "{host}" in platform.inside and not host_name:
        return ""
    return platform.inside.format(
        service=service.name, namespace=naming.namespace, port=service.web.port, host=host_name
    )


def url(platform: Platform, host_name: str) -> str:
    """Return the address that people open."""
    port = f":{platform.port}" if platform.port else ""
    return f"{platform.scheme}://{host_name}{port}"
