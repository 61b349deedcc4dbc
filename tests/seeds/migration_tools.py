"""Six migration tools that really run: Django, Alembic, Rails' ActiveRecord, Flyway, Prisma and Knex.

Each one writes the same steps as migrations of its own, and runs them on a real PostgreSQL.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent / "tools"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenroom-ledgers"
INSTALL = "run tests/seeds/install"


@dataclass(frozen=True)
class Step:
    """One change of the schema. `place` orders the migrations; `parents` are the places of those before it, for tools
    with a graph. `replaces` are the places that a squashed one stands for. A `merge` exists only in a graph.
    """

    place: int
    key: str
    sql: str = ""
    parents: tuple[Step, ...] = ()
    replaces: tuple[Step, ...] = ()
    merge: bool = False


@dataclass(frozen=True)
class Database:
    """An address of a database, in the forms that the tools take."""

    port: int
    name: str
    user: str = "app"
    password: str = "app"

    @property
    def url(self) -> str:
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{self.name}"


class Tool(ABC):
    """A migration tool: how it names its files, and how it runs them."""

    name: str
    graph = False

    def missing(self) -> str:
        """Return what to install; empty if the tool can run."""
        return ""

    @abstractmethod
    def write(self, folder: Path, steps: Sequence[Step]) -> None: ...

    @abstractmethod
    def migrate(self, folder: Path, database: Database) -> str:
        """Run all migrations that the database lacks. Return the error; empty if there was none."""

    def close(self) -> None:
        """End the tool's own processes."""
        return


def _run(arguments: Sequence[str | Path], folder: Path, database: Database, **extra: str) -> str:
    environment = os.environ | {"DATABASE_URL": database.url, "PYTHONDONTWRITEBYTECODE": "1", **extra}
    done = subprocess.run([str(a) for a in arguments], cwd=folder, env=environment, capture_output=True, text=True)
    return done.stderr.strip()[-2000:] or "failed" if done.returncode else ""


class Django(Tool):
    name = "django"
    graph = True
    SETTINGS = """
import os
from urllib.parse import urlsplit
url = urlsplit(os.environ["DATABASE_URL"])
INSTALLED_APPS = ["django.contrib.contenttypes", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "USER": url.username, "PASSWORD": url.password,
                         "HOST": url.hostname, "PORT": url.port}}
USE_TZ = True
"""

    def write(self, folder: Path, steps: Sequence[Step]) -> None:
        app = folder / "shop" / "migrations"
        app.mkdir(parents=True)
        (folder / "settings.py").write_text(self.SETTINGS)
        (folder / "requirements.txt").write_text("django==5.2\n")
        for empty in (app / "__init__.py", app.parent / "__init__.py"):
            empty.write_text("")
        for step in steps:
            parents = [("shop", self._named(p)) for p in step.parents]
            replaces = f"    replaces = {[('shop', self._named(r)) for r in step.replaces]}\n" if step.replaces else ""
            run = f"migrations.RunSQL({step.sql!r})" if step.sql else ""
            (app / f"{self._named(step)}.py").write_text(
                "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
                f"{replaces}    dependencies = {parents}\n    operations = [{run}]\n"
            )

    @staticmethod
    def _named(step: Step) -> str:
        return f"{step.place:04d}_{step.key}"

    def migrate(self, folder: Path, database: Database) -> str:
        arguments = [sys.executable, "-m", "django", "migrate", "--no-input", "-v", "0", "--settings", "settings"]
        return _run([*arguments, "--skip-checks"], folder, database, PYTHONPATH=str(folder))


class Alembic(Tool):
    name = "alembic"
    graph = True
    ENV = """
import os
import sqlalchemy
from alembic import context
engine = sqlalchemy.create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:"))
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""

    def write(self, folder: Path, steps: Sequence[Step]) -> None:
        versions = folder / "alembic" / "versions"
        versions.mkdir(parents=True)
        (folder / "alembic.ini").write_text("[alembic]\nscript_location = alembic\n")
        (folder / "alembic" / "env.py").write_text(self.ENV)
        for step in steps:
            parents = tuple(self._named(p) for p in step.parents)
            run = f"op.execute({step.sql!r})" if step.sql else "pass"
            down = repr(parents[0]) if len(parents) == 1 else repr(parents or None)
            (versions / f"{self._named(step)}_change.py").write_text(
                f'"""Change."""\nfrom alembic import op\n\nrevision: str = "{self._named(step)}"\n'
                f"down_revision = {down}\n\n\ndef upgrade() -> None:\n    {run}\n"
            )

    @staticmethod
    def _named(step: Step) -> str:
        return f"{step.key}{step.place:02d}"

    def migrate(self, folder: Path, database: Database) -> str:
        return _run([sys.executable, "-m", "alembic", "upgrade", "head"], folder, database)


class Rails(Tool):
    name = "rails"

    def missing(self) -> str:
        return "" if _ruby() else f"Rails' ActiveRecord is not installed: {INSTALL}"

    def write(self, folder: Path, steps: Sequence[Step]) -> None:
        migrate = folder / "db" / "migrate"
        migrate.mkdir(parents=True)
        for step in steps:
            name = "".join(w.capitalize() for w in step.key.split("_"))
            (migrate / f"202601{step.place:02d}000000_{step.key}.rb").write_text(
                f"class {name} < ActiveRecord::Migration[6.1]\n  def up\n    execute {step.sql!r}\n  end\nend\n"
            )

    def migrate(self, folder: Path, database: Database) -> str:
        return _run(["ruby", HERE / "rails" / "migrate.rb", "db/migrate"], folder, database)


@cache
def _ruby() -> bool:
    check = ["ruby", "-e", 'require "logger"; require "active_record"; require "pg"']
    return shutil.which("ruby") is not None and subprocess.run(check, capture_output=True).returncode == 0


class Knex(Tool):
    name = "knex"

    def missing(self) -> str:
        there = shutil.which("node") and (CACHE / "knex" / "node_modules" / "knex").exists()
        return "" if there else f"Knex is not installed: {INSTALL}"

    def write(self, folder: Path, steps: Sequence[Step]) -> None:
        migrations = folder / "migrations"
        migrations.mkdir()
        (folder / "knexfile.js").write_text("module.exports = { client: 'pg' };\n")
        for step in steps:
            (migrations / f"202601{step.place:02d}000000_{step.key}.js").write_text(
                f"exports.up = (knex) => knex.raw({step.sql!r});\nexports.down = () => null;\n"
            )

    def migrate(self, folder: Path, database: Database) -> str:
        script = HERE / "knex" / "migrate.js"
        modules = str(CACHE / "knex" / "node_modules")
        return _run(["node", script, folder / "migrations"], folder, database, NODE_PATH=modules)


class Prisma(Tool):
    name = "prisma"

    def missing(self) -> str:
        there = shutil.which("node") and (CACHE / "prisma" / "prisma.config.mjs").exists()
        return "" if there else f"Prisma is not installed: {INSTALL}"

    def write(self, folder: Path, steps: Sequence[Step]) -> None:
        migrations = folder / "prisma" / "migrations"
        migrations.mkdir(parents=True)
        (folder / "prisma" / "schema.prisma").write_text(
            'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\n'
        )
        (migrations / "migration_lock.toml").write_text('provider = "postgresql"\n')
        for step in steps:
            migration = migrations / f"202601{step.place:02d}000000_{step.key}" / "migration.sql"
            migration.parent.mkdir()
            migration.write_text(f"{step.sql};\n")

    def migrate(self, folder: Path, database: Database) -> str:
        installed = CACHE / "prisma"
        program: list[str | Path] = ["node", installed / "node_modules/prisma/build/index.js", "migrate", "deploy"]
        unused = "/bin/true"  # without a path, it would download these engines
        return _run(
            [*program, "--config", installed / "prisma.config.mjs"],
            folder,
            database,
            PRISMA_SCHEMA=str(folder / "prisma" / "schema.prisma"),
            PRISMA_QUERY_ENGINE_LIBRARY=unused,
            PRISMA_SCHEMA_ENGINE_BINARY=unused,
            CHECKPOINT_DISABLE="1",
        )


class Flyway(Tool):
    """Flyway in one Java process for all runs, because Java takes seconds to start."""

    name = "flyway"

    def __init__(self) -> None:
        self._java: subprocess.Popen[str] | None = None

    def missing(self) -> str:
        there = shutil.which("java") and any((CACHE / "flyway").glob("flyway-core-*.jar"))
        return "" if there else f"Flyway is not installed: {INSTALL}"

    def write(self, folder: Path, steps: Sequence[Step]) -> None:
        migration = folder / "src/main/resources/db/migration"
        migration.mkdir(parents=True)
        for step in steps:
            (migration / f"V{step.place}__{step.key}.sql").write_text(f"{step.sql};\n")

    def migrate(self, folder: Path, database: Database) -> str:
        if self._java is None:
            arguments = [
                "java",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                f"{CACHE}/flyway/*",
                str(HERE / "flyway/Migrate.java"),
            ]
            self._java = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        assert self._java.stdin is not None
        assert self._java.stdout is not None
        url = f"jdbc:postgresql://127.0.0.1:{database.port}/{database.name}"
        self._java.stdin.write(
            f"{url}\t{database.user}\t{database.password}\t{folder / 'src/main/resources/db/migration'}\n"
        )
        self._java.stdin.flush()
        answer = self._java.stdout.readline().strip()
        return "" if answer == "ok" else answer or "Java ended"

    def close(self) -> None:
        if self._java is not None:
            self._java.communicate()  # it ends at the end of its input
            self._java = None


TOOLS: dict[str, Tool] = {t.name: t for t in (Django(), Alembic(), Rails(), Flyway(), Prisma(), Knex())}
