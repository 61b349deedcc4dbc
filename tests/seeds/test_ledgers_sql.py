"""`ledgers.sql` reads the ledgers of six tools in a real PostgreSQL, and nothing that only looks like one.

The tools themselves make these tables in test_matrix.py. Here they have states that are not reached there.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import psycopg
import pytest

from greenroom.local.postgres_server import Server
from greenroom.seeds import ledgers
from seeds.owned_server import owned_server

PRISMA = """CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL,
    finished_at timestamptz, migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz,
    started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0);
    INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, rolled_back_at) VALUES """
FLYWAY = """CREATE TABLE flyway_schema_history (installed_rank int PRIMARY KEY, version varchar(50),
    description varchar(200), type varchar(20), script varchar(1000), checksum int, success boolean);
    INSERT INTO flyway_schema_history (installed_rank, version, type, script, checksum, success) VALUES """
RAILS = (
    "CREATE TABLE schema_migrations (version varchar PRIMARY KEY); INSERT INTO schema_migrations VALUES ('2'), ('1');"
)
KNEX = "CREATE TABLE knex_migrations (id serial, name varchar, batch int, migration_time timestamptz);"

Run = Callable[[str], dict[str, object]]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with owned_server() as started:
        yield started


@pytest.fixture
def run(server: Server) -> Run:
    """Make these tables in a database of their owner, and return what the query prints."""

    def of(tables: str, role: str = "app") -> dict[str, object]:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute('DROP DATABASE IF EXISTS "ledgers" WITH (FORCE)')
            connection.execute('CREATE DATABASE "ledgers" OWNER app')
        with psycopg.connect(server.url("ledgers", "app", "app"), autocommit=True) as connection:
            connection.execute(tables.encode())
        url = server.url("ledgers", role, "app" if role == "app" else "")
        program = [str(server.programs / "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]
        done = subprocess.run([*program, "-f", str(ledgers.SQL)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr)
        found: dict[str, object] = json.loads(done.stdout)
        return found

    return of


@pytest.mark.parametrize(
    ("tables", "tool", "applied", "failed"),
    [
        ("CREATE TABLE item ()", "", None, None),
        (PRISMA + "('1', 'c1', now(), '1_a', NULL), ('2', 'c2', NULL, '2_b', now()), ('3', 'c3', now(), '2_b', NULL)", "prisma", [["1_a", "c1"], ["2_b", "c3"]], []),
        (PRISMA + "('1', 'c1', now(), '1_a', NULL), ('2', 'c2', NULL, '2_b', NULL)", "prisma", [["1_a", "c1"]], ["2_b"]),
        (FLYWAY + """(0, NULL, 'SCHEMA', '"public"', NULL, true), (1, '1', 'SQL', 'V1__a.sql', -5, true),
            (2, '2', 'SQL', 'sub/V2__b.sql', 6, false), (3, NULL, 'SQL', 'R__v.sql', 7, true),
            (4, NULL, 'SQL', 'R__v.sql', 8, true), (5, '3', 'JDBC', 'db.migration.V3__C', NULL, true)""", "flyway", [["V1__a.sql", "-5"], ["R__v.sql", "8"], ["V3__C", ""]], ["V2__b.sql"]),
        (FLYWAY + "(1, '4', 'BASELINE', '<< Flyway Baseline >>', NULL, true), (2, '5', 'SQL', 'V5__a.sql', 1, true), (3, '5', 'DELETE', 'V5__a.sql', 1, true)", "flyway", [["baseline 4", ""]], []),
        (RAILS + "CREATE TABLE ar_internal_metadata (key varchar)", "rails", [["1", ""], ["2", ""]], []),
        (RAILS, "", None, None),
        ("CREATE TABLE schema_migrations (version bigint, dirty boolean); CREATE TABLE knex_migrations (id int)", "", None, None),
        ("CREATE SCHEMA x; CREATE TABLE x.alembic_version (version_num varchar); INSERT INTO x.alembic_version VALUES ('b'), ('a')", "alembic", [["a", ""], ["b", ""]], []),
        (KNEX, "knex", [], []),
        ("CREATE VIEW django_migrations AS SELECT 1 AS id, 'a' AS app, 'b' AS name", "", None, None),
    ],
)  # fmt: skip
def test_each_ledger_is_read(run: Run, tables: str, tool: str, applied: object, failed: object) -> None:
    found = run(tables)
    assert (found["tool"], found.get("applied"), found.get("failed")) == (tool, applied, failed)


def test_ledgers_of_two_tools_are_both_printed(run: Run) -> None:
    found = run(KNEX + RAILS + "CREATE TABLE ar_internal_metadata (key varchar)")
    assert found["tool"] == "several"
    assert [each["tool"] for each in found["ledgers"]] == ["knex", "rails"]  # type: ignore[attr-defined]


def test_functions_of_the_dump_are_not_called(run: Run) -> None:
    """A dump cannot change the answer with a function or an operator of its own."""
    shadows = """CREATE FUNCTION public.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS $$SELECT 'x'$$;
        CREATE FUNCTION public.to_json(text) RETURNS json LANGUAGE sql AS $$SELECT '1'::json$$;
        CREATE TABLE public.pg_class (oid oid); ALTER DATABASE ledgers SET search_path = public, pg_catalog;"""
    assert run(shadows + KNEX)["tool"] == "knex"


def test_a_superuser_is_refused(run: Callable[..., dict[str, object]]) -> None:
    with pytest.raises(ValueError, match="must not run as a superuser"):
        run(KNEX, "postgres")
