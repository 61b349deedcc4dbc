"""Six real migration tools by eight histories: a branch starts with its own schema, or is refused in one sentence.

The judge is PostgreSQL's catalog: the schema must be the one that the branch's own migrations create.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
import pytest

from greenroom.core.model.migrations import MigrationSet
from greenroom.core.model.seeds import SeedLabel
from greenroom.core.policy.ledgers import applied
from greenroom.core.policy.seed_labels import refusal
from greenroom.local.postgres_server import Server
from greenroom.seeds import folders, ledgers
from seeds.migration_tools import TOOLS, Database, Step, Tool
from seeds.owned_server import owned_server

M1 = Step(10, "create_item", "CREATE TABLE item (id int PRIMARY KEY, name text, old text)")
M2 = Step(20, "add_price", "ALTER TABLE item ADD price int", (M1,))
M3 = Step(30, "add_stock", "ALTER TABLE item ADD stock int", (M2,))
M4 = Step(40, "drop_old", "ALTER TABLE item DROP COLUMN old", (M3,))
M5 = Step(50, "add_color", "ALTER TABLE item ADD color text", (M4,))
DUMP, BASE = (M1, M2), (M1, M2, M3, M4)
WEIGHT = Step(31, "add_weight", "ALTER TABLE item ADD weight int", (M2,))
BETWEEN = Step(35, "add_size", "ALTER TABLE item ADD size int", (M3,))
SQUASHED = Step(45, "drop_old_add_stock", f"{M4.sql}; {M3.sql}", (M2,))

LEDGERS = {
    "_prisma_migrations",
    "alembic_version",
    "ar_internal_metadata",
    "django_content_type",
    "django_migrations",
    "flyway_schema_history",
    "knex_migrations",
    "knex_migrations_lock",
    "schema_migrations",
}

HISTORIES: dict[str, tuple[Step, ...]] = {
    "ahead": (*BASE, M5),
    "behind": (M1, M2, M3),
    "diverged": (M1, M2, WEIGHT),
    "edited": (M1, M2, M3, replace(M4, sql="ALTER TABLE item DROP COLUMN name")),
    "deleted": (M1, M2, replace(M4, parents=(M2,))),
    "renamed": (M1, M2, M3, replace(M4, place=41)),
    "squashed": (M1, M2, SQUASHED),
    "out of order": (M1, M2, M3, BETWEEN, M4, Step(60, "merge", "", (BETWEEN, M4), merge=True)),
}
"""Histories of a branch, which the seed fits. The base branch has BASE, and the dump was taken when it had DUMP."""

_OTHER = replace(M2, sql="ALTER TABLE item ADD price numeric")
_ONE = Step(21, "create_item_with_price", f"{M1.sql}; {M2.sql}")
_INSERTED = Step(15, "add_size", "ALTER TABLE item ADD size int", (M1,))
REFUSED: dict[str, tuple[tuple[Step, ...], dict[str, str]]] = {
    "edited in the dump": ((M1, _OTHER, M3, M4), {"": "seed-edited"}),
    "deleted in the dump": ((M1, replace(M3, parents=(M1,)), M4), {"": "seed-ahead"}),
    "renamed in the dump": ((M1, replace(M2, place=22), M3, M4), {"": "seed-renamed", "alembic": "seed-ahead"}),
    "squashed in the dump": ((_ONE, replace(M3, parents=(_ONE,)), M4), {"": "seed-ahead"}),
    "behind the dump": ((M1,), {"": "seed-ahead"}),
    "out of order in the dump": ((M1, _INSERTED, M2, M3, M4), {"flyway": "seed-out-of-order"}),
}
"""Histories that changed what the dump contains, with the code of the refusal. Only Flyway has an order in the last."""


@dataclass
class Stage:
    """A repository's seed in one tool: a database of a real server, restored from a dump. `ran` ran in it."""

    tool: Tool
    server: Server
    folder: Path
    ran: MigrationSet = field(default_factory=MigrationSet)
    seed: str = ""
    count: int = 0

    def sql(self, query: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.server.url(database), autocommit=True) as connection:
            found = connection.execute(query)
            return found.fetchall() if found.description else []

    def database(self, template: str = "template0") -> Database:
        """Create a database, as a copy of a seed image's if one is given."""
        self.count += 1
        name = f"{self.tool.name}_{self.count}"
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER app')
        return Database(self.server.port, name)

    def checkout(self, steps: tuple[Step, ...]) -> Path:
        """Commit these migrations to a new repository."""
        self.count += 1
        folder = self.folder / f"checkout-{self.count}"
        folder.mkdir()
        self.tool.write(folder, [s for s in steps if self.tool.graph or not s.merge])
        named = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com"]
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "migrations"]):
            subprocess.run([*named, *arguments], check=True, capture_output=True)
        return folder

    def migrated(self, folder: Path, template: str = "template0") -> Database:
        database = self.database(template)
        assert self.tool.migrate(folder, database) == ""
        return database

    def program(self, name: str, *arguments: str) -> str:
        program = str(self.server.programs / name)
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def has_run(self, database: Database, checkout: Path) -> MigrationSet:
        """Return the migrations that the ledger of a database lists, with the checksums compared."""
        flags = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]
        printed = self.program("psql", *flags, "-d", database.url, "-f", str(ledgers.SQL))
        contents = folders.blobs(checkout, folders.tree(checkout, "HEAD").values())
        found = applied(ledgers.ledger(printed), folders.migrations(checkout, "HEAD"), contents)
        assert isinstance(found, MigrationSet), found
        return found

    def prepare(self) -> None:
        """Take a dump with pg_dump, and restore it."""
        source = self.migrated(self.checkout(DUMP))
        self.sql("INSERT INTO item (id, name, old) VALUES (1, 'one', 'x')", source.name)
        dump = self.program("pg_dump", "--no-owner", "--no-privileges", "-d", source.url)
        restored = self.database()
        (self.folder / "dump.sql").write_text(dump)
        self.program(
            "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", restored.url, "-f", str(self.folder / "dump.sql")
        )
        self.ran, self.seed = self.has_run(restored, self.checkout(BASE)), restored.name

    def schema(self, database: str) -> str:
        """Return a hash of all columns, constraints, indexes and tables, except the ledgers."""
        query = """
            SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default)
            FROM information_schema.columns WHERE table_name = 'item'
            UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'item'::regclass
            UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename = 'item'
            UNION ALL SELECT tablename FROM pg_tables WHERE schemaname = 'public'"""
        lines = sorted({str(found[0]) for found in self.sql(query, database)} - LEDGERS)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def own_schema(self, steps: tuple[Step, ...]) -> str:
        """Return the schema that these steps make in an empty database, without any tool."""
        database = self.database()
        for step in steps:
            self.sql(step.sql or "SELECT 1", database.name)
        return self.schema(database.name)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with owned_server() as started:
        yield started


@pytest.fixture(scope="module")
def stage(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stage]]:
    stages: dict[str, Stage] = {}

    def of(tool: str) -> Stage:
        if missing := TOOLS[tool].missing():
            pytest.skip(missing)
        if tool not in stages:
            made = Stage(TOOLS[tool], server, tmp_path_factory.mktemp(tool))
            made.prepare()
            stages[tool] = made
        return stages[tool]

    yield of
    for tool in TOOLS.values():
        tool.close()


UNNOTICED = {"django", "rails", "flyway", "prisma"}
"""Tools that migrate a database that is ahead of the branch without an error."""


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("tool", TOOLS)
def test_a_branch_starts_with_its_own_schema(tool: str, history: str, stage: Callable[[str], Stage]) -> None:
    of = stage(tool)
    checkout = of.checkout(HISTORIES[history])
    branch = folders.migrations(checkout, "HEAD")
    assert refusal(SeedLabel(applied=of.ran), branch) is None
    started = of.migrated(checkout, of.seed)
    assert of.schema(started.name) == of.own_schema(HISTORIES[history])
    has_run = of.has_run(started, checkout)
    assert {n: h for n, h in has_run.hashes.items() if not h.startswith("packages:")} == branch.hashes


@pytest.mark.parametrize(
    ("tool", "history"), [(t, h) for t in TOOLS for h, (_, codes) in REFUSED.items() if t in codes or "" in codes]
)
def test_a_branch_that_changed_what_the_dump_contains_is_refused(
    tool: str, history: str, stage: Callable[[str], Stage]
) -> None:
    of = stage(tool)
    steps, codes = REFUSED[history]
    reason = refusal(SeedLabel(applied=of.ran), folders.migrations(of.checkout(steps), "HEAD"))
    assert reason is not None
    assert reason.code == codes.get(tool, codes.get(""))
    assert reason.text.count(". ") == 0


@pytest.mark.parametrize("tool", TOOLS)
def test_a_branch_behind_would_run_on_another_schema_without_the_comparison(
    tool: str, stage: Callable[[str], Stage]
) -> None:
    of = stage(tool)
    checkout, base = of.checkout(HISTORIES["behind"]), of.checkout(BASE)
    database = of.migrated(base, of.seed)
    assert refusal(SeedLabel(applied=of.has_run(database, base)), folders.migrations(checkout, "HEAD")) is not None
    error = of.tool.migrate(checkout, database)
    assert bool(error) == (tool not in UNNOTICED)
    assert of.schema(database.name) != of.own_schema(HISTORIES["behind"])
