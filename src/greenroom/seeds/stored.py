"""The seed images in a registry: list, read, delete. A list or a label that cannot be read is an error, never "none".

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#content-management
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from greenroom.core.model.seeds import LABEL
from greenroom.errors import Failed
from greenroom.registry import labels, lookup
from greenroom.registry.access import Access, Scope
from greenroom.registry.references import Reference, reference
from greenroom.seeds import oci, pull
from greenroom.seeds.retention import Stored

PAGE = 100
PAGES = 1000
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Store:
    """The repository of all seed images. `image` is its name without a tag."""

    access: Access
    image: str

    def where(self, tag: str = "tag") -> Reference:
        """Return the reference of a tag or digest."""
        mark = "@" if tag.startswith("sha256:") else ":"
        return reference(f"{self.image}{mark}{tag}")

    async def images(self) -> list[Stored]:
        """Return all images. Raise `Failed` if one of them cannot be read."""
        return [await self._image(tag) for tag in await self.tags()]

    async def tags(self) -> list[str]:
        """Return all tags. Raise `Failed` if the list is incomplete."""
        where = self.where()
        tags: list[str] = []
        path = f"/v2/{where.repository}/tags/list?n={PAGE}"
        for _ in range(PAGES):
            answer = await self._answer("GET", path, "pull")
            if answer.status_code == 404:
                return []
            found = _parsed(answer) if answer.status_code == 200 else None
            names = found.get("tags") if isinstance(found, dict) and "tags" in found else ()
            if not isinstance(names, list | None):
                if answer.status_code == 200:
                    raise Failed(f"The registry's list of images in {self.image} cannot be parsed.")
                raise Failed(
                    f"The registry returned HTTP {answer.status_code} for the list of images in {self.image}. Try"
                    " again."
                )
            tags += map(str, names or [])
            link = _NEXT.search(answer.headers.get("link", ""))
            if link is None:
                return tags
            path = str(answer.request.url.join(link[1]))
        raise Failed(f"The list of images in {self.image} has more than {PAGES} pages.")

    async def _image(self, tag: str) -> Stored:
        answer = await self._manifest(tag)
        digest = oci.digest_of(answer.content)
        manifest = _parsed(answer)
        if not isinstance(manifest, dict):
            raise Failed(
                f"The manifest of {self.image}:{tag} cannot be parsed. Delete this tag in the registry, then run the"
                " command again."
            )
        parts = tuple(str(part.get("digest")) for part in manifest.get("manifests") or [])
        found = await labels.labels(self.access, f"{self.image}@{digest}")
        if isinstance(found, str):
            raise Failed(found)
        return _described(Stored(tag, digest, parts=parts), found.get(LABEL), f"{self.image}:{tag}")

    async def _manifest(self, tag: str) -> httpx2.Response:
        try:
            answer = await lookup.manifest(self.access, "GET", self.where(tag))
        except httpx2.HTTPError as error:
            raise Failed(f"{self.image}:{tag} cannot be read ({type(error).__name__}).") from None
        if answer.status_code != 200:
            raise Failed(f"{self.image}:{tag} cannot be read ({answer.status_code}).")
        return answer

    async def delete(self, stored: Stored) -> None:
        """Delete an image by its digest, with all of its tags. Raise `Failed` if the registry does not do it."""
        if not _DIGEST.fullmatch(stored.digest):
            raise Failed(f"{stored.tag} has no valid digest.")
        path = f"/v2/{self.where().repository}/manifests/{stored.digest}"
        answer = await self._answer("DELETE", path, "pull,delete")
        if answer.status_code in (200, 202, 404):
            return
        if answer.status_code == 405:
            raise Failed(
                f"The registry of {self.image} does not allow the deletion of images. Allow it"
                " (`REGISTRY_STORAGE_DELETE_ENABLED=true` for registry:2), or use the registry's own cleanup."
            )
        raise Failed(f"The registry did not delete {pull.text(self.where(stored.digest))} ({answer.status_code}).")

    async def _answer(self, method: str, path: str, actions: str) -> httpx2.Response:
        where = self.where()
        try:
            answer = await self.access.send(method, path, Scope(where.host, where.repository, actions))
        except httpx2.HTTPError as error:
            raise Failed(f"The request to the registry of {self.image} failed ({type(error).__name__}).") from None
        if answer.status_code in (401, 403):
            raise self.access.denied(where.host, self.image, answer.status_code)
        return answer


def _described(stored: Stored, label: str | None, name: str) -> Stored:
    """Return the image with what its label says. An image without the label is not a seed, and is kept."""
    if label is None:
        return stored
    try:
        said: dict[str, Any] = json.loads(label)
        built = datetime.fromisoformat(str(said["built"]))
        if built.tzinfo is None:
            raise ValueError
        group = (str(said["source"]), str(said["kind"]), str(said["base"])) if said.get("source") else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Failed(f"The label {LABEL} of {name} cannot be read, so nothing was deleted.") from None
    return Stored(stored.tag, stored.digest, built, group, stored.parts)


def _parsed(answer: httpx2.Response) -> Any:
    try:
        return json.loads(answer.content)
    except ValueError:
        return None
