"""Ledgers of migrations, parsed from the output of `ledgers.sql`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from greenroom.core import messages
from greenroom.core.model.migrations import Ledger, MigrationSet
from greenroom.core.model.seeds import CommitMigrations
from greenroom.core.model.status import Reason
from greenroom.core.policy import ledgers
from greenroom.errors import Failed

LONGEST = 5000
"""Maximum entries in a migration table. No migration tool writes more, and more would not fit into an image's label."""
CHECKED = ("flyway", "prisma")
"""Tools that record the checksums of migration files."""

SQL = Path(__file__).with_name("report") / "ledgers.sql"
"""Run this file with `psql -X -A -t -q -v ON_ERROR_STOP=1` as the owner of the data, never as a superuser."""


def ledger(printed: str) -> Ledger:
    """Return the ledger of a database. Raise `Failed` if migrations did not finish."""
    try:
        found = json.loads(printed)
        tables = [_table(t) for t in found["ledgers"]] if found["tool"] == "several" else [_table(found)]
    except (ValueError, KeyError, TypeError):
        raise Failed(
            "Greenroom could not read the database's migration table, because its query returned unexpected output."
            " Build the image again. If the error persists, report it as a bug in Greenroom."
        ) from None
    if len(tables) > 1:
        raise Failed(str(messages.ledger_several([t.tool for t in tables])))
    if tables[0].failed:
        raise Failed(str(messages.ledger_failed(tables[0].tool, tables[0].failed)))
    if len(tables[0].entries) > LONGEST:
        raise Failed(
            f"The migration table of the dump has more than {LONGEST} entries. No migration tool writes that many."
        )
    return tables[0]


def checked(found: Ledger, commit: CommitMigrations) -> tuple[str, ...]:
    """Return the blob ids of the migrations whose content `applied` compares with a checksum of the ledger."""
    if found.tool not in CHECKED or found.tool != commit.tool:
        return ()
    sums = dict(found.entries)
    return tuple(blob for name, blob, _ in commit.entries if sums.get(name))


def applied(found: Ledger, commit: CommitMigrations, contents: Mapping[str, bytes]) -> MigrationSet:
    """Return the migrations that ran in a database, as its image records them. `contents` has the blobs of `checked`.

    Raise `Failed` if the commit's migrations are not known, or do not have the content that ran.
    """
    if found.tool and commit.unclear:
        raise Failed(f"The dump has a migration table of {found.tool.capitalize()}. {commit.unclear}")
    result = ledgers.applied(found, commit.migrations, contents)
    if isinstance(result, Reason):
        raise Failed(str(result))
    return result


def label(found: Ledger) -> dict[str, object]:
    """Return the ledger as the label of an image has it."""
    return {"tool": found.tool, "applied": [list(entry) for entry in found.entries]}


def _table(found: dict[str, object]) -> Ledger:
    entries, failed = found.get("applied", []), found.get("failed", [])
    if not isinstance(entries, list) or not isinstance(failed, list):
        raise TypeError
    return Ledger(str(found["tool"]), tuple((str(n), str(c)) for n, c in entries), tuple(str(n) for n in failed))
