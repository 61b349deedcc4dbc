"""Redis' dump.rdb: version, end and checksum. https://rdb.fnordig.de/file_format.html"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from greenroom.seeds import streams
from greenroom.seeds.streams import NotADump, Stream

NEWEST = {(4, 0): 8, (5, 0): 9, (6, 0): 9, (6, 2): 9, (7, 0): 10, (7, 2): 11, (7, 4): 12, (8, 0): 12}
"""The newest RDB format that each release of Redis can read. Valkey 7.2 to 8 can read format 11."""

_POLYNOMIAL = 0x95AC9329AC4BC9B5
_END = 0xFF
_TAIL = 9


class Checksum:
    """CRC-64 as Redis computes it (Jones, reflected), eight bytes at once with tables of 16 bits."""

    def __init__(self) -> None:
        self._tables = _tables()
        self.value = 0

    def update(self, data: bytes) -> None:
        """Add bytes. All calls except the last must have a multiple of eight bytes."""
        low, second, third, high = self._tables
        whole = len(data) & ~7
        crc = self.value
        for (word,) in struct.iter_unpack("<Q", data[:whole]):
            crc ^= word
            crc = high[crc & 0xFFFF] ^ third[crc >> 16 & 0xFFFF] ^ second[crc >> 32 & 0xFFFF] ^ low[crc >> 48]
        for byte in data[whole:]:
            crc = _shifted((crc ^ byte) & 0xFF, 8) ^ (crc >> 8)
        self.value = crc


def _shifted(crc: int, bits: int) -> int:
    for _ in range(bits):
        crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


def _tables() -> tuple[list[int], ...]:
    low = [_shifted(number, 16) for number in range(1 << 16)]
    tables = [low]
    for _ in range(3):
        previous = tables[-1]
        tables.append([crc >> 16 ^ low[crc & 0xFFFF] for crc in previous])
    return tuple(tables)


def version(stream: Stream) -> tuple[int, str]:
    """Return the number of the format and the version of the server that wrote it, if it is there."""
    head = stream.peek(512)
    found = re.match(rb"(?:REDIS|VALKEY)(\d+)", head)
    server = re.search(rb"\xfa\x09(?:redis-ver|valkey-ver)[\x01-\x20]([\d.]+)", head)
    return int(found[1]) if found else 0, server[1].decode() if server else ""


def verified(stream: Stream) -> Iterator[bytes]:
    """Yield the dump in blocks. Raise `NotADump` unless it ends with its checksum."""
    checksum, held = Checksum(), b""
    for block in stream.blocks():
        yield block
        held += block
        ready = max(0, len(held) - _TAIL) & ~7
        checksum.update(held[:ready])
        held = held[ready:]
    if len(held) < _TAIL or held[-_TAIL] != _END:
        raise streams.cut(stream.position)
    checksum.update(held[:-8])
    expected = int.from_bytes(held[-8:], "little")
    if expected not in (0, checksum.value):  # 0: written with rdbchecksum no
        raise NotADump("The checksum of the Redis dump does not match. Copy the file again, or create a new dump.")
