"""Two corpora of dumps made by real programs: good ones pass, bad ones are refused with the sentence of expected.txt.

EXPECTED=write .venv/bin/pytest tests/seeds/test_corpus.py    # write the sentences again, then read the diff
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest

from greenroom.seeds.check import Wants, check
from seeds.dump_server import Server, server
from seeds.recipes import BAD, GOOD, HERE, Kitchen

__all__ = ["server"]
EXPECTED = HERE / "bad" / "expected.txt"
COLUMNS = {
    "mariadb": "mariadb.columns.yaml",
    "MariaDB": "mariadb.columns.yaml",
    "redis": "redis.columns.yaml",
    "Redis": "redis.columns.yaml",
}
ROWS = {
    "postgresql": {"public.customers": 300, "public.orders": 900, "public.events_1": 2, "public.old_notes": 1},
    "mariadb": {"customers": 3, "orders": 4},
}
WANTS = {
    "gzip, expands too far": {"max_expanded": 10_000_000},
    "custom, newer than the service": {"version": "15"},
    "newer than the service": {"version": "15"},
    "pg_dump newer than the service": {"version": "16"},
    "restrict, and a psql that does not know it": {"version": "16.4"},
    "too large": {"max_bytes": 1_000_000},
    "MariaDB for PostgreSQL": {"kind": "postgresql"},
    "PostgreSQL for MariaDB": {"kind": "mariadb"},
    "MariaDB, newer than the service": {"kind": "mariadb", "version": "10.6"},
    "Redis, newer than the service": {"kind": "redis", "version": "6.2"},
    "too few rows": {"minimum_rows": {"orders": 1000}},
    "table that is missing": {"minimum_rows": {"sales": 1}},
    "column that is not listed": {"columns": HERE / "incomplete.columns.yaml"},
    "no columns file": {"columns": None},
}


@pytest.fixture(scope="module")
def kitchen(server: Server) -> Kitchen:
    return Kitchen(server)


def _wants(name: str) -> Wants:
    columns = next((file for word, file in COLUMNS.items() if name.startswith(word)), "shop.columns.yaml")
    return dataclasses.replace(Wants(columns=HERE / columns), **WANTS.get(name, {}))  # type: ignore[arg-type]


def _expected() -> dict[str, str]:
    lines = EXPECTED.read_text().splitlines() if EXPECTED.exists() else []
    return dict(line.split(" | ", 1) for line in lines if " | " in line)


@pytest.mark.parametrize("name", GOOD)
def test_good_dump_passes(kitchen: Kitchen, tmp_path: Path, name: str) -> None:
    dump = tmp_path / "dump"
    dump.write_bytes(GOOD[name](kitchen))
    result = check(dump, _wants(name))
    assert [str(finding) for finding in result.findings if finding.severity == "refused"] == []
    assert result.ok
    kind = next((each for each in ("mariadb", "redis") if name.startswith(each)), "postgresql")
    assert result.kind == kind
    assert result.server
    for table, rows in ROWS.get(kind, {}).items():
        assert result.rows[table] == rows


@pytest.mark.parametrize("name", BAD)
def test_bad_dump_is_refused_with_its_sentence(kitchen: Kitchen, tmp_path: Path, name: str) -> None:
    dump = tmp_path / "dump"
    dump.write_bytes(BAD[name](kitchen))
    result = check(dump, _wants(name))
    refused = [str(finding) for finding in result.findings if finding.severity == "refused"]
    assert not result.ok
    sentence = re.sub(r"\b(bytes?|line|after|first) \d+|\d+(?= bytes)", lambda m: re.sub(r"\d+", "N", m[0]), refused[0])
    if os.environ.get("EXPECTED") == "write":
        EXPECTED.write_text("".join(f"{k} | {v}\n" for k, v in {**_expected(), name: sentence}.items() if k in BAD))
    assert sentence == _expected()[name]


def test_every_sentence_belongs_to_a_dump() -> None:
    assert set(_expected()) == set(BAD)
    assert len(BAD) >= 25
