"""Seeds: dumps of a commit from which databases are created."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from greenroom.core.model.catalog import Need
from greenroom.errors import Failed
from greenroom.local import files, machine
from greenroom.local.account import Account
from greenroom.local.postgres import Dump, Postgres

EMPTY = "template0"
_ARCHIVE, _TAR = b"PGDMP", b"ustar"
_CHUNK = 1024 * 1024


async def template(postgres: Postgres, tree: Path, need: Need, run_as: Account) -> str:
    """Return the template database of a need's seed, whose dump is a path in a worktree. Create it unless it exists.

    Raise `Failed` if the seed cannot be read or restored.
    """
    if not need.seed:
        return EMPTY
    extensions = need.seed_options.extensions
    name = await asyncio.to_thread(_name, tree, need.seed, extensions)
    if await postgres.exists(name):
        return name
    with machine.errors_as_trouble():
        folder = Path(tempfile.mkdtemp(prefix="seed-", dir=run_as.home))
    try:
        dump = await asyncio.to_thread(_dump, tree, need.seed, folder)
        # pg_restore opens a folder itself, so that the account that runs it must reach it.
        for path in (folder, *folder.rglob("*")):
            run_as.own(path)
        await postgres.template(name, Dump(dump, _is_archive(dump), extensions))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return name


def _name(tree: Path, seed: str, extensions: tuple[str, ...]) -> str:
    """Return the name of the template: a hash of everything that it is made from."""
    made_from = hashlib.sha256()
    with _opened(tree, seed) as file:
        while part := file.read(_CHUNK):
            made_from.update(part)
    if extensions:
        made_from.update(json.dumps(extensions).encode())
    return f"seed_{made_from.hexdigest()[:20]}"


def _dump(tree: Path, seed: str, folder: Path) -> Path:
    """Write the dump to a folder as the programs of PostgreSQL read it. Raise `Failed` if it cannot be a dump."""
    from greenroom import dumpfile

    copy, dump = folder / "copy", folder / "dump"
    with machine.errors_as_trouble():
        with _opened(tree, seed) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
        try:
            dumpfile.prepare(copy, dump)
        except Failed as error:
            raise Failed(f"The seed {str(error).replace(str(copy), seed)}") from None
        copy.unlink()
        if not _is_archive(dump) and not _is_text(dump):
            how = "Create the dump with `pg_dump --format=custom` or `pg_dump --format=plain --encoding=UTF8`."
            raise Failed(f"The seed {seed} is neither SQL in UTF-8 nor a pg_dump archive. {how}")
    return dump


@contextlib.contextmanager
def _opened(tree: Path, seed: str) -> Iterator[BinaryIO]:
    try:
        with files.opened(tree, seed) as file:
            yield file
    except Failed as error:
        raise Failed(f"The seed {error}") from None


def _is_archive(dump: Path) -> bool:
    """Return whether pg_restore reads it, and not psql."""
    if dump.is_dir():
        return True
    with dump.open("rb") as file:
        head = file.read(262)
    return head.startswith(_ARCHIVE) or head[257:] == _TAR


def _is_text(dump: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with dump.open("rb") as file:
        try:
            while part := file.read(_CHUNK):
                if "\0" in decoder.decode(part):
                    return False
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True
