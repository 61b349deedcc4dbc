"""Migrations that ran in a database get the hashes of the commit that it was built from, or none."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from greenroom.core.model.migrations import Ledger, Migration, MigrationSet
from greenroom.core.model.seeds import CommitMigrations
from greenroom.core.model.status import Reason
from greenroom.core.policy.ledgers import applied, flyway_checksum
from greenroom.errors import Failed
from greenroom.seeds import ledgers


def of(tool: str, *names: str) -> MigrationSet:
    return MigrationSet(tool, tuple(Migration(n, f"h-{n}") for n in names), "p1")


def entries(tool: str, *names: str) -> Ledger:
    return Ledger(tool, tuple((n, "") for n in names))


GRAPH = MigrationSet(
    "alembic",
    (
        Migration("a", "h-a"),
        Migration("b", "h-b", parents=("a",)),
        Migration("c", "h-c", parents=("a",)),
        Migration("m", "h-m", parents=("b", "c")),
    ),
)


@pytest.mark.parametrize(
    ("ledger", "branch", "hashes"),
    [
        (entries("rails", "1", "2"), of("rails", "1", "2", "3"), {"1": "h-1", "2": "h-2"}),
        (entries("rails", "1", "9"), of("rails", "1"), {"1": "h-1", "9": ""}),
        (entries("django", "shop.1", "auth.1"), of("django", "shop.1"), {"shop.1": "h-shop.1", "auth.1": "packages:p1"}),
        (entries("django", "shop.9"), of("django", "shop.1"), {"shop.9": ""}),
        (entries("alembic", "b"), GRAPH, {"a": "h-a", "b": "h-b"}),
        (entries("alembic", "b", "c"), GRAPH, {"a": "h-a", "b": "h-b", "c": "h-c"}),
        (entries("alembic", "m"), GRAPH, {"a": "h-a", "b": "h-b", "c": "h-c", "m": "h-m"}),
        (entries("alembic", "x"), GRAPH, {"x": ""}),
        (entries("alembic"), GRAPH, {}),
        (entries("flyway", "baseline 2", "V3__c.sql"), of("flyway", "V1__a.sql", "V2.0__b.sql", "V3__c.sql", "V4__d.sql", "R__v.sql"), {"V1__a.sql": "h-V1__a.sql", "V2.0__b.sql": "h-V2.0__b.sql", "V3__c.sql": "h-V3__c.sql"}),
        (entries("knex", "1_a.js"), of("knex", "1_a.ts", "2_b.ts"), {"1_a.ts": "h-1_a.ts"}),
        (entries("knex", "1_a.js"), of("knex", "1_a.js", "1_a.ts"), {"1_a.js": "h-1_a.js"}),
        (entries("knex", "1_a.js"), of("rails", "1"), {"1_a.js": ""}),
        (Ledger(), of("files", "db/1", "db/2"), {"db/1": "h-db/1", "db/2": "h-db/2"}),
        (Ledger(), of("rails", "1"), {}),
        (Ledger(), MigrationSet(), {}),
    ],
)  # fmt: skip
def test_what_ran_has_the_hashes_of_the_commit(ledger: Ledger, branch: MigrationSet, hashes: dict[str, str]) -> None:
    found = applied(ledger, branch, {})
    assert isinstance(found, MigrationSet)
    assert found.hashes == hashes


def test_a_ledger_with_unfinished_migrations_is_refused() -> None:
    found = applied(Ledger("prisma", (), ("2_b",)), of("prisma", "2_b"), {})
    assert isinstance(found, Reason)
    assert found.code == "ledger-failed"


@pytest.mark.parametrize(
    ("tool", "name", "checksum"),
    [
        ("prisma", "1_a", hashlib.sha256(b"SELECT 1;\n").hexdigest()),
        ("flyway", "V1__a.sql", flyway_checksum(b"SELECT 1;\r\n")),
    ],
)
def test_a_migration_that_changed_after_the_dump_is_refused(tool: str, name: str, checksum: str) -> None:
    ledger, branch = Ledger(tool, ((name, checksum),)), of(tool, name)
    assert applied(ledger, branch, {f"h-{name}": b"SELECT 1;\n"}) == branch
    assert applied(ledger, branch, {}) == branch
    found = applied(ledger, branch, {f"h-{name}": b"SELECT 2;\n"})
    assert isinstance(found, Reason)
    assert found.code == "ledger-checksum"


def test_the_checksum_of_flyway_ignores_line_ends_and_the_byte_order_mark() -> None:
    """The real Flyway compares it with its own in test_matrix.py."""
    same = {flyway_checksum(c) for c in (b"a\nb\n", b"a\r\nb\r\n", b"\xef\xbb\xbfa\nb", b"a\rb\r\n\n")}
    assert len(same) == 1


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ('{"tool": ""}', Ledger()),
        ('{"tool": "rails", "applied": [["1", ""]], "failed": []}', entries("rails", "1")),
    ],
)
def test_a_printed_ledger_is_read(printed: str, found: Ledger) -> None:
    assert ledgers.ledger(printed) == found


@pytest.mark.parametrize(
    ("printed", "sentence"),
    [
        ("", "returned unexpected output"),
        ("[]", "returned unexpected output"),
        ('{"tool": "rails", "applied": [1]}', "returned unexpected output"),
        ('{"tool": "rails", "applied": {}}', "returned unexpected output"),
        ('{"tool": "prisma", "applied": [], "failed": ["2_b"]}', "unfinished or failed migrations: `2_b`"),
        ('{"tool": "several", "ledgers": [{"tool": "knex"}, {"tool": "rails"}]}', "several tools: Knex, Rails."),
    ],
)
def test_a_ledger_that_proves_nothing_is_refused(printed: str, sentence: str) -> None:
    with pytest.raises(Failed, match=sentence):
        ledgers.ledger(printed)


def test_the_query_is_beside_the_module() -> None:
    assert Path(ledgers.SQL).read_text().startswith("-- Print the migrations")


def test_only_migrations_with_a_checksum_are_read_for_it() -> None:
    commit = CommitMigrations.of("acme/shop", of("flyway", "V1__a.sql", "V2__b.sql", "V3__c.sql"))
    ran = Ledger("flyway", (("V1__a.sql", "5"), ("V2__b.sql", "")))
    assert ledgers.checked(ran, commit) == ("h-V1__a.sql",)
    assert ledgers.checked(replace(ran, tool="rails"), commit) == ()


@pytest.mark.parametrize(
    ("commit", "contents", "sentence"),
    [
        (CommitMigrations.of("", of("flyway", "V1__a.sql")), {"h-V1__a.sql": b"edited"}, "different checksum for `V1__a.sql`"),
        (CommitMigrations("", unclear="There are two folders."), {}, "migration table of Flyway. There are two folders."),
    ],
)  # fmt: skip
def test_dump_that_cannot_be_compared_is_not_recorded(
    commit: CommitMigrations, contents: dict[str, bytes], sentence: str
) -> None:
    with pytest.raises(Failed, match=re.escape(sentence)):
        ledgers.applied(Ledger("flyway", (("V1__a.sql", "5"),)), commit, contents)


def test_unclear_migrations_do_not_matter_to_a_dump_without_a_table() -> None:
    assert ledgers.applied(Ledger(), CommitMigrations("", unclear="Two folders."), {}) == MigrationSet()


def test_table_that_is_too_long_for_a_label_is_refused() -> None:
    printed = json.dumps({"tool": "rails", "applied": [[str(n), ""] for n in range(5001)], "failed": []})
    with pytest.raises(Failed, match="more than 5000 entries"):
        ledgers.ledger(printed)
