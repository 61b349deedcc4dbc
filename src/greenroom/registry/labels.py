"""The labels in the configuration of an image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import httpx2

from greenroom.errors import FixConfiguration
from greenroom.registry.access import MAX_ANSWER, Access, RegistryError, Scope
from greenroom.registry.lookup import manifest
from greenroom.registry.references import reference, written

Json = dict[str, Any]
BROKEN = (httpx2.InvalidURL, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)


async def labels(access: Access, text: str) -> Mapping[str, str] | str:
    """Return the labels of an image, or a sentence that says why they cannot be read. `text` names it by digest.

    For an image of several platforms, return those of the first one.
    """
    try:
        parsed = reference(text)
        found = await _manifest(access, text)
        if "manifests" in found:
            found = await _manifest(access, f"{text.partition('@')[0]}@{found['manifests'][0]['digest']}")
        digest = str(found["config"]["digest"])
        content = await _blob(access, Scope(parsed.host, parsed.repository), digest)
        return {str(k): str(v) for k, v in (json.loads(content)["config"].get("Labels") or {}).items()}
    except (FixConfiguration, RegistryError) as error:
        return str(error)
    except httpx2.HTTPError as error:
        return f"The labels of {text} could not be read from the registry ({type(error).__name__})."
    except BROKEN:
        return f"The labels of {text} cannot be read, because its manifest or configuration cannot be parsed."


async def _manifest(access: Access, text: str) -> Json:
    parsed = reference(text)
    answer = await manifest(access, "GET", parsed)
    if answer.status_code != 200:
        raise RegistryError(f"{written(parsed.host)} returned {answer.status_code} for {text}.")
    found: Json = json.loads(answer.content)
    return found


async def _blob(access: Access, scope: Scope, digest: str) -> bytes:
    content = b""
    async with access.blob(scope, digest) as answer:
        async for part in answer.aiter_bytes():
            content += part
            if len(content) > MAX_ANSWER:
                raise RegistryError(f"{written(scope.host)} sent a configuration that is too large.")
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise RegistryError(f"{written(scope.host)} sent a configuration that does not match its digest.")
    return content
