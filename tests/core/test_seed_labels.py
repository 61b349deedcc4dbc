"""The label of a seed image says what ran in it, and a branch that does not have all of that starts nothing from it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from greenroom.core import messages
from greenroom.core.model.codec import dumped, loaded
from greenroom.core.model.migrations import PACKAGES, Migration, MigrationSet
from greenroom.core.model.seeds import CommitMigrations, SeedBuild, SeedInputs, SeedLabel, Source, recorded
from greenroom.core.model.status import Reason
from greenroom.core.policy.seed_labels import refusal

UNCLEAR = messages.migrations_no_folder("db")


def of(tool: str, *names: str, packages: str = "") -> MigrationSet:
    pairs = [n.partition("=") for n in names]
    return MigrationSet(tool, tuple(Migration(n, h if e else f"h-{n}") for n, e, h in pairs), packages)


@pytest.mark.parametrize(
    ("applied", "branch", "code"),
    [
        (None, MigrationSet(), ""),
        (None, of("rails", "1"), "seed-unrecorded"),
        (None, UNCLEAR, "seed-unrecorded"),
        (MigrationSet(), MigrationSet(), ""),
        (MigrationSet(), of("rails", "1"), ""),
        (of("rails"), UNCLEAR, ""),
        (of("rails", "1"), UNCLEAR, "migrations-no-folder"),
        (of("rails", "1"), of("rails", "1", "2"), ""),
        (of("rails", "1", "2"), of("rails", "1"), "seed-ahead"),
        (of("rails", "1"), of("rails", "1=x"), "seed-edited"),
        (of("rails", "1=same"), of("rails", "2=same"), "seed-renamed"),
        (of("rails", "1="), of("rails", "1"), "seed-unmatched"),
        (of("rails", "1"), of("django", "1"), "seed-other-tool"),
        (of("rails", "1"), MigrationSet(), "seed-other-tool"),
        (of("flyway", "V1__a.sql", "V3__c.sql"), of("flyway", "V1__a.sql", "V2__b.sql", "V3__c.sql"), "seed-out-of-order"),
        (of("files", "db/1", "db/2"), of("files", "db/1"), "seed-ahead"),
        (of("django", f"auth.1={PACKAGES}old"), of("django", "shop.1", packages="new"), ""),
    ],
)  # fmt: skip
def test_only_a_branch_with_all_that_ran_starts(
    applied: MigrationSet | None, branch: MigrationSet | Reason, code: str
) -> None:
    found = refusal(SeedLabel(applied=applied), branch)
    assert (found.code if found else "") == code


def test_label_that_is_written_is_read_back() -> None:
    applied = of("django", "shop.1", f"auth.1={PACKAGES}p1", packages="p1")
    assert SeedLabel.parsed(json.dumps({"bytes": 5, "migrations": recorded(applied)})) == SeedLabel(5, applied)


@pytest.mark.parametrize(
    "migrations",
    [
        None,
        [],
        {"tool": "rails", "applied": [["1", "h"]]},
        {"tool": "rails", "applied": [["1"]], "packages": ""},
        {"tool": "rails", "applied": [["1", "h"], "2"], "packages": ""},
        {"tool": "rails", "applied": "12", "packages": ""},
        {"tool": 1, "applied": [], "packages": ""},
    ],
)
def test_label_that_is_not_understood_says_nothing_about_migrations(migrations: Any) -> None:
    assert SeedLabel.parsed(json.dumps({"bytes": 5, "migrations": migrations})) == SeedLabel(5, None)


@pytest.mark.parametrize("text", ["", "[]", "null", '"x"', "{"])
def test_text_that_is_not_a_label_says_nothing(text: str) -> None:
    assert SeedLabel.parsed(text) == SeedLabel()


def test_build_carries_the_migrations_of_its_commit_to_its_job() -> None:
    found = MigrationSet("alembic", (Migration("a", "h1", "x/a.py"), Migration("b", "h2", "x/b.py", ("a",))), "p")
    commit = CommitMigrations.of("acme/shop", found)
    assert commit.migrations == MigrationSet(
        "alembic", (Migration("a", "h1"), Migration("b", "h2", parents=("a",))), "p"
    )
    build = SeedBuild(SeedInputs("postgresql", "16", "b", "d"), Source("acme/shop", "c"), "p", "r", commit=commit)
    assert loaded(SeedBuild, json.loads(json.dumps(dumped(build)))) == build
    assert CommitMigrations.of("acme/shop", UNCLEAR).unclear == str(UNCLEAR)


def test_largest_commit_that_is_handed_to_a_job_fits_into_one_variable() -> None:
    from greenroom.core.policy.seeds import MOST_MIGRATIONS

    many = tuple(Migration(f"orders.{n:04}_{'x' * 35}", "a" * 40) for n in range(MOST_MIGRATIONS))
    build = SeedBuild(
        SeedInputs("postgresql", "16", "b", "d"),
        Source("acme/shop", "c"),
        "p",
        "r",
        commit=CommitMigrations.of("acme/shop", MigrationSet("django", many)),
    )
    assert len(json.dumps(dumped(build))) < 128 * 1024 - 1000
