"""Versions of the servers on this machine, compared with the versions that services ask for."""

from __future__ import annotations

import re
import subprocess

SECONDS = 10.0
_REPORTED = re.compile(r"\((PostgreSQL)\) (\d+(?:\.\d+)*)|(Redis|Valkey) server v=(\d+(?:\.\d+)*)")


def of(program: str) -> str:
    """Return the name and version that a program reports, such as `Redis 7.0.15`; empty if it reports none."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _REPORTED.search(done.stdout)
    return " ".join(filter(None, found.groups())) if found else ""


def serves(server: str, title: str, version: str) -> bool:
    """Return whether a server such as `PostgreSQL 15.14` satisfies a need such as PostgreSQL, `15`."""
    return f"{server}.".startswith(f"{title} {version}.")
