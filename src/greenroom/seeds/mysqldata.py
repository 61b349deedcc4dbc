"""Verification of a data directory of MariaDB or MySQL before it is packed."""

from __future__ import annotations

from pathlib import Path

from greenroom.errors import Failed

PLACE = "/var/lib/preview/mysql"
"""The path of the data in an image. It is outside of the stock image's VOLUME: what is below one is copied at start."""


def verify(folder: Path, server: str, version: str) -> None:
    """Verify that a data directory is complete, and that `server`, which made it, is of this version (such as 10.11).

    The script reports only a server that stopped cleanly. Raise `Failed` otherwise.
    """
    if not (folder / "ibdata1").is_file() or not (folder / "mysql").is_dir():
        raise Failed(f"{folder} is not a data directory of MariaDB or MySQL.")
    wanted = version.split(".")
    if server.split(".")[: len(wanted)] != wanted:
        raise Failed(f"{folder} belongs to version {server}, but the seed is for {version}. Build it with {version}.")
    if list(folder.glob("*.pid")):
        raise Failed(f"{folder} was not stopped cleanly, so its data may be incomplete. Build the seed again.")
