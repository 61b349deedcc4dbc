"""Reads of a base image from its registry."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx2

from greenroom.core.model.github import Missing, Unknown
from greenroom.errors import Failed, FixConfiguration
from greenroom.registry import lookup
from greenroom.registry.access import MAX_ANSWER, Access, Scope
from greenroom.registry.references import Reference, written
from greenroom.seeds import oci


async def read_base(access: Access, where: Reference, architecture: str) -> oci.Base:
    """Return a base image for Linux and this architecture.

    Raise `FixConfiguration` if there is none, and `Failed` if the registry's answer cannot be used.
    """
    media_type, manifest = await _manifest(access, where)
    if media_type in lookup.INDEXES:
        digest = oci.of_platform(manifest, architecture, text(where))
        media_type, manifest = await _manifest(access, Reference(where.host, where.repository, digest))
    if media_type not in lookup.MANIFESTS:
        raise FixConfiguration(f"{text(where)} is of type {media_type or 'unknown'}, which is not an image.")
    entry = manifest.get("config") or {}
    base = oci.base(manifest, await _config(access, where, str(entry.get("digest", ""))), text(where))
    if base.architecture != architecture:
        raise FixConfiguration(
            f"{text(where)} is for {base.architecture or 'an unknown CPU'}, but this machine is {architecture},"
            " and PostgreSQL's data does not move between architectures. Choose a base image for this machine, or build"
            " the seed on another one."
        )
    return base


async def pinned(access: Access, where: Reference) -> Reference:
    """Return the reference of an image by digest. A tag is resolved once, so that all parts are of one image."""
    if where.tag.startswith("sha256:"):
        return where
    state = await lookup.look(access, text(where))
    if isinstance(state, Missing):
        raise _missing(where)
    if isinstance(state, Unknown):
        raise Failed(state.why)
    return Reference(where.host, where.repository, state.digest)


async def download(access: Access, source: Reference, blob: oci.Descriptor, target: Path) -> None:
    """Download a blob to a file, and verify its digest."""
    computed = hashlib.sha256()
    try:
        async with access.blob(Scope(source.host, source.repository), blob.digest) as answer:
            if answer.status_code != 200:
                raise Failed(
                    f"The layer {blob.digest[:19]} of {text(source)} could not be read ({answer.status_code})."
                )
            with target.open("wb") as file:
                async for part in answer.aiter_raw():
                    computed.update(part)
                    file.write(part)
    except httpx2.HTTPError as error:
        raise Failed(f"{written(source.host)} could not be read ({type(error).__name__}). Try again.") from None
    if f"sha256:{computed.hexdigest()}" != blob.digest:
        raise Failed(
            f"{written(source.host)} sent a layer that does not match its digest {blob.digest[:19]}. Try again."
        )


def _missing(where: Reference) -> FixConfiguration:
    return FixConfiguration(f"The base image {text(where)} does not exist. Check its name.")


def text(where: Reference) -> str:
    """Return a reference as people write it."""
    mark = "@" if where.tag.startswith("sha256:") else ":"
    return f"{written(where.host)}/{where.repository}{mark}{where.tag}"


async def _manifest(access: Access, where: Reference) -> tuple[str, dict[str, Any]]:
    try:
        answer = await lookup.manifest(access, "GET", where)
    except httpx2.HTTPError as error:
        raise Failed(f"{written(where.host)} could not be reached ({type(error).__name__}). Try again.") from None
    if answer.status_code in (401, 403):
        raise access.denied(where.host, text(where), answer.status_code)
    if answer.status_code == 404:
        raise _missing(where)
    if answer.status_code != 200:
        raise Failed(f"{written(where.host)} returned {answer.status_code} for {text(where)}. Try again.")
    if where.tag.startswith("sha256:") and oci.digest_of(answer.content) != where.tag:
        raise Failed(f"The registry's manifest for {text(where)} does not match the digest.")
    try:
        manifest = json.loads(answer.content)
        return str(manifest.get("mediaType") or answer.headers.get("content-type", "")), manifest
    except (ValueError, AttributeError):
        raise Failed(f"The registry's manifest for {text(where)} cannot be parsed.") from None


async def _config(access: Access, where: Reference, digest: str) -> bytes:
    content = b""
    try:
        async with access.blob(Scope(where.host, where.repository), digest) as answer:
            async for part in answer.aiter_raw():
                content += part
                if len(content) > MAX_ANSWER:
                    raise Failed(f"The configuration of {text(where)} is too large.")
    except httpx2.HTTPError as error:
        raise Failed(f"{written(where.host)} could not be read ({type(error).__name__}). Try again.") from None
    return content
