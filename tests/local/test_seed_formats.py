"""Seeds of the local engine in every format that `greenroom seed check` reads, with a real PostgreSQL."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from backports import zstd

from greenroom.core.model.catalog import SeedOptions
from greenroom.errors import Failed
from greenroom.local import seeds
from greenroom.local.postgres import Postgres
from local.workshop import NEED, Workshop

TEXT = """\
CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;
COMMENT ON EXTENSION citext IS 'text without case';
CREATE TABLE public.things (name public.citext);
COPY public.things (name) FROM stdin;
one
two
\\.
"""
WITH = SeedOptions(extensions=("citext", "pageinspect"))


@pytest.fixture
async def postgres(shop: Workshop) -> AsyncIterator[Postgres]:
    shop.settings.state.mkdir()
    found = Postgres(shop.settings.state, shop.run_as)
    await found.postmaster.server()
    yield found
    await found.postmaster.stop()


async def restored(shop: Workshop, postgres: Postgres, dump: bytes, options: SeedOptions = WITH) -> str:
    (shop.repository / "seed.sql").write_bytes(dump)
    need = replace(NEED[0], seed_options=options)
    return await seeds.template(postgres, shop.repository, need, shop.run_as)


async def things(postgres: Postgres, database: str) -> list[str]:
    url = (await postgres.postmaster.server()).url(database)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        found = await connection.execute("SELECT name::text FROM things ORDER BY 1")
        return [name for (name,) in await found.fetchall()]


async def pg_dump(postgres: Postgres, database: str, form: str, folder: Path) -> bytes:
    server = await postgres.postmaster.server()
    target = folder / "out"
    program, url = str(server.programs / "pg_dump"), server.url(database)
    command = [program, f"--format={form}", "--no-owner", "-f", str(target), "-d", url]
    subprocess.run(command, check=True, env={"PATH": os.environ["PATH"]})
    if target.is_file():
        return target.read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(target, "seed")
    return packed.getvalue()


@pytest.mark.parametrize("form", ["custom", "directory", "tar", "plain"])
async def test_every_format_of_pg_dump_fills_the_database(
    shop: Workshop, postgres: Postgres, form: str, tmp_path: Path
) -> None:
    first = await restored(shop, postgres, TEXT.encode())
    assert await things(postgres, first) == ["one", "two"]
    second = await restored(shop, postgres, await pg_dump(postgres, first, form, tmp_path))
    assert second != first
    assert await things(postgres, second) == ["one", "two"]
    await postgres.clone("preview_1", second, "p4ss")
    server = await postgres.postmaster.server()
    url = f"postgresql://preview_1:p4ss@127.0.0.1:{server.port}/preview_1"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("ALTER TABLE things ADD COLUMN owner text")
    assert list((shop.run_as.home).glob("seed-*")) == []


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
async def test_compressed_sql_is_decompressed(shop: Workshop, postgres: Postgres, compress: object) -> None:
    assert callable(compress)
    name = await restored(shop, postgres, compress(TEXT.encode()))
    assert await things(postgres, name) == ["one", "two"]


async def test_extension_that_this_machine_lacks_is_named(shop: Workshop, postgres: Postgres) -> None:
    with pytest.raises(Failed, match=r"needs the extension no_such, which PostgreSQL on this machine does not have\."):
        await restored(shop, postgres, b"SELECT 1;\n", SeedOptions(extensions=("no_such",)))
    assert await postgres.named("seed_") in ([], [name for name in await postgres.named("seed_") if "draft" in name])


async def test_archive_stops_at_the_first_error_and_shows_no_value(
    shop: Workshop, postgres: Postgres, tmp_path: Path
) -> None:
    first = await restored(shop, postgres, TEXT.encode())
    dump = await pg_dump(postgres, first, "tar", tmp_path)
    changed = dump.replace(b"one\ntwo\n", b"one\ttwo\n")
    assert changed != dump
    with pytest.raises(Failed, match=r"^The seed could not be restored: ") as caught:
        await restored(shop, postgres, changed)
    assert "two" not in str(caught.value) + repr(caught.value.log)
