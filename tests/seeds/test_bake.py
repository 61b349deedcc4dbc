"""The script that turns a dump into a data directory, run with real servers."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from greenroom import dumpfile
from greenroom.errors import Failed
from greenroom.seeds import bake, engines, pgdata
from seeds.conftest import DUMP, ROWS, Baked, account, run_bake
from seeds.servers import Running, give, owned_copy, running

SCRIPT = Path(bake.__file__).with_name("bake-postgresql.sh")


def test_report_has_version_counts_and_the_time_of_each_phase(baked: Baked) -> None:
    assert baked.report.rows == ROWS
    assert baked.report.server.partition(".")[0] == baked.version
    assert list(baked.report.seconds) == ["initdb", "restore", "vacuum", "verify", "stop"]


def test_data_directory_is_clean_small_and_configured_for_a_preview(baked: Baked) -> None:
    pgdata.verify(baked.data, baked.version)
    segments = [path for path in (baked.data / "pg_wal").iterdir() if re.fullmatch(r"[0-9A-F]{24}", path.name)]
    assert len(segments) <= 2  # 16 MB each; recycled ones would be packed too
    assert (baked.data / "pg_hba.conf").read_text() == "local all all trust\nhost all all all scram-sha-256\n"
    settings = (baked.data / "postgresql.conf").read_text()
    assert settings.endswith("listen_addresses = '*'\nrecovery_init_sync_method = syncfs\n")
    assert "fsync = off" not in settings
    assert str(baked.data.parent) not in settings


def test_server_on_the_data_answers_and_app_is_the_owner_without_privileges(baked: Baked, work: Path) -> None:
    with running(owned_copy(baked.data, work / "data"), baked.programs) as server:
        assert server.sql('SELECT count(*) FROM "Order Lines"') == "500"
        owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'app'"
        assert server.sql(owner) == "app"
        can = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolcanlogin FROM pg_roles WHERE rolname = 'app'"
        assert server.sql(can) == "f|f|f|t"
        assert server.sql("SELECT relallvisible = relpages FROM pg_class WHERE relname = 'Order Lines'") == "t"
        assert (
            server.sql("SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = 'app'")
            == "UTF8|C.UTF-8"
        )


FORMATS = [("--format=custom",), ("--format=directory",), ("--format=tar",), ("--format=plain",)]


@pytest.mark.parametrize("flags", FORMATS, ids=lambda flags: flags[0].removeprefix("--format="))
def test_every_format_of_pg_dump_is_restored(baked_18: Baked, work: Path, flags: tuple[str, ...]) -> None:
    with running(owned_copy(baked_18.data, work / "data"), baked_18.programs) as server:
        server.run("pg_dump", "-U", "app", "-d", "app", *flags, "-f", str(work / "out"))
    dump = work / "out"
    if dump.is_dir():
        subprocess.run(["tar", "-C", work, "-cf", work / "out.tar", "out"], check=True)
        dump = work / "out.tar"
    target = work / "again"
    target.mkdir()
    dumpfile.prepare(dump, target / "dump")
    report = _baked(target, bake.Recipe(baked_18.programs, jobs=2))
    assert report.rows == ROWS


BAD = {
    "value in COPY": (
        "CREATE TABLE t (a text, n integer);\nCOPY t FROM stdin;\nx\t1\ny\tsecret-value\n\\.\n",
        'The dump could not be restored: invalid input syntax for type integer: "..." (table t, row 2, column n)',
    ),
    "duplicate key": (
        "CREATE TABLE t (a text UNIQUE);\nINSERT INTO t VALUES ('secret-value'), ('secret-value');\n",
        'The dump could not be restored: duplicate key value violates unique constraint "t_a_key" (line 2 of the dump)',
    ),
    "message of a function": (
        "DO $$ BEGIN RAISE EXCEPTION 'row is secret-value'; END $$;\n",
        "The dump could not be restored: a function raised an exception; its message is not shown, because it may contain values.",
    ),
    "unknown type": ("CREATE TABLE t (a geometry);\n", 'type "geometry" does not exist (line 1 of the dump)'),
    "program at run time": (
        "CREATE TABLE t (a text);\nDO $$ BEGIN EXECUTE 'COPY t FROM ' || 'PROGRAM ''id'''; END $$;\n",
        "COPY to or from an external program",
    ),
    "new superuser": ("CREATE ROLE evil SUPERUSER;\n", "permission denied to create role"),
    "sequence behind": (
        "CREATE TABLE t (id serial PRIMARY KEY);\nINSERT INTO t VALUES (7);\n",
        "these sequences are behind the largest id: public.t_id_seq (table public.t). Set them with setval",
    ),
    "orphan under NOT VALID": (
        "CREATE TABLE a (id int PRIMARY KEY);\nCREATE TABLE b (a int);\nINSERT INTO b VALUES (1);\n"
        "ALTER TABLE b ADD CONSTRAINT b_a FOREIGN KEY (a) REFERENCES a NOT VALID;\n",
        'The rows violate a constraint that is NOT VALID: insert or update on table "b" violates foreign key constraint "b_a".',
    ),
    "shell command": ("SELECT 1;\n\\! touch pwned\n", "backslash commands are restricted"),
    "shell command after its own unrestrict": (
        "\\restrict theirs\nSELECT 1;\n\\unrestrict theirs\n\\! touch pwned\n",
        "line 4: error: backslash commands are restricted",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_dump_is_refused_in_one_sentence_without_values(name: str, version: tuple[str, Path], work: Path) -> None:
    dump, sentence = BAD[name]
    target = work / "bake"
    with pytest.raises(Failed) as caught:
        run_bake(target, dump.encode(), version[0], bake.Recipe(version[1], jobs=1))
    assert sentence in str(caught.value)
    assert "secret-value" not in str(caught.value)
    assert not [path for path in (target / "pwned", target / "server.log", target / "client.log") if path.exists()]
    assert not (target / "pgdata" / "postmaster.pid").exists()


def test_extension_of_the_superuser_belongs_to_app_as_dumps_require(version: tuple[str, Path], work: Path) -> None:
    dump = (
        "CREATE EXTENSION IF NOT EXISTS pageinspect WITH SCHEMA public;\n"  # not trusted: app may not create it
        "COMMENT ON EXTENSION pageinspect IS 'pages';\n"
        "CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;\nCOMMENT ON EXTENSION citext IS 'text';\n"
        "CREATE TABLE t (a citext);\n"
    )
    recipe = bake.Recipe(version[1], ("pageinspect",), jobs=1)
    baked = run_bake(work / "bake", dump.encode(), version[0], recipe)
    assert baked.report.rows == {"public.t": 0}


def test_migration_runs_between_restore_and_verification(version: tuple[str, Path], work: Path) -> None:
    command = f"{version[1]}/psql -X -q -v ON_ERROR_STOP=1 -c 'CREATE TABLE migrated AS SELECT * FROM customers'"
    baked = run_bake(
        work / "bake", DUMP.encode(), version[0], bake.Recipe(version[1], migration=bake.shell(command), jobs=1)
    )
    assert baked.report.rows == ROWS | {"public.migrated": 2}
    assert "migrate" in baked.report.seconds


def test_failed_migration_fails_the_bake(version: tuple[str, Path], work: Path) -> None:
    with pytest.raises(Failed, match=r"The migration command failed with exit code 7\. Its output is above\."):
        run_bake(
            work / "bake", DUMP.encode(), version[0], bake.Recipe(version[1], migration=bake.shell("exit 7"), jobs=1)
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be refused")
def test_script_refuses_root(version: tuple[str, Path], work: Path) -> None:
    done = subprocess.run(["sh", SCRIPT, "--work", work, "--programs", version[1]], capture_output=True, text=True)
    assert done.returncode == 1
    assert "PostgreSQL cannot run as root" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("megabytes", [20, 90])  # initdb needs 40 MB; the dump needs 130 MB
def test_full_disk_is_one_sentence(megabytes: int, version: tuple[str, Path], work: Path) -> None:
    disk = work / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not let root mount a disk")
    try:
        dump = "CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 120000);\n"
        disk.chmod(0o755)
        with pytest.raises(Failed, match=r"the disk of .* is full\. Free some space, or choose another folder"):
            run_bake(disk / "bake", dump.encode(), version[0], bake.Recipe(version[1], jobs=1))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_disk_that_is_full_in_the_middle_of_a_page_is_the_same_sentence(version: tuple[str, Path], work: Path) -> None:
    programs = work / "programs"
    programs.mkdir()
    for name in ("pg_ctl", "pg_controldata", "pg_restore", "postgres", "psql"):
        (programs / name).symlink_to(version[1] / name)
    why = 'FATAL:  could not extend file "base/1/2619": wrote only 4096 of 8192 bytes at block 6'
    (programs / "initdb").write_text(f"#!/bin/sh\necho '{why}' >&2\nexit 1\n")
    (programs / "initdb").chmod(0o755)
    give(programs)
    with pytest.raises(Failed, match=r"initdb failed: the disk of .* is full\. Free some space"):
        run_bake(work / "bake", b"SELECT 1;\n", version[0], bake.Recipe(programs, jobs=1))


def test_script_and_server_end_with_the_program_that_started_them(version: tuple[str, Path], work: Path) -> None:
    (work / "dump").write_text("SELECT pg_sleep(60);\n")
    give(work)
    command = ["sh", _readable(work), "--work", work, "--programs", version[1], "--attached"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=work, **account())  # type: ignore[call-overload]
    assert '"initdb"' in child.stdout.readline()
    server = Running(version[1], work / "socket", work / "pgdata")
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    until = time.monotonic() + 20
    while server.sql(sleeping, "postgres") != "1":
        assert time.monotonic() < until
    # communicate() closes its standard input, as a SIGKILL of the driver does
    child.communicate(timeout=20)
    assert not (work / "pgdata" / "postmaster.pid").exists()


def test_unclean_data_directory_is_refused(version: tuple[str, Path], work: Path, folder: Path) -> None:
    baked = run_bake(work / "bake", b"SELECT 1;\n", version[0], bake.Recipe(version[1], jobs=1))
    with running(baked.data, version[1], stop="immediate"), pytest.raises(Failed, match="was not stopped cleanly"):
        pgdata.verify(baked.data, version[0])
    assert not (baked.data / "postmaster.pid").exists()
    with pytest.raises(Failed, match="was not stopped cleanly"):
        pgdata.verify(baked.data, version[0])
    with pytest.raises(Failed, match=r"belongs to PostgreSQL 18, but the seed is for 14\."):
        pgdata.verify(baked.data, "14.2")
    with pytest.raises(Failed, match="is not a PostgreSQL data directory"):
        pgdata.verify(work, version[0])


def _readable(work: Path) -> Path:
    bake.install(work / "bake.sh", engines.POSTGRESQL)
    give(work)
    return work / "bake.sh"


def _baked(target: Path, recipe: bake.Recipe) -> bake.Report:
    import asyncio

    began = time.monotonic()
    report = asyncio.run(bake.bake(target, recipe, lambda phase, seconds: None))
    assert sum(report.seconds.values()) < time.monotonic() - began + 0.2
    return report
