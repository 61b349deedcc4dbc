"""Warnings about settings that are allowed but probably unintended.

`greenroom check` prints them. They do not make the configuration invalid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from greenroom.config import redaction
from greenroom.config.folder import Folder, Found
from greenroom.config.needs import NeedModel
from greenroom.config.platform import PlatformModel
from greenroom.config.quota_room import without_room
from greenroom.config.service import ServiceModel
from greenroom.config.variables import variables
from greenroom.core.planning import names
from greenroom.errors import Mistake

NAMESPACE = "kubernetes.io/metadata.name"
Warned = tuple[str, str, str]


def advice(folder: Folder, found: Iterable[Found]) -> Iterator[Mistake]:
    """Yield a warning for each setting that deserves a second look."""
    cluster = folder.platform.engine == "argocd" and folder.says("engine")
    if cluster and folder.says("staging", "network"):
        yield from (Mistake("greenroom.yaml", *told) for told in _unreachable(folder.platform))
    if folder.platform.engine == "argocd" and folder.says("engine"):
        yield from without_room(folder, found)
    yield from _hashed_names(folder, found)
    images = folder.platform.seeds is not None or not folder.says("seeds")
    for service in found:
        ports = not service.dropped & {"port", "processes"}
        local = folder.platform.engine == "local" and folder.says("engine")
        if local and service.model.env_from and "envFrom" not in service.dropped:
            fix = (
                "Put the settings for this machine into a file, and set a variable under `env:` to the path of that"
                " file. See docs/local.md."
            )
            yield Mistake(
                service.file,
                "envFrom",
                "refers to Secrets in a cluster, so it has no effect with the local engine.",
                fix,
            )
        if told := _paths(service, found):
            yield Mistake(service.file, *told)
        for told in (*_needs(service.model, cluster=cluster, images=images), *_settings(service.model, ports=ports)):
            yield Mistake(service.file, *told)


def _paths(service: Found, found: Iterable[Found]) -> Warned | None:
    """Return a warning if a service has no paths, although another one of its repository does."""
    if service.model.paths or service.dropped & {"paths", "repository"}:
        return None
    slug = service.model.repository.lower()
    here = [f for f in found if "repository" not in f.dropped and f.model.repository.lower() == slug]
    if not any(f.model.paths for f in here):
        return None
    message = (
        "is missing, although other services of this repository set it. Every push therefore needs an image of this"
        " service."
    )
    return "paths", message, 'Set `paths:`. `["*"]` matches all files.'


def _hashed_names(folder: Folder, found: Iterable[Found]) -> Iterator[Mistake]:
    """Yield a warning for each repository whose generated short name is hard to remember."""
    given = set(folder.platform.repositories.values())
    slugs = {f.model.repository for f in found if "repository" not in f.dropped} - given
    for slug in sorted(slugs if folder.says("repositories") else ()):
        name = names.short(slug.rpartition("/")[2])
        if "--" in name:
            message = f"{slug} is called {name} in namespaces and commands."
            yield Mistake(
                "greenroom.yaml", "repositories", message, f"Set a short name: `repositories: {{ NAME: {slug} }}`."
            )


def _needs(model: ServiceModel, *, cluster: bool, images: bool) -> Iterator[Warned]:
    for index, need in enumerate(model.needs):
        if not isinstance(need, NeedModel):
            continue
        if need.seed and not need.image and cluster and not images:
            fix = "Add `seeds: { image: registry.example.com/previews/seeds }` to greenroom.yaml. See docs/seeds.md."
            yield f"needs.{index}.seed", "has no effect: greenroom.yaml does not say where seed images are stored.", fix
        if need.image and "@" not in need.image and need.image.rpartition("/")[2].partition(":")[2] in ("", "latest"):
            fix = "Pin a version or, better, a digest: `@sha256:...`."
            yield f"needs.{index}.image", f"`{need.image}` can change at any time.", fix


def _settings(model: ServiceModel, *, ports: bool) -> Iterator[Warned]:
    asked = {str(p) for p in (model.port, *(p.port for p in model.processes.values())) if p and ports}
    for each in variables(model):
        if not each.plain:
            continue
        if redaction.looks_secret(each.value) or (redaction.names_secret(each.name) and _may_be_secret(each.value)):
            fix = (
                "Move the value to a Secret, and list that Secret under `envFrom:`. If the value is a real secret,"
                " rotate it."
            )
            yield each.path, "looks like a secret, but values under `env:` are plain text.", fix
        if each.name == "PORT" and asked - {each.value}:
            fix = "Remove `PORT` from the file. Greenroom sets it for each web process."
            yield (
                each.path,
                f"is {each.value}, but the service receives requests on port {' and '.join(sorted(asked))}.",
                fix,
            )


def _may_be_secret(value: str) -> bool:
    """Return whether the value of a variable with a secret's name may be a secret.

    Empty values, switches, numbers, paths and URLs are harmless.
    """
    harmless = value.lower() in ("", "true", "false", "none", "null") or value.isdecimal()
    return not harmless and not value.startswith(("/", "http://", "https://"))


def _unreachable(platform: PlatformModel) -> Iterator[Warned]:
    """Yield a warning for each private or in-cluster staging URL that the network policies of previews block."""
    for name, staging in platform.staging.items():
        peer = _peer(staging.url)
        if peer and not any(_opens(allowed, peer) for allowed in platform.network.allowed):
            shown = f"{{ ipBlock: {{ cidr: {peer} }} }}" if "/" in peer else _selector(peer)
            what = "a private address" if "/" in peer else "a name inside the cluster"
            message = f"`{staging.url}` is {what}, which previews cannot reach by default."
            yield f"staging.{name}", message, f"Allow this traffic: `network: {{ allowed: [{shown}] }}`."


def _peer(url: str) -> str:
    """Return the namespace or range of addresses that must be open for a URL; empty for an outside URL."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        _, *rest = host.rstrip(".").split(".")
        inside = not rest or "svc" in rest[1:2] or rest[-2:] == ["cluster", "local"]
        # `catalog.staging:8080` is inside; `acme.dev` is outside, and its URL rarely has http and a port
        likely = len(rest) == 1 and parts.scheme == "http" and parts.port is not None
        return (rest or ["NAMESPACE"])[0] if inside or likely else ""
    return f"{address}/{address.max_prefixlen}" if not address.is_global else ""


def _opens(allowed: dict[str, Any], peer: str) -> bool:
    """Return whether the NetworkPolicy peer `allowed` lets previews reach `peer`, as far as the configuration shows."""
    if "ipBlock" in allowed:
        block = ip_network(allowed["ipBlock"]["cidr"], strict=False)
        if "/" not in peer:
            return not block.is_global or not block.prefixlen  # pods and Services are in such a range
        wanted = ip_network(peer)
        return wanted.version == block.version and wanted.network_address in block
    selector = allowed.get("namespaceSelector")
    if selector is None or "/" in peer:
        return False
    return (selector.get("matchLabels") or {}).get(NAMESPACE, peer) == peer or peer == "NAMESPACE"


def _selector(namespace: str) -> str:
    return f"{{ namespaceSelector: {{ matchLabels: {{ {NAMESPACE}: {namespace} }} }} }}"
