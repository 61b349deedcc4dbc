"""Verification of a PostgreSQL data directory before it is packed, without PostgreSQL's programs."""

from __future__ import annotations

import struct
from pathlib import Path

from greenroom.errors import Failed

PLACE = "/var/lib/preview/pgdata"
"""The path of the data in an image. It is outside the stock image's VOLUME, whose content is copied at each start."""

# The beginning of ControlFileData: system identifier, version of the file, version of the catalog, DBState. It has been
# the same since PostgreSQL 8.3. https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_control.h
_CONTROL = struct.Struct("=QIII")
_SHUTDOWNED = 1


def verify(folder: Path, version: str) -> None:
    """Verify that a data directory is of this major version and was stopped cleanly. Raise `Failed` otherwise."""
    found = _text(folder / "PG_VERSION")
    if not found:
        raise Failed(f"{folder} is not a PostgreSQL data directory.")
    major = version.partition(".")[0]
    if found != major:
        raise Failed(
            f"{folder} belongs to PostgreSQL {found}, but the seed is for {major}. Build it with PostgreSQL {major}."
        )
    if (folder / "postmaster.pid").exists() or _state(folder) != _SHUTDOWNED:
        raise Failed(
            f"{folder} was not stopped cleanly, so its data may be incomplete. Stop PostgreSQL with"
            " `pg_ctl stop -m fast`, or build the seed again."
        )


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _state(folder: Path) -> int | None:
    try:
        control = (folder / "global" / "pg_control").read_bytes()
        return int(_CONTROL.unpack_from(control)[3])
    except (OSError, struct.error):
        return None
