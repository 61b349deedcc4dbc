"""`python -m bench.migration_report`: what the migration report finds and costs; it writes docs/migration-report.md.

Each planted fault of tests/seeds/migrations runs on a database with rows, on one without, and through squawk alone. The
costs are the snapshots' share of a migration's time on 500 MB, medians. It takes about two minutes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from greenroom.core.messages.migrations import finding_sentence  # noqa: E402
from greenroom.core.migration_report.report import report  # noqa: E402
from greenroom.core.migration_report.server_log import SETTINGS  # noqa: E402
from greenroom.core.model.migration_report import Finding  # noqa: E402
from greenroom.squawk import EXCLUDED, squawk  # noqa: E402
from seeds import rehearsal  # noqa: E402
from seeds.rehearsal import FAULTS, HARMLESS, Migration, Rehearsal, Server, rehearse  # noqa: E402

PAGE = ROOT / "docs" / "migration-report.md"
ROUNDS = 5
BIG = """
CREATE TABLE accounts (id int PRIMARY KEY, email text NOT NULL, city text, balance numeric(12, 4), pad text);
INSERT INTO accounts SELECT i, i || '@example.com', 'c' || i % 500, i / 7.0, repeat('x', 120)
FROM generate_series(1, 1200000) i;
CREATE INDEX accounts_city ON accounts (city);
CREATE TABLE entries (id bigint PRIMARY KEY, account int NOT NULL, amount numeric(12, 4), note text, at timestamptz);
INSERT INTO entries SELECT i, 1 + i % 1200000, i / 3.0, repeat('y', i % 100),
  timestamptz '2026-01-01' + i * interval '1 second' FROM generate_series(1, 1500000) i;
CREATE INDEX entries_account ON entries (account);
"""
COSTS = {
    "three cheap statements": "ALTER TABLE accounts ADD COLUMN a int; ALTER TABLE entries ADD COLUMN b text DEFAULT '';"
    " CREATE TABLE c (id int PRIMARY KEY)",
    "an index on 1.5 M rows": "CREATE INDEX entries_at ON entries (at, amount)",
    "a rewrite of 1.2 M rows": "ALTER TABLE accounts ALTER COLUMN balance TYPE double precision",
}


@dataclass(frozen=True)
class Line:
    """A planted fault, and what each way shows. `preview` is the alarm with only what Greenroom reads in a cluster."""

    path: Path
    found: Finding | None
    preview: Finding | None
    sentence: str
    rules: tuple[str, ...]
    empty: tuple[Finding, ...]
    empty_exit: int


def lines(server: Server) -> Iterator[Line]:
    for path in FAULTS:
        full = rehearse(server, server.clone("work"), path)
        empty = rehearse(server, server.clone("work", "empty"), path)
        found = expected(path, full)
        sentence = finding_sentence(found, full.report.failure) if found else "not found"
        yield Line(path, found, in_preview(path, full), sentence, rules(path), empty.report.alarms, empty.run.exit_code)


def expected(path: Path, full: Rehearsal) -> Finding | None:
    """The alarm that the file's first line demands."""
    kind, table, count = Migration(path).header("expect")
    return next((f for f in full.report.alarms if (f.kind, f.table, f.count) == (kind, table, int(count))), None)


def in_preview(path: Path, full: Rehearsal) -> Finding | None:
    """The alarm of that kind without what only a rehearsal does: a second run, and a count of the rows in the way."""
    kind, table, _ = Migration(path).header("expect")
    alarms = report(replace(full.run, probed=None, again=None, again_exit=None)).alarms
    return next((f for f in alarms if (f.kind, f.table) == (kind, table)), None)


def rules(path: Path) -> tuple[str, ...]:
    """squawk's own findings about the file, without its rules about what every file should say."""
    program = squawk()
    if program is None:
        raise SystemExit("squawk is not installed: pip install 'greenroom[migrations]'")
    command = [str(program), "--reporter", "Json", *(f"--exclude={rule}" for rule in EXCLUDED), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return tuple(sorted({f["rule_name"] for f in json.loads(done.stdout)}))


def false_alarms(server: Server) -> int:
    database = server.clone("work")
    return sum(bool(rehearse(server, database, path).report.alarms) for path in HARMLESS)


def table(found: list[Line]) -> Iterator[str]:
    yield "| planted fault | the report, with rows | in a preview | the report, on an empty database | squawk alone |"
    yield "| --- | --- | --- | --- | --- |"
    for line in found:
        name = line.path.stem.replace("_", " ")
        empty = ", ".join(f"{f.kind} `{f.table}`" for f in line.empty) or "no alarm"
        failed = ", and it failed" if line.empty_exit else ""
        shown = ", ".join(f"`{r}`" for r in line.rules) or "nothing"
        yield f"| {name} | {line.sentence} | {previewed(line)} | {empty}{failed} | {shown} |"


def previewed(line: Line) -> str:
    if line.preview is None:
        return "no alarm"
    return "the same" if line.found and line.preview.count == line.found.count else "alarm without the count"


def costs(server: Server) -> Iterator[str]:
    """The time of the two snapshots beside that of the migration, on a database of about 500 MB."""
    server.sql("postgres", "CREATE DATABASE big OWNER app", user="postgres")
    server.sql("big", BIG)
    server.sql("big", "VACUUM (FREEZE, ANALYZE)", user="postgres")
    size = int(server.sql("big", "SELECT pg_database_size('big')"))
    share = "both, and their share of the migration's time"
    yield f"| migration on {size / 1e6:,.0f} MB | migration | before | after | {share} |"
    yield "| --- | --- | --- | --- | --- |"
    for name, sql in COSTS.items():
        taken = []
        for _ in range(ROUNDS):
            database = server.clone("work", "big")
            server.sql(database, "VACUUM ANALYZE", user="postgres")
            steps = (
                partial(server.snapshot, database),
                partial(server.psql, database, "-c", sql),
                partial(server.snapshot, database, "after"),
            )
            taken.append([timed(step) for step in steps])
        before, migration, after = (statistics.median(t[i] for t in taken) for i in range(3))
        share = f"{(before + after) / migration:.0%}"
        yield f"| {name} | {migration:.2f} s | {before:.2f} s | {after:.2f} s | {before + after:.2f} s, {share} |"


def timed(what: Callable[[], object]) -> float:
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


def page() -> str:
    installed = rehearsal.installations()
    newest = max(installed)
    counts = []
    shown: list[Line] = []
    prices: list[str] = []
    for version, programs in sorted(installed.items()):
        with rehearsal.seeded(programs) as server:
            found = list(lines(server))
            counts.append(counted(version, found, false_alarms(server)))
            if version == newest:
                shown, prices = found, list(costs(server))
    template = (ROOT / "bench" / "migration_report.md").read_text()
    return template.format(
        settings="\n".join(f"{name} = {value!r}" for name, value in SETTINGS.items()),
        counts="\n".join(counts),
        beside=beside(shown),
        table="\n".join(table(shown)),
        prices="\n".join(prices),
        version=newest,
        rounds=ROUNDS,
        faults=len(shown),
        harmless=len(HARMLESS),
    )


def counted(version: str, found: list[Line], false: int) -> str:
    named = sum(line.found is not None for line in found)
    same = sum(previewed(line) == "the same" for line in found)
    alarms = sum(line.preview is not None for line in found)
    return (
        f"- PostgreSQL {version}: {named} of {len(found)} faults raise an alarm with table and count, and {false} of"
        f" {len(HARMLESS)} harmless migrations raise one. In a preview, {alarms} of {len(found)} faults raise an"
        f" alarm, {same} of them with the same count."
    )


def beside(shown: list[Line]) -> str:
    empty = sum(bool(line.empty) or line.empty_exit != 0 for line in shown)
    silent = sum(not line.rules for line in shown)
    warned = sum(bool(rules(path)) for path in HARMLESS)
    *first, last = (f"`{rule}`" for rule in EXCLUDED)
    excluded = f"{', '.join(first)} and {last}"
    return (
        f"- On an empty database, only {empty} of {len(shown)} faults raises an alarm.\n"
        f"- squawk alone says nothing about {silent} of {len(shown)} faults, and warns about {warned} of"
        f" {len(HARMLESS)} harmless migrations. It\n  reports no counts. The rules {excluded}\n  are left out: with"
        " them, squawk warns about nearly every file."
    )


def main() -> None:
    PAGE.write_text(page())
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
