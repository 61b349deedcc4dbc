"""The hash of a schema, which is equal for equal schemas."""

from __future__ import annotations

import hashlib
from pathlib import Path

_VARYING = (b"--", b"\\restrict", b"\\unrestrict", b"SET ", b"SELECT pg_catalog.set_config(")
"""Beginnings of lines that differ between versions of pg_dump, or between two of its runs."""


def normalized_hash(path: Path) -> str:
    """Return the SHA-256 of the output of `pg_dump --schema-only`, without comments and settings, in hex digits."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        for line in file:
            if line.strip() and not line.startswith(_VARYING):
                found.update(line)
    return found.hexdigest()
