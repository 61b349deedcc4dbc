"""Ledgers of migrations, parsed from the output of `ledgers.sql`."""

from __future__ import annotations

import json
from pathlib import Path

from greenroom.core import messages
from greenroom.core.model.migrations import Ledger
from greenroom.errors import Failed

SQL = Path(__file__).with_name("ledgers.sql")
"""Run it with psql, with `-X -A -t -q -v ON_ERROR_STOP=1`, as the owner of the data and never as a superuser."""


def ledger(printed: str) -> Ledger:
    """Return the ledger of a database. Raise `Failed` if migrations did not finish."""
    try:
        found = json.loads(printed)
        tables = [_table(t) for t in found["ledgers"]] if found["tool"] == "several" else [_table(found)]
    except (ValueError, KeyError, TypeError):
        raise Failed("The migration table of the database could not be read: ledgers.sql did not print JSON.") from None
    if len(tables) > 1:
        raise Failed(str(messages.ledger_several([t.tool for t in tables])))
    if tables[0].failed:
        raise Failed(str(messages.ledger_failed(tables[0].tool, tables[0].failed)))
    return tables[0]


def _table(found: dict[str, object]) -> Ledger:
    entries, failed = found.get("applied", []), found.get("failed", [])
    if not isinstance(entries, list) or not isinstance(failed, list):
        raise TypeError
    return Ledger(str(found["tool"]), tuple((str(n), str(c)) for n, c in entries), tuple(str(n) for n in failed))
