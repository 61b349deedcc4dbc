"""Push of an image. Its manifest is last, so an image that is not complete is never visible.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import httpx2

from greenroom.errors import Failed
from greenroom.registry.access import Access, Scope
from greenroom.registry.references import Reference, written
from greenroom.seeds.oci import MANIFEST, Descriptor, Image

CHUNK = 4 * 1024 * 1024
"""Bytes per upload request. GitHub's registry refuses larger chunks."""
TRIES = 6
"""Number of failures after which Greenroom gives up a request or the upload of a blob."""
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")
_OCTETS = {"content-type": "application/octet-stream"}

Content = bytes | AsyncIterator[bytes]


class _Interrupted(Exception):
    """A request failed in a way that may pass: the connection, a 5xx, too many requests."""


class _Rejected(Exception):
    """The registry does not accept this request. The text is its status."""


@dataclass(slots=True)
class Pusher:
    """Uploads to one repository. Blobs are files, so that an upload can resume."""

    access: Access
    target: Reference
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    chunk: int = CHUNK
    _scope: Scope = field(init=False)

    def __post_init__(self) -> None:
        self._scope = Scope(self.target.host, self.target.repository, "pull,push")

    @property
    def blobs(self) -> str:
        """The path of the repository's blobs."""
        return f"/v2/{self.target.repository}/blobs"

    @property
    def where(self) -> str:
        """The repository as people write it."""
        return f"{written(self.target.host)}/{self.target.repository}"

    async def has(self, blob: Descriptor) -> bool:
        """Return whether the repository has a blob."""
        return (await self.patient("HEAD", f"{self.blobs}/{blob.digest}")).status_code == 200

    async def mount(self, blob: Descriptor, source: Reference) -> bool:
        """Take over a blob from another repository of the same registry. Return whether that worked."""
        if source.host != self.target.host:
            return False
        path = f"{self.blobs}/uploads/?mount={quote(blob.digest)}&from={quote(source.repository)}"
        answer = await self.patient("POST", path, scope=replace(self._scope, source=source.repository))
        if answer.status_code == 202:  # the registry began an upload instead
            with suppress(_Interrupted, _Rejected):
                await self.request("DELETE", location(answer))
        return answer.status_code == 201

    async def upload(self, blob: Descriptor, file: Path) -> None:
        """Upload a blob, and resume when that is interrupted. Raise `Failed` after `TRIES` failures."""
        upload = _Upload(self, blob, file)
        await upload.begin()
        for failures in range(1, TRIES + 1):
            try:
                return await upload.send()
            except _Interrupted as error:
                problem = str(error)
                await self.wait(pause(failures))
                if await self.has(blob):  # it was complete, and only the answer was lost
                    return None
                await upload.resume()
            except _Rejected as error:
                problem = str(error)
                await upload.begin(whole=True)
        raise Failed(f"The upload to {self.where} failed {TRIES} times ({problem}). Nothing was published. Try again.")

    async def manifest(self, image: Image, tag: str) -> None:
        """Make the image visible under its tag."""
        path = f"/v2/{self.target.repository}/manifests/{tag}"
        answer = await self.patient("PUT", path, headers={"content-type": MANIFEST}, content=image.manifest)
        if answer.status_code not in (200, 201):
            raise Failed(f"{self.where} rejected the image's manifest ({answer.status_code}).")
        if answer.headers.get("docker-content-digest", image.digest) != image.digest:
            raise Failed(f"{self.where} stored a manifest other than the one that was sent.")

    async def patient(
        self,
        method: str,
        path: str,
        *,
        scope: Scope | None = None,
        headers: dict[str, str] | None = None,
        content: bytes = b"",
    ) -> httpx2.Response:
        """Return the answer to a request that may be repeated. Raise `Failed` if access is denied or `TRIES` fail."""
        problem = ""
        for failures in range(1, TRIES + 1):
            try:
                answer = await self._answer(method, path, scope or self._scope, headers or {}, content)
            except _Interrupted as error:
                problem = str(error)
                await self.wait(pause(failures))
                continue
            if answer.status_code in (401, 403):
                raise self.access.denied(self.target.host, self.where, answer.status_code)
            return answer
        raise Failed(f"{self.where} could not be reached ({problem}). Nothing was published. Try again.")

    async def request(
        self, method: str, path: str, headers: dict[str, str] | None = None, content: Content = b""
    ) -> httpx2.Response:
        """Return the answer to one step of an upload, which is not repeated."""
        answer = await self._answer(method, path, self._scope, headers or {}, content)
        if answer.status_code >= 400:
            raise _Rejected(str(answer.status_code))
        return answer

    async def _answer(
        self, method: str, path: str, scope: Scope, headers: dict[str, str], content: Content
    ) -> httpx2.Response:
        try:
            answer = await self.access.send(method, path, scope, headers=headers, content=content)
        except httpx2.HTTPError as error:
            raise _Interrupted(type(error).__name__) from None
        if answer.status_code >= 500 or answer.status_code in (408, 429):
            raise _Interrupted(str(answer.status_code))
        return answer


@dataclass(slots=True)
class _Upload:
    """The upload of one blob. A `whole` one is a single request, for registries that refuse chunks."""

    pusher: Pusher
    blob: Descriptor
    file: Path
    address: str = ""
    offset: int = 0
    whole: bool = False
    chunk: int = CHUNK

    async def begin(self, *, whole: bool = False) -> None:
        """Begin at the first byte."""
        answer = await self.pusher.patient("POST", f"{self.pusher.blobs}/uploads/")
        if answer.status_code != 202:
            raise Failed(f"{self.pusher.where} does not accept uploads ({answer.status_code}).")
        smallest = answer.headers.get("oci-chunk-min-length", "")
        self.chunk = max(self.pusher.chunk, int(smallest) if smallest.isdecimal() else 0)
        try:
            self.address, self.offset, self.whole = location(answer), 0, whole
        except _Rejected:
            raise Failed(f"{self.pusher.where} does not say where to upload (no Location header).") from None

    async def send(self) -> None:
        """Send everything from the offset on, and complete the upload."""
        if self.whole:
            await self._patch(_parts(self.file, self.chunk), {})
        else:
            await self._send_chunks()
        mark = "&" if "?" in self.address else "?"
        await self.pusher.request("PUT", f"{self.address}{mark}digest={quote(self.blob.digest)}", _OCTETS)

    async def _send_chunks(self) -> None:
        with self.file.open("rb") as content:
            content.seek(self.offset)
            while part := content.read(self.chunk):
                end = self.offset + len(part)
                await self._patch(part, {"content-range": f"{self.offset}-{end - 1}", "content-length": str(len(part))})
                # Not taken from the answer's Range, because that of Amazon's registry lags behind.
                self.offset = end

    async def _patch(self, content: Content, headers: dict[str, str]) -> None:
        self.address = location(await self.pusher.request("PATCH", self.address, _OCTETS | headers, content))

    async def resume(self) -> None:
        """Continue at the offset that the registry has. Begin again if it has given the upload up."""
        if self.whole:
            return await self.begin(whole=True)
        try:
            answer = await self.pusher.request("GET", self.address)
            stored = int(_RANGE.fullmatch(answer.headers.get("range", ""))[1])  # type: ignore[index]
        except (_Interrupted, _Rejected, TypeError):
            return await self.begin()
        # "0-0" says either one byte or none. Chunks are larger than one byte, so it is none.
        self.offset = stored + 1 if stored else 0
        if "location" in answer.headers:
            self.address = location(answer)
        return None


def location(answer: httpx2.Response) -> str:
    """Return the full address at which an upload continues."""
    if "location" not in answer.headers:
        raise _Rejected("no location")
    return str(answer.request.url.join(answer.headers["location"]))


def pause(failures: int) -> float:
    """Return the seconds to wait after this many failures."""
    return min(0.25 * 2.0**failures, 10.0)


async def _parts(file: Path, size: int) -> AsyncIterator[bytes]:
    with file.open("rb") as content:
        while part := content.read(size):
            yield part
