"""What is allowed and probably not meant: told by `greenroom check`, and no reason to refuse the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from greenroom.config import secrecy
from greenroom.config.found import Folder, Found
from greenroom.config.needs import NeedModel
from greenroom.config.platform import PlatformModel
from greenroom.config.service import ServiceModel
from greenroom.config.variables import variables
from greenroom.core import names
from greenroom.errors import Mistake

NAMESPACE = "kubernetes.io/metadata.name"
Told = tuple[str, str, str]


def advice(folder: Folder, found: Iterable[Found]) -> Iterator[Mistake]:
    """Everything worth a second look."""
    cluster = folder.platform.engine == "argocd" and folder.says("engine")
    if cluster and folder.says("staging", "network"):
        yield from (Mistake("greenroom.yaml", *told) for told in _unreachable(folder.platform))
    yield from _hashed_names(folder, found)
    for service in found:
        ports = not service.dropped & {"port", "processes"}
        for told in (*_needs(service.model, cluster=cluster), *_settings(service.model, ports=ports)):
            yield Mistake(service.file, *told)


def _hashed_names(folder: Folder, found: Iterable[Found]) -> Iterator[Mistake]:
    """Short names that nobody can type from memory."""
    given = set(folder.platform.repositories.values())
    slugs = {f.model.repository for f in found if "repository" not in f.dropped} - given
    for slug in sorted(slugs if folder.says("repositories") else ()):
        name = names.short(slug.rpartition("/")[2])
        if "--" in name:
            message = f"{slug} is called {name} in namespaces and commands."
            yield Mistake(
                "greenroom.yaml", "repositories", message, f"Give it a short name: `repositories: {{ NAME: {slug} }}`."
            )


def _needs(model: ServiceModel, *, cluster: bool) -> Iterator[Told]:
    for index, need in enumerate(model.needs):
        if not isinstance(need, NeedModel):
            continue
        if need.seed and not need.image and cluster:
            fix = "on a cluster name an image that carries the data (`image:`)."
            yield f"needs.{index}.seed", "is read by `engine: local` only;", fix
        if need.image and "@" not in need.image and need.image.rpartition("/")[2].partition(":")[2] in ("", "latest"):
            fix = "Name a version, or better a digest: `@sha256:...`."
            yield f"needs.{index}.image", f"`{need.image}` may be another image tomorrow.", fix


def _settings(model: ServiceModel, *, ports: bool) -> Iterator[Told]:
    asked = {str(p) for p in (model.port, *(p.port for p in model.processes.values())) if p and ports}
    for each in variables(model):
        if not each.plain:
            continue
        if secrecy.looks_secret(each.value) or (secrecy.names_secret(each.name) and _may_be_secret(each.value)):
            fix = "Put it into a Secret, name that under `envFrom:`, and replace it: it was in this file."
            yield each.path, "looks like a secret, and these settings are plain.", fix
        if each.name == "PORT" and asked - {each.value}:
            fix = "Remove it, or make them the same."
            yield each.path, f"is {each.value}, but the service is asked at {' and '.join(sorted(asked))}.", fix


def _may_be_secret(value: str) -> bool:
    """Whether a value under a secret's name may be one: not empty, no switch, no number, no path, no address."""
    harmless = value.lower() in ("", "true", "false", "none", "null") or value.isdecimal()
    return not harmless and not value.startswith(("/", "http://", "https://"))


def _unreachable(platform: PlatformModel) -> Iterator[Told]:
    """Staging inside the cluster, which the network policies of previews do not let them reach."""
    for name, staging in platform.staging.items():
        peer = _peer(staging.url)
        if peer and not any(_opens(allowed, peer) for allowed in platform.network.allowed):
            shown = f"{{ ipBlock: {{ cidr: {peer} }} }}" if "/" in peer else _selector(peer)
            what = "a private address" if "/" in peer else "a name inside the cluster"
            message = f"`{staging.url}` is {what}, and previews reach none by themselves."
            yield f"staging.{name}", message, f"Open it: `network: {{ allowed: [{shown}] }}`."


def _peer(url: str) -> str:
    """What would have to be open for a URL: a namespace, a range of addresses, or nothing for one outside."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        _, *rest = host.rstrip(".").split(".")
        inside = not rest or "svc" in rest[1:2] or rest[-2:] == ["cluster", "local"]
        # `catalog.staging:8080`; `acme.dev` is outside, and nobody writes http and a port for it
        likely = len(rest) == 1 and parts.scheme == "http" and parts.port is not None
        return (rest or ["NAMESPACE"])[0] if inside or likely else ""
    return f"{address}/{address.max_prefixlen}" if not address.is_global else ""


def _opens(allowed: dict[str, Any], peer: str) -> bool:
    """Whether a NetworkPolicy peer lets previews reach it, as far as can be told from here."""
    if "ipBlock" in allowed:
        block = ip_network(allowed["ipBlock"]["cidr"], strict=False)
        if "/" not in peer:
            return not block.is_global or not block.prefixlen  # pods and Services are in some such range
        wanted = ip_network(peer)
        return wanted.version == block.version and wanted.network_address in block
    selector = allowed.get("namespaceSelector")
    if selector is None or "/" in peer:
        return False
    return (selector.get("matchLabels") or {}).get(NAMESPACE, peer) == peer or peer == "NAMESPACE"


def _selector(namespace: str) -> str:
    return f"{{ namespaceSelector: {{ matchLabels: {{ {NAMESPACE}: {namespace} }} }} }}"
