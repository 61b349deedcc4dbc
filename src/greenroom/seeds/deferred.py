"""A dump that the stock image restores when a preview first starts: for modes and machines without a data layer."""

from __future__ import annotations

import shutil
from pathlib import Path

from greenroom import dumpfile
from greenroom.errors import Failed
from greenroom.seeds import formats
from greenroom.seeds.check import Checked

PLACE = "/docker-entrypoint-initdb.d"
"""The stock image runs what is there, with ON_ERROR_STOP, before it listens on TCP.

https://github.com/docker-library/docs/blob/master/postgres/README.md#initialization-scripts
"""
NAME = "seed.sql"


def prepare(dump: Path, checked: Checked, folder: Path) -> None:
    """Write the files of the layer to a folder. Raise `Failed` unless the dump is plain SQL."""
    if checked.format != formats.PLAIN:
        raise Failed(
            f"`mode: restore` takes plain SQL, and this dump is in the format {checked.format}: the stock image runs"
            " only SQL files. Dump with `pg_dump --format=plain`, or use `mode: layer`."
        )
    folder.mkdir()
    plain = folder.with_name("plain")
    dumpfile.prepare(dump, plain)
    target = folder / NAME
    # The image does not start over when it is interrupted. In a transaction, an interrupted restore leaves no half.
    with plain.open("rb") as content, target.open("wb") as file:
        file.write(b"BEGIN;\n")
        shutil.copyfileobj(content, file)
        file.write(b"\nCOMMIT;\n")
    plain.unlink()
    folder.chmod(0o755)
    target.chmod(0o644)
