"""Versions of servers and of the tools that made a dump."""

from __future__ import annotations

import re
from collections.abc import Iterator

from greenroom.seeds.rules import REFUSED, Finding

NAMES = {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB", "redis": "Redis", "valkey": "Valkey"}

RESTRICT = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
"""For each major version of psql, the first minor version that supports \\restrict (CVE-2025-8714)."""


def numbers(text: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version: `16.4 (Debian 16.4-1)` is (16, 4)."""
    found = re.match(r"\D*(\d+(?:\.\d+)*)", text)
    return tuple(map(int, found[1].split("."))) if found else ()


def release(kind: str, text: str) -> tuple[int, ...]:
    """Return what must not be newer in a dump than in the service: the major version; two numbers of others."""
    found = numbers(text)
    return found[:1] if kind == "postgresql" else found[:2]


def is_newer(kind: str, dump: str, wanted: str) -> bool:
    """Return whether a dump is newer than the service. `8` as a wish accepts every 8.x."""
    theirs, ours = release(kind, dump), release(kind, wanted)
    return bool(theirs and ours) and theirs[: len(ours)] > ours


def knows_restrict(wanted: str) -> bool:
    """Return whether psql of this version knows \\restrict. Without a minor number, it is the newest one."""
    found = numbers(wanted)
    if not found or len(found) < 2:
        return not found or found[0] >= min(RESTRICT)
    return found[1] >= RESTRICT.get(found[0], 0) and found[0] >= min(RESTRICT)


def version_findings(kind: str, engine: str, server: str, tool: str, wanted: str) -> Iterator[Finding]:
    """Yield a finding if the server of a dump, or the pg_dump that wrote it, is newer than the service."""
    if kind == "redis":
        return
    if is_newer(kind, server, wanted):
        yield Finding(
            REFUSED,
            "",
            f"The dump comes from {NAMES[engine or kind]} {server}, but the service uses version {wanted}. Dump a"
            f" database of version {wanted}, or raise the need's `version:`.",
        )
    elif kind == "postgresql" and is_newer(kind, tool, wanted):
        yield Finding(
            REFUSED,
            "",
            f"The dump was made by pg_dump {tool}, but the service uses PostgreSQL {wanted}. Use pg_dump"
            f" {numbers(wanted)[0]}, or raise the need's `version:`.",
        )
