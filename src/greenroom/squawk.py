"""Adapter of squawk, a linter of PostgreSQL migrations (https://squawkhq.com). It is optional: `greenroom[migrations]`.

It reads the statements that the server ran, so it knows nothing about any framework.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from greenroom.core.model.migration_report import Lint, RanStatement

SECONDS = 10.0
EXCLUDED = ("prefer-robust-stmts", "require-lock-timeout", "require-statement-timeout")
"""Rules about a statement's context in its file, which the server's log does not contain."""
_LEAST_PERMISSIONS = {"PATH": "/usr/bin:/bin"}


def squawk() -> Path | None:
    """Return the program, or `None` if it is not installed."""
    beside = Path(sys.executable).with_name("squawk")
    found = str(beside) if beside.exists() else shutil.which("squawk")
    return Path(found) if found else None


def lints(ran: Sequence[RanStatement], server: int, program: Path | None) -> tuple[Lint, ...] | None:
    """Return squawk's warnings about statements that ran, or `None` if it is not installed or did not answer in time.

    `server` is the server's version number, such as 160004. Only names of rules are taken from its answer.
    """
    if program is None:
        return None
    if not ran:
        return ()
    lines = [s.raw.replace("\n", " ") + ";" for s in ran]
    command = [str(program), "--reporter", "Json", "--pg-version", f"{server // 10000}.0"]
    for rule in EXCLUDED:
        command += ["--exclude", rule]
    try:
        done = subprocess.run(
            command,
            input="\n".join(lines),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=_LEAST_PERMISSIONS,
            cwd="/",
        )
        found = json.loads(done.stdout)
        return tuple(Lint(str(f["rule_name"]), min(int(f["line"]), len(ran) - 1)) for f in found)
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None
