"""Requests about one image: whether it exists. "Missing" needs a complete answer that the registry itself sent;
everything else is "unknown".

No redirect is followed, because the registry itself serves manifests.
"""

from __future__ import annotations

import hashlib
import json

import httpx2

from greenroom.core.model.github import ImageState, Missing, Present, Unknown
from greenroom.errors import FixConfiguration
from greenroom.registry.access import Access, RegistryError, Scope
from greenroom.registry.references import Reference, reference, written

# Always send all four: a registry answers 404 for an existing tag if its manifest's type is not accepted.
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
ACCEPT = ", ".join((*INDEXES, *MANIFESTS))


async def look(access: Access, text: str) -> ImageState:
    """Return whether the image exists, with its digest. Never raise because of a registry's behavior."""
    try:
        parsed = reference(text)
        return await _look(access, parsed, text)
    except (FixConfiguration, RegistryError) as error:
        return Unknown(str(error))
    except httpx2.HTTPError as error:
        return Unknown(f"{text} could not be read from the registry ({type(error).__name__}).")
    except (httpx2.InvalidURL, ValueError) as error:
        return Unknown(f"The registry's response for {text} cannot be parsed ({type(error).__name__}).")


async def manifest(access: Access, method: str, parsed: Reference) -> httpx2.Response:
    """Return the registry's answer to a request for a manifest."""
    path = f"/v2/{parsed.repository}/manifests/{parsed.tag}"
    return await access.send(method, path, Scope(parsed.host, parsed.repository), headers={"accept": ACCEPT})


async def _look(access: Access, parsed: Reference, text: str) -> ImageState:
    answer = await manifest(access, "HEAD", parsed)
    digest = answer.headers.get("docker-content-digest", "")
    if answer.status_code == 200 and digest.startswith("sha256:"):
        return Present(digest)
    if answer.status_code in (200, 404, 405):
        answer = await manifest(access, "GET", parsed)
        if answer.status_code == 200:
            return _present(answer)
    if answer.status_code == 404 and (codes := _missing(answer)):
        return Missing(no_repository="NAME_UNKNOWN" in codes)
    if answer.status_code in (401, 403):
        raise access.denied(parsed.host, text, answer.status_code)
    raise RegistryError(f"{written(parsed.host)} returned {answer.status_code} for {text}.")


def _present(answer: httpx2.Response) -> ImageState:
    computed = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    claimed = answer.headers.get("docker-content-digest", computed)
    if "json" not in (kind := answer.headers.get("content-type", "")):
        what = kind.partition(";")[0] or "a response without a content type"
        return Unknown(f"The registry returned {what} instead of a manifest.")
    if claimed != computed:
        return Unknown(f"The registry's manifest does not match its digest ({claimed[:19]}).")
    return Present(computed)


def _missing(answer: httpx2.Response) -> frozenset[str]:
    """Return the error codes of a 404 if it is from the registry itself, as JSON and not as a proxy's page; else none.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
    """
    if "json" not in answer.headers.get("content-type", ""):
        return frozenset()
    if b"accept header" in answer.content:
        return frozenset()
    try:
        codes = {e["code"] for e in json.loads(answer.content)["errors"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return frozenset()
    return frozenset(codes & {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"})
