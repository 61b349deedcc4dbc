"""Registries as the controller sees them: whether an image exists, and its labels."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import httpx2

from greenroom.core.model.github import ImageState
from greenroom.registry.access import Access, Credentials
from greenroom.registry.labels import labels
from greenroom.registry.lookup import look

LABELS_KEPT = 500


class Registry:
    """Image lookup in registries by host. For `insecure` hosts and loopback, requests use plain HTTP."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        credentials: Mapping[str, Credentials] | None = None,
        insecure: Collection[str] = (),
        realms: Collection[str] = (),
    ) -> None:
        self._access = Access(client, credentials, insecure, realms)
        self._labels: dict[str, Mapping[str, str]] = {}

    async def look(self, text: str) -> ImageState:
        """Return whether the image exists, with its digest. Never raise because of a registry's behavior."""
        return await look(self._access, text)

    async def look_all(self, references: Sequence[str]) -> dict[str, ImageState]:
        """Return the state of each image."""
        states = await asyncio.gather(*(self.look(r) for r in references))
        return dict(zip(references, states, strict=True))

    async def labels(self, text: str) -> Mapping[str, str] | str:
        """Return the labels of an image by digest, or why they cannot be read. They never change, so they are kept."""
        if text not in self._labels:
            found = await labels(self._access, text)
            if isinstance(found, str):
                return found
            self._labels = {**dict(list(self._labels.items())[-LABELS_KEPT:]), text: found}
        return self._labels[text]
