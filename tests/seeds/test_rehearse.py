"""`greenroom seed rehearse`: migrations run on a real dump, and the report of what they did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seeds import rehearsal
from seeds.rehearsal import FAULTS, Migration
from waiting import until

VERSION = next((v for v, programs in rehearsal.installations().items() if programs.is_relative_to("/usr/lib")), "")
COLUMNS = """
public.customers: {email: synthetic, name: synthetic, phone: {is: synthetic, allow: [phone]}, city: public}
public.feature_flags: {name: public}
public.invoices: {number: synthetic}
public.legacy_imports: {payload: synthetic}
public.orders: {status: public, note: synthetic}
public.products: {sku: public, title: public, tags: public}
public.sessions: {token: synthetic}
public.unused: {remark: synthetic}
"""
Rehearse = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A dump with rows, and its columns file."""
    if not VERSION:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    path = tmp_path_factory.mktemp("seed") / "shop.dump"
    with rehearsal.seeded(rehearsal.installations()[VERSION]) as server:
        environment = server.environment("seed", "postgres")
        flags = ["--format=custom", "--no-owner", "--no-privileges", "--file", str(path)]
        subprocess.run([str(server.programs / "pg_dump"), *flags], env=environment, check=True)
        path.with_name("seed.columns.yaml").write_text(COLUMNS)
        yield path


@pytest.fixture
def run(dump: Path, tmp_path: Path) -> Rehearse:
    programs = rehearsal.installations()[VERSION]

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "greenroom", "seed", "rehearse"]
        more = {"PATH": f"{programs}:{os.environ['PATH']}", **environment}
        return subprocess.run(
            [*command, *arguments], env={**os.environ, **more}, capture_output=True, text=True, cwd=tmp_path
        )

    return run


def arguments(dump: Path, migrate: str) -> list[str]:
    return [str(dump), "--version", VERSION, "--migrate", migrate]


def psql(*files: Path) -> str:
    return " ".join(["psql -X -q -v ON_ERROR_STOP=1", *(f"-f {path}" for path in files)])


@pytest.mark.parametrize(
    "path",
    [FAULTS[0], FAULTS[2], FAULTS[7], FAULTS[13]],
    ids=["rows in the way are counted", "a rewrite", "a second run", "more rows than declared"],
)
def test_rehearsal_finds_a_planted_fault_with_its_table_and_count(dump: Path, run: Rehearse, path: Path) -> None:
    done = run(*arguments(dump, psql(path)), "--json")
    kind, table, count = Migration(path).header("expect")
    found = json.loads(done.stdout)
    assert (kind, table, int(count)) in [(f["kind"], f["table"], f["count"]) for f in found["findings"] if f["alarm"]]
    assert (done.returncode, found["ok"]) == (1, False)


def test_rehearsal_without_an_alarm_says_what_ran(dump: Path, run: Rehearse, tmp_path: Path) -> None:
    migration = tmp_path / "m.sql"
    migration.write_text(
        "CREATE TABLE IF NOT EXISTS django_migrations (id int GENERATED ALWAYS AS IDENTITY, app text, name text);\n"
        "ALTER TABLE customers ADD COLUMN IF NOT EXISTS fax text;\n"
        "INSERT INTO django_migrations (app, name) SELECT 'shop', '0002_fax'"
        " WHERE NOT EXISTS (SELECT FROM django_migrations);\n"
    )
    summary = tmp_path / "summary.md"
    done = run(*arguments(dump, psql(migration)), GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0, done.stdout + done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.startswith("1 migration, "), done.stdout
    assert rest == ["  ran    shop.0002_fax"], done.stdout
    assert summary.read_text().startswith("<details><summary>Migrations: 1 migration, ")


def test_drift_is_what_the_migrations_do_not_make_from_an_empty_database(
    dump: Path, run: Rehearse, tmp_path: Path
) -> None:
    migration = tmp_path / "m.sql"
    migration.write_text("CREATE TABLE IF NOT EXISTS unused (id integer PRIMARY KEY, remark text);\n")
    done = run(*arguments(dump, psql(migration)), "--drift", "--json")
    drift = json.loads(done.stdout)["drift"]
    assert (done.returncode, "+sessions: table" in drift) == (1, True), done.stderr
    assert not any("unused" in line for line in drift)
    text = run(*arguments(dump, psql(migration)), "--drift").stdout
    assert "  drift  +sessions: table" in text.splitlines()


def test_schema_without_drift_is_fine(run: Rehearse, tmp_path: Path) -> None:
    migration, empty = tmp_path / "m.sql", tmp_path / "empty.sql"
    migration.write_text("CREATE TABLE IF NOT EXISTS one (id integer);\n")
    empty.write_text("CREATE TABLE public.one (id integer);\n--\n-- PostgreSQL database dump complete\n--\n")
    done = run(*arguments(empty, psql(migration)), "--no-columns", "--drift", "--json")
    assert (done.returncode, json.loads(done.stdout)["drift"]) == (0, []), done.stderr + done.stdout


def test_migration_that_fails_only_on_an_empty_database_is_reported(dump: Path, run: Rehearse) -> None:
    done = run(*arguments(dump, "psql -X -q -v ON_ERROR_STOP=1 -c 'SELECT FROM customers'"), "--drift")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("no DDL"), "the report is there, too"
    assert last.startswith("  drift  The migrations fail on an empty database (exit code ")


def test_drift_does_not_depend_on_how_postgresql_writes_an_expression(run: Rehearse, tmp_path: Path) -> None:
    """The expression of a CHECK is written in another way once it was dumped and restored."""
    check = "CREATE TABLE IF NOT EXISTS one (state varchar CHECK (state IN ('a', 'b')));"
    migration, dump = tmp_path / "m.sql", tmp_path / "x.sql"
    migration.write_text(f"{check}\nCREATE TABLE IF NOT EXISTS two (state varchar CHECK (state IN ('a', 'b')));\n")
    dumped = check.replace("IF NOT EXISTS one", "public.one").replace(
        "state IN ('a', 'b')", "(state)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])"
    )
    dump.write_text(f"{dumped}\n--\n-- PostgreSQL database dump complete\n--\n")
    done = run(*arguments(dump, psql(migration)), "--no-columns", "--drift", "--json")
    assert json.loads(done.stdout)["drift"] == [], done.stderr


def test_report_without_its_second_snapshot_is_no_success(dump: Path, run: Rehearse) -> None:
    done = run(*arguments(dump, "psql -X -q -c 'ALTER DATABASE app RENAME TO gone' -d postgres"), "--json")
    assert done.returncode == 1, done.stdout
    done = run(*arguments(dump, "psql -X -q -c 'ALTER DATABASE app CONNECTION LIMIT 0'"), "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"], found["complete"]) == (1, False, False)


@pytest.mark.parametrize(
    ("name", "value"), [("PGPORT", "1"), ("PGHOSTADDR", "127.0.0.1"), ("PGSERVICE", "production"), ("PGOPTIONS", "-x")]
)
def test_migration_never_reaches_a_server_of_the_callers_environment(
    dump: Path, run: Rehearse, name: str, value: str
) -> None:
    done = run(*arguments(dump, 'psql -X -q -c "SELECT" && psql -X -q -c "SELECT" "$DATABASE_URL"'), **{name: value})
    assert done.returncode == 0, done.stderr


def test_summary_that_cannot_be_written_loses_no_report(dump: Path, run: Rehearse, tmp_path: Path) -> None:
    done = run(*arguments(dump, "true"), GITHUB_STEP_SUMMARY=str(tmp_path / "missing" / "summary.md"))
    assert (done.returncode, done.stdout.startswith("no DDL")) == (0, True), done.stderr
    assert "Cannot write the job summary: No such file or directory." in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="another account must try to read the files")
def test_other_accounts_cannot_read_the_dump_while_it_is_restored(dump: Path, run: Rehearse, tmp_path: Path) -> None:
    listed = tmp_path / "listed"
    look = f"ls -ld $(dirname $PGHOST) $(dirname $PGHOST)/../dump > {listed} 2>&1; true"
    assert run(*arguments(dump, look)).returncode == 0
    assert "\ndrwx------ " in listed.read_text(), listed.read_text()
    assert "/../dump': No such file" in listed.read_text(), listed.read_text()


async def test_rehearsal_that_is_ended_leaves_no_server_process_or_file(dump: Path, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        begun = tmp_path / "begun"
        command = [sys.executable, "-m", "greenroom", "seed", "rehearse", *arguments(dump, f"touch {begun}; sleep 987")]
        path = f"{rehearsal.installations()[VERSION]}:{os.environ['PATH']}"
        child = subprocess.Popen([*command, "--work", name], env={**os.environ, "PATH": path})
        await until(begun.exists, 60)
        child.terminate()
        assert child.wait(60) == 143
        assert list(Path(name).iterdir()) == []
        listed = subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True).stdout
        assert name not in listed
        assert "sleep 987" not in listed


def test_output_of_the_migration_is_not_part_of_the_report(dump: Path, run: Rehearse) -> None:
    done = run(*arguments(dump, "echo hello"), "--json")
    assert json.loads(done.stdout)["findings"] == []
    assert done.stderr.count("hello") == 2


def test_rehearsal_leaves_no_server_and_no_file(dump: Path, run: Rehearse) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        work = Path(name)
        work.chmod(0o755)
        assert run(*arguments(dump, "true"), "--work", name).returncode == 0
        assert list(work.iterdir()) == []
        listed = subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True).stdout
        assert name not in listed


def test_folder_with_a_path_too_long_for_a_socket_is_refused(dump: Path, run: Rehearse) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="x" * 60) as name:
        Path(name).chmod(0o755)
        done = run(*arguments(dump, "true"), "--work", name)
    assert (done.returncode, "too long for a socket. Choose a folder with a shorter path." in done.stderr) == (
        1,
        True,
    ), done.stderr


@pytest.mark.parametrize(
    ("given", "code", "sentence"),
    [
        (["--migrate", "true"], 2, "Pass DUMP and --version, or --platform and --need."),
        (
            ["x.dump", "--version", "15", "--platform", ".", "--migrate", "true"],
            2,
            "cannot be combined with --platform",
        ),
        (["--platform", ".", "--migrate", "true"], 2, "--platform needs --need SERVICE/NEED."),
        (["{dump}", "--version", "9", "--migrate", "true"], 2, "PostgreSQL 9 was not found."),
        (["{dump}", "--version", "{version}", "--columns", "none.yaml", "--migrate", "true"], 2, "none.yaml"),
        (["{dump}", "--version", "{version}", "--no-columns", "--migrate", "true"], 1, "look like phone numbers"),
    ],
)
def test_wrong_use_is_one_sentence(dump: Path, run: Rehearse, given: list[str], code: int, sentence: str) -> None:
    done = run(*(a.format(dump=dump, version=VERSION) for a in given))
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
