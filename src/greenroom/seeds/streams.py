"""Bytes of a file in blocks of bounded size, decompressed and verified on the way."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from greenroom.errors import Failed

BLOCK = 1 << 20
"""Maximum bytes to read, and to decompress to, in one step, whatever the compression ratio is."""

_GZIP = 31
"""zlib's `wbits` for data with gzip's header and trailer. https://docs.python.org/3/library/zlib.html"""

_ZLIB = 15


class NotADump(Failed):
    """The file cannot be read as a dump. `str()` is a sentence with the fix, without the file's name."""


class Stream:
    """A file-like reader of blocks, which can look ahead. `position` is the number of bytes that were read."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._source = blocks
        self._held = b""
        self._at = 0
        self.position = 0

    def peek(self, size: int) -> bytes:
        """Return the next bytes without consuming them; fewer only at the end."""
        while len(self._held) - self._at < size and (block := next(self._source, b"")):
            self._held, self._at = self._held[self._at :] + block, 0
        return self._held[self._at : self._at + size]

    def read(self, size: int) -> bytes:
        """Return the next bytes; fewer only at the end."""
        found = self.peek(size)
        self._at += len(found)
        self.position += len(found)
        return found

    def exactly(self, size: int) -> bytes:
        """Return the next bytes. Raise `NotADump` if the stream ends before."""
        found = self.read(size)
        if len(found) < size:
            raise cut(self.position)
        return found

    def blocks(self) -> Iterator[bytes]:
        """Yield the rest, in blocks of any size."""
        while block := self._held[self._at :] or next(self._source, b""):
            self._held, self._at = b"", 0
            self.position += len(block)
            yield block


def cut(position: int) -> NotADump:
    """Return the refusal of a truncated dump."""
    return NotADump(
        f"The dump is truncated: it ends after {position} bytes, in the middle of its data. Dump the database again."
    )


def of_file(path: Path) -> Iterator[bytes]:
    """Yield the blocks of a file."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


class _Decoder(Protocol):
    eof: bool

    @property
    def unused_data(self) -> bytes: ...
    def some(self, data: bytes) -> bytes: ...
    @property
    def pending(self) -> bool: ...


class _Deflate:
    """zlib's decompressor, with the input that it has not used yet."""

    def __init__(self, wbits: int) -> None:
        self._decoder = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    @property
    def pending(self) -> bool:
        return self._full or bool(self._decoder.unconsumed_tail)

    def some(self, data: bytes) -> bytes:
        output = self._decoder.decompress(data or self._decoder.unconsumed_tail, BLOCK)
        self._full = len(output) == BLOCK
        return output


class _Zstandard:
    """The decompressor of zstd in Python 3.14, or the same from the package `backports.zstd`."""

    def __init__(self) -> None:
        self._decoder = _zstd().ZstdDecompressor()

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._decoder.unused_data)

    @property
    def pending(self) -> bool:
        return not self._decoder.eof and not self._decoder.needs_input

    def some(self, data: bytes) -> bytes:
        return bytes(self._decoder.decompress(data, BLOCK))


def gunzipped(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield decompressed blocks, and verify length and CRC of each member. Raise `NotADump`."""
    return _decompressed(blocks, lambda: _Deflate(_GZIP), "gzip", b"\x1f\x8b")


def unzstd(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield decompressed blocks, and verify the checksum of each frame that has one. Raise `NotADump`."""
    return _decompressed(blocks, _Zstandard, "zstd", b"\x28\xb5\x2f\xfd")


def inflated(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield decompressed blocks of zlib's format, which archives of pg_dump contain. Raise `NotADump`."""
    return _decompressed(blocks, lambda: _Deflate(_ZLIB), "zlib", b"\x78")


def _decompressed(blocks: Iterator[bytes], decoder: Any, name: str, magic: bytes) -> Iterator[bytes]:
    current: _Decoder | None = None
    read = 0
    for block in blocks:
        data, read = block, read + len(block)
        while data or (current and current.pending):
            if current is None:
                _require_magic(data, magic, name, read - len(data))
                current = decoder()
            if output := _some(current, data, name, read):
                yield output  # never an empty block, which readers take for the end
            data = current.unused_data if current.eof else b""
            current = None if current.eof else current
    if current is not None or not read:
        raise NotADump(
            f"The {name} data is truncated: it ends after {read} bytes, without its trailer. Copy or compress the dump"
            " again."
        )


def _some(decoder: _Decoder, data: bytes, name: str, read: int) -> bytes:
    try:
        return decoder.some(data)
    except (zlib.error, ValueError, EOFError, _zstd_error()) as error:
        reason = "its checksum does not match" if _is_checksum(error) else "its data cannot be decompressed"
        raise NotADump(
            f"The {name} data is corrupt within its first {read} bytes: {reason}. Copy or compress the dump again."
        ) from None


def _is_checksum(error: Exception) -> bool:
    return any(word in str(error).lower() for word in ("check", "checksum"))


def _require_magic(data: bytes, magic: bytes, name: str, position: int) -> None:
    if not data.startswith(magic[: len(data)]):
        raise NotADump(
            f"The {name} data ends at byte {position}, but more bytes follow. Copy or compress the dump again."
        )


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd
    try:
        from backports import zstd
    except ModuleNotFoundError:
        raise Failed("A zstd-compressed dump needs an extra package: pip install 'PATH/OF/THE/CLONE[seeds]'.") from None
    return zstd


def _zstd_error() -> type[Exception]:
    try:
        return _zstd().ZstdError  # type: ignore[no-any-return]
    except Failed:
        return EOFError
