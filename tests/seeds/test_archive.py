"""Archives of pg_dump, judged by pg_restore, and good dumps restored as the role that owns a seed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.seeds import archive, streams
from greenroom.seeds.check import Wants, check
from greenroom.seeds.dialects import POSTGRESQL
from greenroom.seeds.events import Rows
from greenroom.seeds.scan import scan
from greenroom.seeds.streams import NotADump, Stream
from seeds.dump_server import Server, server
from seeds.recipes import Kitchen, cut, flipped, zstd

__all__ = ["server"]


@pytest.fixture(scope="module")
def kitchen(server: Server) -> Kitchen:
    return Kitchen(server)


def _stream(data: bytes, size: int = 1000) -> Stream:
    return Stream(data[i : i + size] for i in range(0, len(data), size))


def test_contents_are_those_that_pg_restore_lists(kitchen: Kitchen, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.write_bytes(kitchen.server.dump("-Fc"))
    listed = kitchen.server.run("pg_restore", "--list", dump).decode().splitlines()
    theirs = sorted(line.split(";")[0] for line in listed if line and line[0] != ";")
    found, _ = archive.contents(_stream(dump.read_bytes()))
    hidden = {"ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE"}
    ours = sorted(str(entry.number) for entry in found.entries if entry.description not in hidden)
    assert ours == theirs
    assert (found.version, found.compression, found.server) == ((1, 16), "gzip", found.pg_dump)


def test_sql_of_an_archive_has_the_statements_of_pg_restore(kitchen: Kitchen, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.write_bytes(kitchen.custom)
    text = kitchen.server.run("pg_restore", "--no-owner", "--no-privileges", "-f", "-", dump)
    ours = b"".join(archive.custom_sql(_stream(kitchen.custom))[1])
    counts = [_counts(part) for part in (text, ours)]
    assert counts[0] == counts[1]
    assert len(counts[0]) == 4
    assert set(_statements(ours)) - set(_statements(text)) <= {b"SET standard_conforming_strings = ''"}


def _counts(sql: bytes) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for event in scan([sql], POSTGRESQL):
        if isinstance(event, Rows):
            found[event.head] = found.get(event.head, 0) + event.count
    return found


def _statements(sql: bytes) -> Iterator[bytes]:
    for event in scan([sql], POSTGRESQL):
        if hasattr(event, "code"):
            yield b" ".join(event.code.split())


def test_data_in_zstd_is_read(kitchen: Kitchen) -> None:
    """No client here writes zstd, so that the test compresses the blocks of an uncompressed archive as pg_dump does."""
    plain = kitchen.uncompressed
    _, numbers = archive.contents(stream := _stream(plain))
    blocks = bytearray(plain[:8] + plain[8:11] + b"\x03" + plain[12 : stream.position])
    while kind := stream.read(1):
        number = stream.read(5)
        blocks += kind + number
        while kind == b"\x03" and (oid := numbers.integer()):
            blocks += _integer(oid) + _compressed(numbers)
        blocks += _integer(0) if kind == b"\x03" else _compressed(numbers)
    assert _counts(b"".join(archive.custom_sql(_stream(bytes(blocks)))[1])) == _counts(
        b"".join(archive.custom_sql(_stream(plain))[1])
    )


def _integer(number: int) -> bytes:
    return b"\0" + struct.pack("<i", number)


def _compressed(numbers: archive._Numbers) -> bytes:
    content = bytearray()
    while length := numbers.integer():
        content += numbers.stream.exactly(length)
    packed = zstd(bytes(content))
    return _integer(len(packed)) + packed + _integer(0)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 0.9999), whole=st.booleans())
def test_damaged_archives_are_refused_or_read_but_never_crash(kitchen: Kitchen, at: float, whole: bool) -> None:
    damaged = flipped(kitchen.custom, at) if whole else cut(kitchen.custom, at)
    try:
        for _ in scan(archive.custom_sql(_stream(damaged))[1], POSTGRESQL):
            pass
    except NotADump:
        return
    assert whole, "a cut archive was read to its end"


@pytest.mark.parametrize("form", ["plain", "custom"])
def test_checked_dump_is_restored_without_a_superuser(kitchen: Kitchen, tmp_path: Path, form: str) -> None:
    dump = tmp_path / "dump"
    dump.write_bytes(kitchen.plain if form == "plain" else kitchen.custom)
    assert check(dump, Wants(no_columns=True)).ok
    sql = kitchen.server.sql
    sql("postgres", "DROP DATABASE IF EXISTS seed")
    sql("postgres", "DROP ROLE IF EXISTS app")
    sql("postgres", "CREATE ROLE app LOGIN")
    sql("postgres", "CREATE DATABASE seed OWNER app")
    if form == "plain":
        kitchen.server.run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", "seed", "-U", "app", "-f", dump)
    else:
        kitchen.server.run(
            "pg_restore", "--exit-on-error", "--no-owner", "--no-privileges", "-U", "app", "-d", "seed", dump
        )
    counted = kitchen.server.run("psql", "-At", "-d", "seed", "-c", "SELECT count(*) FROM orders")
    assert int(counted) == check(dump, Wants(no_columns=True)).rows["public.orders"]


def test_a_small_file_that_expands_uses_little_memory() -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(50)) + compressor.flush()
    sizes = [len(block) for block in streams.gunzipped(iter([bomb]))]
    assert sum(sizes) == 50 << 20
    assert max(sizes) <= streams.BLOCK
