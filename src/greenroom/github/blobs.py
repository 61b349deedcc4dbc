"""Contents of files by their git blob ids.

https://docs.github.com/en/rest/git/blobs#get-a-blob
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import OrderedDict
from collections.abc import Iterable

from greenroom.core.model.seeds import blob_id
from greenroom.errors import Doubt
from greenroom.github import shapes
from greenroom.github.transport import Transport

BYTES_KEPT = 32_000_000
AT_ONCE = 8


class Blobs:
    """Reader of blobs. A blob never changes, so those that were read last are kept."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def of(self, slug: str, ids: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of blobs by their ids. Raise an exception unless all of them are read."""
        wanted = sorted(set(ids))
        contents = await asyncio.gather(*(self._content(slug, each) for each in wanted))
        return dict(zip(wanted, contents, strict=True))

    async def _content(self, slug: str, blob: str) -> bytes:
        async with self._slots:
            if blob not in self._known:
                with self._transport.whole_read():
                    self._known[blob] = await self._read(slug, blob)
        self._known.move_to_end(blob)
        content = self._known[blob]
        while len(self._known) > 1 and sum(map(len, self._known.values())) > BYTES_KEPT:
            self._known.popitem(last=False)
        return content

    async def _read(self, slug: str, blob: str) -> bytes:
        answer = await self._transport.get(f"/repos/{slug}/git/blobs/{blob}")
        shapes.check(answer, shapes.BLOB, f"the file {blob[:7]} of {slug}")
        try:
            content = base64.b64decode(answer["content"])
        except binascii.Error:
            content = b""
        hashed = blob_id(len(content))
        hashed.update(content)
        if hashed.hexdigest() != blob:
            raise Doubt(
                f"GitHub's response for the blob {blob[:7]} of {slug} does not match the blob's hash. Greenroom will"
                " read the blob again."
            )
        return content
