"""Planted migration faults and harmless migrations on real PostgreSQL servers."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from greenroom.argocd import squawk
from greenroom.argocd.client import LogText
from greenroom.argocd.migration_reports import ReportReader
from greenroom.argocd.migration_runs import EndedRun
from greenroom.core import messages
from greenroom.core.migration_report.report import MigrationRun, report, with_lints
from greenroom.core.migration_report.server_log import SETTINGS, reaches
from greenroom.core.migration_report.snapshot import probe_counts, snapshot
from greenroom.core.model.kinds import KINDS
from greenroom.core.model.migration_report import Cause, MigrationReport, RanStatement
from greenroom.local.ports import free_port
from seeds import rehearsal
from seeds.rehearsal import FAULTS, HARMLESS, Migration, Server, rehearse
from waiting import until

INSTALLED = rehearsal.installations()
NEWEST = pytest.mark.parametrize("server", sorted(INSTALLED)[-1:] or [""], indirect=True)


@pytest.fixture(scope="module", params=sorted(INSTALLED) or [""])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if not request.param:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql, or pip install 'greenroom[demo]'")
    with rehearsal.seeded(INSTALLED[request.param]) as found:
        yield found


@pytest.mark.parametrize("path", FAULTS, ids=lambda p: p.stem)
def test_planted_fault_is_an_alarm_with_its_table_and_count(server: Server, path: Path) -> None:
    found = rehearse(server, server.clone("work"), path)
    kind, table, count = Migration(path).header("expect")
    alarms = [(str(f.kind), f.table, f.count) for f in found.report.alarms]
    assert (kind, table, int(count)) in alarms, (alarms, found.stderr)
    assert f"`{table}" in messages.migration_summary(found.report)


def test_no_harmless_migration_is_an_alarm(server: Server) -> None:
    database = server.clone("work")
    assert len(HARMLESS) >= 50
    before = server.snapshot(database)
    for path in HARMLESS:
        found = rehearse(server, database, path, before)
        assert found.run.after
        before = found.run.after
        assert (path.stem, found.run.exit_code) == (path.stem, 0), found.stderr
        assert (path.stem, found.report.alarms) == (path.stem, ())


def test_no_value_enters_snapshot_or_report(server: Server, tmp_path: Path) -> None:
    """Values in rows, statistics, errors and statements. The migration fails, because failures quote values."""
    database = server.clone("work")
    path = tmp_path / "values.sql"
    path.write_text(
        "INSERT INTO feature_flags VALUES ('TOPSECRET', true);\n"
        "CREATE TABLE kept (id int, word text); INSERT INTO kept SELECT i, 'TOPSECRET' FROM generate_series(1, 50) i;\n"
        "ALTER TABLE customers ADD COLUMN token text DEFAULT 'TOPSECRET';\n"
        "ALTER TABLE customers ALTER COLUMN token DROP DEFAULT;\n"
        "CREATE FUNCTION secret() RETURNS text LANGUAGE sql AS 'SELECT ''TOPSECRET''';\n"
        "ALTER TABLE kept ALTER COLUMN word TYPE integer USING word::integer;\n"
    )
    found = rehearse(server, database, path)
    assert "TOPSECRET" in found.stderr
    server.sql(database, "ANALYZE")
    [line] = server.snapshot_lines(database, "after")
    assert "TOPSECRET" not in line
    shown = messages.migration_details(found.report) + messages.migration_summary(found.report)
    assert "`kept` (`word`)" in shown
    assert "SECRET" not in shown
    assert "CREATE FUNCTION secret …" in shown


@NEWEST
def test_drivers_that_prepare_statements_or_send_several_are_read(server: Server) -> None:
    psycopg = pytest.importorskip("psycopg")
    database = server.clone("work")
    mark = server.log.stat().st_size
    before = server.snapshot(database)
    with psycopg.connect(host=str(server.home), user="app", dbname=database) as connection:
        connection.execute("ALTER TABLE orders ADD COLUMN one int", prepare=True)
        connection.execute("ALTER TABLE orders ADD COLUMN two int; INSERT INTO feature_flags VALUES ('TOPSECRET')")
        connection.execute("UPDATE customers SET name = %s WHERE id < %s", ["TOPSECRET", 11])
    after = server.snapshot(database)
    found = report(MigrationRun(before, after, server.log_lines(mark)))
    assert [s.text[-14:] for s in found.statements] == ["COLUMN one int", "COLUMN two int"]
    assert ("rows-updated", "customers", 10) in [(str(f.kind), f.table, f.count) for f in found.findings]


@NEWEST
def test_wait_for_a_lock_is_reported(server: Server) -> None:
    psycopg = pytest.importorskip("psycopg")
    database = server.clone("work")
    mark = server.log.stat().st_size
    before = server.snapshot(database)
    with psycopg.connect(host=str(server.home), user="app", dbname=database) as holder:
        holder.execute("LOCK TABLE products IN ACCESS SHARE MODE")
        blocked = server.psql(
            database, "-c", "SET lock_timeout = '300ms'", "-c", "ALTER TABLE products ADD COLUMN x int"
        )
    found = report(MigrationRun(before, server.snapshot(database), server.log_lines(mark), blocked.returncode))
    assert {(str(f.kind), f.table) for f in found.findings} >= {("lock-wait", "products"), ("failed", "products")}
    assert found.failure
    assert found.failure.cause is Cause.LOCK


@NEWEST
def test_large_tables_are_estimated(server: Server, tmp_path: Path) -> None:
    """A table above the limit for exact counts: statistics before, a sample of the retyped column after."""
    database = server.clone("work")
    server.sql(
        database,
        "CREATE TABLE big (id int, word text, pad text);"
        "INSERT INTO big SELECT i, CASE WHEN i % 4 <> 0 THEN i::text END, repeat('x', 200) FROM generate_series(1, 150000) i;"
        "ANALYZE big",
    )
    path = tmp_path / "big.sql"
    path.write_text(
        "ALTER TABLE big ALTER COLUMN word TYPE int USING CASE WHEN word::int % 3 = 0 THEN NULL ELSE word::int END;\n"
        "DELETE FROM big WHERE id > 130000;\n"
    )
    found = rehearse(server, database, path)
    assert not found.run.before.named(("big",)).exact  # type: ignore[union-attr]
    alarms = {str(f.kind): f for f in found.report.alarms}
    assert alarms["rows-deleted"].count == 20_000
    assert alarms["rewritten"].count == pytest.approx(150_000, rel=0.05)
    assert alarms["values-lost"].count == pytest.approx(37_500 * 130 / 150, rel=0.3)
    assert not alarms["values-lost"].exact


@NEWEST
def test_schema_of_a_thousand_tables_fits_in_a_megabyte(server: Server) -> None:
    columns = ", ".join(
        f"column_{i} {kind}" for i, kind in enumerate(["text", "bigint", "timestamptz DEFAULT now()"] * 4)
    )
    database = server.clone("work", "template0")
    server.sql(
        database,
        "DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE relation_number_%s (id bigint GENERATED ALWAYS AS"
        f" IDENTITY PRIMARY KEY, parent bigint REFERENCES %s, {columns})', i,"
        " CASE WHEN i > 1 THEN format('relation_number_%s (id)', i - 1) ELSE format('relation_number_%s (id)', i) END);"
        " IF i % 250 = 0 THEN COMMIT; END IF; END LOOP; END $$",
    )
    [line] = server.snapshot_lines(database, "before")
    found = snapshot(line)
    assert found
    assert (len(found.tables), found.left_out) == (1000, 0)
    assert len(line.encode()) < 1_000_000
    assert found.at - found.began < 5


@NEWEST
def test_snapshot_that_cannot_be_taken_does_not_fail_the_pod(server: Server) -> None:
    [line] = server.snapshot_lines("no_such_database", "before")
    assert '"failed": true' in line
    assert snapshot(line) is None


@NEWEST
def test_probe_may_only_read(server: Server, tmp_path: Path) -> None:
    database = server.clone("work")
    queries = tmp_path / "probes"
    queries.write_text("DELETE FROM sessions\nSELECT count(*) FROM sessions\nSELECT email FROM customers LIMIT 1\n")
    lines = server.snapshot_lines(database, "before", GREENROOM_PROBES=str(queries))
    assert probe_counts(lines[1]) == (None, 1200, None)


def test_snapshots_mark_the_log_on_both_sides_of_a_migration(server: Server) -> None:
    run = rehearse(server, server.clone("work"), FAULTS[4]).run
    assert run.after
    assert reaches(run.log, run.before.at, run.after.began)
    marks = [n for n, line in enumerate(run.log) if "LOG:  greenroom: snapshot" in line]
    assert len(marks) == 2
    assert not reaches(run.log[marks[0] + 2 :], run.before.at, run.after.began)
    assert not reaches(run.log[: marks[1]], run.before.at, run.after.began)


@pytest.mark.parametrize("path", [FAULTS[1], FAULTS[4]], ids=lambda p: p.stem)
def test_logs_of_pods_make_the_report_of_a_real_migration(server: Server, path: Path) -> None:
    database, began = server.clone("work"), server.log.stat().st_size
    [before] = server.snapshot_lines(database, "before")
    failed = server.psql(database, "-f", str(path)).returncode != 0
    [after] = server.snapshot_lines(database, "after")
    logs: Any = Logs({"report-before": before, "report-after": after, "postgresql": "\n".join(server.log_lines(began))})
    run = EndedRun("shop", "web-1", "uid", "shop-postgresql", "db-1", "postgresql", int(failed), "", 1.0)
    found = asyncio.run(ReportReader(logs).report("preview-shop-1", run))
    assert found
    assert found.log_complete
    kind, table, count = Migration(path).header("expect")
    assert (kind, table, int(count)) in [(str(f.kind), f.table, f.count) for f in found.alarms]


@dataclass
class Logs:
    """What containers wrote, by their name."""

    texts: dict[str, str]

    async def log_since(self, namespace: str, pod: str, container: str, since: str, limit: int) -> LogText:
        return LogText(self.texts[container])


def test_start_of_a_seed_sets_the_password_and_passes_the_settings_on(server: Server) -> None:
    """The chart passes the settings as arguments behind the mode and the number of resets."""
    chart = KINDS["postgresql"].chart
    settings = [f"-c{name}={value}" for name, value in chart.report.items()]
    with rehearsal.cluster(server.programs) as (run_as, data):
        port = free_port()
        command = ["sh", "-c", chart.seeded, "start", "layer", "0", *settings]
        command += ["-clisten_addresses=127.0.0.1", f"-cport={port}"]
        environment = {"PATH": f"{server.programs}:/usr/bin:/bin", "PGDATA": str(data), "POSTGRES_PASSWORD": "it's set"}
        log = (data.parent / "log").open("wb")
        running = subprocess.Popen(command, **run_as.identity(), env=environment, stdout=log, stderr=log, cwd="/")
        try:
            asyncio.run(until(lambda: ask(server, port, "SELECT 1") == "1", 30))
            for name, value in SETTINGS.items():
                assert ask(server, port, f"SHOW {name}") == value
        finally:
            running.send_signal(signal.SIGQUIT)
            running.wait(30)
            log.close()


def ask(server: Server, port: int, sql: str) -> str:
    """Ask the server on this port as `app`, with the password."""
    where = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(port),
        "PGUSER": "app",
        "PGDATABASE": "postgres",
        "PGPASSWORD": "it's set",
    }
    command = [str(server.programs / "psql"), "-XqAtw", "-c", sql]
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin", **where}, capture_output=True, text=True)
    return done.stdout.removesuffix("\n")


@NEWEST
def test_squawk_reads_the_captured_statements(server: Server) -> None:
    program = squawk.squawk()
    if program is None:
        pytest.skip("squawk is not installed: pip install 'greenroom[migrations]'")
    found = rehearse(server, server.clone("work"), FAULTS[4])
    lints = squawk.lints(found.report.statements, 180000, program)
    assert lints
    assert [(lint.rule, lint.statement) for lint in lints] == [("ban-drop-column", 0)]
    assert "`ban-drop-column`" in messages.migration_details(with_lints(found.report, lints))


def test_linter_that_is_missing_or_broken_is_not_mentioned(tmp_path: Path) -> None:
    ran = (RanStatement("DROP TABLE a", None, raw="DROP TABLE a"),)
    broken = tmp_path / "squawk"
    broken.write_text("#!/bin/sh\necho nothing\n")
    broken.chmod(0o755)
    for program in (None, tmp_path / "missing", broken):
        assert squawk.lints(ran, 180000, program) is None
    assert "squawk" not in messages.migration_details(MigrationReport((), 0.1, ran, ()))
