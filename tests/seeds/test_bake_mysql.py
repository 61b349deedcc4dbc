"""The script that turns a dump of MariaDB into a data directory, and the start of a database on it, with real servers."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from greenroom.cli.seed_build import build
from greenroom.core.model.kinds import KINDS
from greenroom.errors import Failed, FixConfiguration
from greenroom.local.ports import free_port
from greenroom.seeds import bake, engines, ledgers, mysqldata, programs
from seeds.conftest import account
from seeds.servers import give

DUMP = (Path(__file__).parent / "mariadb" / "plain.sql").read_bytes()
PASSWORD = "it's \\ a password"
SHARED = """\
CREATE TABLE customers (id int PRIMARY KEY, name varchar(80) UNIQUE, n int NOT NULL) ENGINE=InnoDB;
CREATE TABLE orders (id int PRIMARY KEY, customer int, CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers (id));
"""


@dataclass(frozen=True)
class Baked:
    data: Path
    report: bake.Report


@pytest.fixture(scope="session")
def baked(folder: Path, mariadb: tuple[str, Path]) -> Baked:
    return run(folder / "mariadb", DUMP, mariadb)


def run(work: Path, dump: bytes, mariadb: tuple[str, Path], migration: str = "") -> Baked:
    work.mkdir()
    (work / "dump").write_bytes(dump)
    migrate = bake.shell(migration, engines.MYSQL) if migration else None
    recipe = bake.Recipe(mariadb[1], migration=migrate, jobs=1, kind="mariadb")
    return Baked(work / "mysqldata", asyncio.run(bake.bake(work, recipe, lambda phase, seconds: None)))


@dataclass(frozen=True)
class Serving:
    socket: Path
    port: int

    def sql(self, statement: str, *, user: str = "app", password: str = PASSWORD, host: str = "127.0.0.1") -> str:
        command = [
            "mariadb",
            "--no-defaults",
            "--skip-ssl",
            "--default-character-set=utf8mb4",
            "-N",
            "-B",
            "-h",
            host,
            "-P",
            str(self.port),
            "-u",
            user,
        ]
        done = subprocess.run(
            [*command, "-e", statement], env={**os.environ, "MYSQL_PWD": password}, capture_output=True, text=True
        )
        return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()


@contextmanager
def serving(work: Path, mode: str = "layer", resets: int = 0) -> Iterator[Serving]:
    """Start MariaDB on the data of `work` as a preview does, with the paths of this test."""
    script = KINDS["mariadb"].chart.seeded
    places = {"/tmp/": f"{work}/", mysqldata.PLACE: str(work / "data"), "/var/lib/greenroom": str(work / "volume")}
    for path, ours in places.items():
        script = script.replace(path, ours)
    (work / "volume").mkdir(exist_ok=True)
    give(work)
    port = free_port()
    child = subprocess.Popen(
        ["sh", "-c", script, "start", mode, str(resets), f"--port={port}", f"--log-error={work / 'log'}"],
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin", "MARIADB_PASSWORD": PASSWORD},
        **account(),  # type: ignore[call-overload]
    )
    found = Serving(work / "mysqld.sock", port)
    try:
        until = time.monotonic() + 30
        while found.sql("SELECT 1") != "1":
            assert time.monotonic() < until, (work / "log").read_text()
            assert child.poll() is None, (work / "log").read_text()
            time.sleep(0.1)
        yield found
    finally:
        child.terminate()
        child.wait(30)


def copied(baked: Baked, work: Path) -> None:
    work.mkdir(exist_ok=True)
    work.chmod(0o755)
    shutil.copytree(baked.data, work / "data")


def test_kinds_with_a_seeded_start_have_an_engine_and_are_offered_by_the_command() -> None:
    seeded = {name for name, kind in KINDS.items() if kind.chart.seeded}
    assert engines.ENGINES.keys() == seeded
    offered = next(p.type for p in build.params if p.name == "kind")
    assert set(offered.choices) == seeded  # type: ignore[attr-defined]


def test_report_has_version_counts_and_the_time_of_each_phase(baked: Baked) -> None:
    assert baked.report.rows == {"customers": 3, "orders": 4}
    assert baked.report.server.startswith("10.11.")
    assert list(baked.report.seconds) == ["initdb", "restore", "analyze", "verify", "stop"]
    mysqldata.verify(baked.data, baked.report.server, "10.11")


def test_data_directory_has_nothing_of_the_server_that_made_it(baked: Baked) -> None:
    assert not [p.name for p in baked.data.iterdir() if p.suffix in (".pid", ".pem") or p.name == "auto.cnf"]
    assert sum(p.stat().st_size for p in baked.data.rglob("*")) < 40 * 2**20, "each start copies what it writes to"


def test_preview_answers_only_with_its_password_and_only_to_app(baked: Baked, work: Path) -> None:
    copied(baked, work)
    with serving(work) as server:
        assert server.sql("SELECT COUNT(*) FROM app.customers") == "3"
        assert server.sql("SELECT name FROM app.customers WHERE id = 1") == "Anna; \\\\ 'x'"
        assert "Access denied" in server.sql("SELECT 1", password="")
        for user in ("root", "", "mysql"):
            assert "denied" in server.sql("SELECT 1", user=user, password="") or user == ""
        assert "denied" in server.sql("CREATE USER other")
        assert "denied" in server.sql("SELECT * FROM mysql.user")


def test_copy_keeps_its_data_until_it_is_reset(baked: Baked, work: Path) -> None:
    copied(baked, work)
    with serving(work, "copy") as server:
        server.sql("DELETE FROM app.orders")
    with serving(work, "copy") as server:
        assert server.sql("SELECT COUNT(*) FROM app.orders") == "0"
    with serving(work, "copy", resets=1) as server:
        assert server.sql("SELECT COUNT(*) FROM app.orders") == "4"
    assert [p.name for p in (work / "volume").iterdir()] == ["mysql-1"]
    with serving(work, "copy") as server:
        assert server.sql("SELECT COUNT(*) FROM app.orders") == "4", "a restored backup undoes no reset"
    assert [p.name for p in (work / "volume").iterdir()] == ["mysql-1"]


BAD = {
    "duplicate key": (
        SHARED + "INSERT INTO customers VALUES (1, 'secret-value', 1), (2, 'secret-value', 1);\n",
        "The dump could not be restored: Duplicate entry ... for key 'name' (line 3 of the dump)",
    ),
    "wrong value": (
        SHARED + "INSERT INTO customers VALUES (1, 'a', 'secret-value');\n",
        "Incorrect integer value for column `app`.`customers`.`n` at row 1 (line 3 of the dump)",
    ),
    "syntax": (SHARED + "INSERT INTO customers VALUE 'secret-value';\n", "You have an error in your SQL syntax"),
    "unknown column": (
        SHARED + "INSERT INTO customers (mail) VALUES ('secret-value');\n",
        "Unknown column 'mail' in 'INSERT INTO' (line 3 of the dump)",
    ),
    "quotes in a value": (
        SHARED
        + "INSERT INTO customers VALUES (1, 'it''s a \\'secret-value\\' x', 1), (2, 'it''s a \\'secret-value\\' x', 1);\n",
        "Duplicate entry ... for key 'name'",
    ),
    "message of a trigger": (
        SHARED
        + "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'secret-value';\n"
        "INSERT INTO orders VALUES (1, NULL);\n",
        "error 1644, whose message is not shown, because it may contain values (line 4 of the dump)",
    ),
    "message of a trigger with a number of its own": (
        SHARED
        + "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31001,"
        " MESSAGE_TEXT = 'bad mail secret-value';\nINSERT INTO orders VALUES (1, NULL);\n",
        "error 31001, whose message is not shown",
    ),
    "value outside of a partition": (
        "CREATE TABLE p (a bigint) PARTITION BY LIST (a) (PARTITION one VALUES IN (1));\n"
        "INSERT INTO p VALUES (4111111111111111);\n",
        "error 1526, whose message is not shown",
    ),
    "value that says that something is full": (
        SHARED + "INSERT INTO customers VALUES (1, 'mailbox is full', 1), (2, 'mailbox is full', 1);\n",
        "Duplicate entry ... for key 'name'",
    ),
    "apostrophe in a message": (
        "CREATE TABLE c (a int, FOREIGN KEY (a) REFERENCES missing (a));\n",
        "Cannot create table `app`.`c`",
    ),
    "row without its parent": (
        SHARED + "SET FOREIGN_KEY_CHECKS = 0;\nINSERT INTO orders VALUES (1, 7);\n",
        "Rows refer to rows that do not exist. These foreign keys do not hold: of_customer (table orders).",
    ),
    "account": ("CREATE USER evil;\n", "Access denied"),
    "another database": ("CREATE DATABASE evil;\n", "Access denied"),
    "shell command": (
        SHARED + "\\! touch pwned\n",
        "The dump could not be restored: the dump contains a command of the client (line 3 of the dump)",
    ),
    "shell command by its name": (SHARED + "system touch pwned;\n", "You have an error in your SQL syntax"),
    "file of the server": (
        "CREATE TABLE f (a text);\nINSERT INTO f SELECT LOAD_FILE('/etc/passwd') FROM missing;\n",
        "Table 'app.missing' does not exist (line 2 of the dump)",
    ),
    "file of the client": (
        SHARED + "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE customers;\n",
        "The used command is not allowed",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_dump_is_refused_in_one_sentence_without_values(name: str, mariadb: tuple[str, Path], work: Path) -> None:
    dump, sentence = BAD[name]
    with pytest.raises(Failed) as caught:
        run(work / "bake", dump.encode(), mariadb)
    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "4111" not in str(caught.value)
    assert not list((work / "bake").rglob("pwned"))


def test_text_that_is_not_ascii_arrives_as_it_is_with_and_without_set_names(
    mariadb: tuple[str, Path], work: Path
) -> None:
    dump = "CREATE TABLE `größe 日本` (`straße` text);\nINSERT INTO `größe 日本` VALUES ('Größe 日本');\n"
    for number, names in enumerate(("", "/*!40101 SET NAMES utf8mb4 */;\n")):
        baked = run(work / f"bake-{number}", (names + dump).encode(), mariadb)
        assert baked.report.rows == {"größe 日本": 1}
        copied(baked, work / str(number))
        with serving(work / str(number)) as server:
            assert server.sql("SELECT HEX(`straße`) FROM app.`größe 日本`") == "Größe 日本".encode().hex().upper()


@pytest.mark.skipif(
    not (shutil.which("mariadb-tzinfo-to-sql") or shutil.which("mysql_tzinfo_to_sql")),
    reason="the program that loads time zones is not installed; tests/e2e/test_seeds.py looks at them too",
)
def test_time_zones_are_known(baked: Baked, work: Path) -> None:
    copied(baked, work)
    with serving(work) as server:
        found = server.sql("SELECT CONVERT_TZ('2026-01-01 12:00:00', 'UTC', 'Europe/Berlin')")
    assert found == "2026-01-01 13:00:00"


def test_tables_with_a_history_are_counted(mariadb: tuple[str, Path], work: Path) -> None:
    dump = "CREATE TABLE v (a int) WITH SYSTEM VERSIONING;\nINSERT INTO v VALUES (1);\n"
    assert run(work / "bake", dump.encode(), mariadb).report.rows == {"v": 1}


LEDGERS = {
    "django": (
        "CREATE TABLE django_migrations (id int PRIMARY KEY AUTO_INCREMENT, app text, name text, applied datetime);"
        "INSERT INTO django_migrations (app, name) VALUES ('shop', '0001_initial'), ('auth', '0002_x');",
        (("shop.0001_initial", ""), ("auth.0002_x", "")),
    ),
    "alembic": (
        "CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('a1b2');",
        (("a1b2", ""),),
    ),
    "rails": (
        "CREATE TABLE schema_migrations (version varchar(255)); CREATE TABLE ar_internal_metadata (`key` varchar(9));"
        "INSERT INTO schema_migrations VALUES ('20260102'), ('20260101');",
        (("20260101", ""), ("20260102", "")),
    ),
    "flyway": (
        "CREATE TABLE flyway_schema_history (installed_rank int, version varchar(50), type varchar(20), script varchar(99),"
        " checksum int, success bool); INSERT INTO flyway_schema_history VALUES (1, '1', 'SQL', 'db/V1__a.sql', 7, 1),"
        " (2, '2', 'SQL', 'V2__b.sql', -8, 1), (3, '2', 'UNDO_SQL', 'U2__b.sql', 9, 1);",
        (("V1__a.sql", "7"),),
    ),
    "prisma": (
        "CREATE TABLE _prisma_migrations (migration_name text, checksum text, finished_at datetime, rolled_back_at datetime,"
        " started_at datetime); INSERT INTO _prisma_migrations VALUES ('1_init', 'abc', NOW(), NULL, NOW()),"
        " ('2_bad', 'def', NULL, NOW(), NOW());",
        (("1_init", "abc"),),
    ),
    "knex": (
        "CREATE TABLE knex_migrations (id int, name text); INSERT INTO knex_migrations VALUES (2, 'b.js'), (1, 'a.js');",
        (("a.js", ""), ("b.js", "")),
    ),
    "": ("CREATE TABLE schema_migrations (version varchar(255));", ()),
}


@pytest.mark.parametrize("tool", LEDGERS)
def test_migrations_of_each_tool_are_read(tool: str, mariadb: tuple[str, Path], work: Path) -> None:
    dump, entries = LEDGERS[tool]
    found = ledgers.ledger(run(work / "bake", dump.encode(), mariadb).report.ledger)
    assert (found.tool, found.entries, found.failed) == (tool, entries, ())


def test_migration_that_did_not_finish_is_refused(mariadb: tuple[str, Path], work: Path) -> None:
    dump = "CREATE TABLE _prisma_migrations (migration_name text, checksum text, finished_at datetime, rolled_back_at datetime, started_at datetime);"
    dump += "INSERT INTO _prisma_migrations VALUES ('2_bad', 'def', NULL, NULL, NOW());"
    with pytest.raises(Failed, match="2_bad"):
        ledgers.ledger(run(work / "bake", dump.encode(), mariadb).report.ledger)


def test_server_that_does_not_start_says_why(mariadb: tuple[str, Path], work: Path) -> None:
    """Not that the client could not reach it."""
    folder = work / "programs"
    folder.mkdir()
    server = folder / "mariadbd"
    log = 'for each in "$@"; do case $each in --log-error=*) log=${each#*=} ;; esac; done'
    failing = 'case "$*" in *--socket=*) echo "0 [ERROR] InnoDB: The page size is wrong" >"$log"; exit 1 ;; esac'
    server.write_text(f'#!/bin/sh\n{log}\n{failing}\nexec {mariadb[1]}/mariadbd "$@"\n')
    server.chmod(0o755)
    with pytest.raises(Failed, match="The server did not start: InnoDB: The page size is wrong"):
        run(work / "bake", b"SELECT 1;\n", (mariadb[0], folder))


def test_migration_runs_between_restore_and_verification(mariadb: tuple[str, Path], work: Path) -> None:
    command = "mariadb --no-defaults -u app app -e 'CREATE TABLE migrated AS SELECT * FROM customers'"
    baked = run(work / "bake", DUMP, mariadb, command)
    assert baked.report.rows == {"customers": 3, "migrated": 3, "orders": 4}


def test_script_and_server_end_with_the_program_that_started_them(mariadb: tuple[str, Path], work: Path) -> None:
    (work / "dump").write_text("DO SLEEP(60);\n")
    bake.install(work / "bake.sh", engines.MYSQL)
    give(work)
    child = subprocess.Popen(
        ["sh", work / "bake.sh", "--work", work, "--programs", mariadb[1], "--attached"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=work,
        **account(),  # type: ignore[call-overload]
    )
    assert '"initdb"' in child.stdout.readline()
    pid = int((work / "socket" / "pid").read_text())
    child.communicate(timeout=20)  # it closes its standard input, as a SIGKILL of the driver does
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("megabytes", [20, 70])
def test_full_disk_is_one_sentence(megabytes: int, mariadb: tuple[str, Path], work: Path) -> None:
    disk = work / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not let root mount a disk")
    rows = "".join("INSERT INTO t VALUES (REPEAT('x', 60000)), (REPEAT('y', 60000));\n" for _ in range(600))
    try:
        disk.chmod(0o755)
        with pytest.raises(Failed, match=r"the disk of .* is full\. Free some space, or choose another folder"):
            run(disk / "bake", f"CREATE TABLE t (a longtext);\n{rows}".encode(), mariadb)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_data_of_another_version_or_of_nothing_is_refused(baked: Baked, work: Path) -> None:
    with pytest.raises(Failed, match=r"belongs to version 10\.11\.\d+, but the seed is for 11\.4"):
        mysqldata.verify(baked.data, baked.report.server, "11.4")
    with pytest.raises(Failed, match="is not a data directory of MariaDB or MySQL"):
        mysqldata.verify(work, "10.11.2", "10.11")
    with pytest.raises(FixConfiguration, match=r"has version 10\.11\.\d+, but the seed is for 11\.4"):
        programs.mysql("11.4")
    with pytest.raises(FixConfiguration, match="Neither mariadbd nor mysqld was found in"):
        programs.mysql("11.4", work)
