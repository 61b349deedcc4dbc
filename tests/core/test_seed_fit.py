"""A seed fits a branch only if everything that ran in it is part of the branch, and the rest runs forward."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.core.model.migrations import Migration, MigrationSet
from greenroom.core.policy.seed_fit import obstacle, to_run


def of(tool: str, *names: str, packages: str = "p1") -> MigrationSet:
    """Migrations whose hash is their name, unless it is written as `name=hash`."""
    pairs = [n.partition("=") for n in names]
    return MigrationSet(tool, tuple(Migration(n, h if e else f"h-{n}") for n, e, h in pairs), packages)


SQUASH = Migration("shop.0004_squashed", "h-s", replaces=("shop.1", "shop.2"))


@pytest.mark.parametrize(
    ("branch", "applied", "code"),
    [
        (of("rails", "1", "2=edited"), of("rails", "1", "2"), "seed-edited"),
        (of("rails", "1"), of("rails", "1", "2"), "seed-ahead"),
        (of("rails", "1", "3=h-2"), of("rails", "1", "2"), "seed-renamed"),
        (of("rails", "1"), of("rails", "1", "2="), "seed-unmatched"),
        (of("rails", "1", "2"), of("rails", "1", "2="), "seed-unmatched"),
        (of("knex", "1"), of("rails", "1"), "seed-other-tool"),
        (MigrationSet(), of("rails", "1"), "seed-other-tool"),
        (of("flyway", "V1__a", "V2__b", "V3__c"), of("flyway", "V1__a", "V3__c"), "seed-out-of-order"),
        (of("files", "db/1", "db/2", "db/3"), of("files", "db/1", "db/3"), "seed-out-of-order"),
        (of("django", "auth.2"), of("django", "auth.1=packages:p1"), "seed-ahead"),
        (MigrationSet("django", (SQUASH,)), of("django", "shop.1", "shop.2"), "seed-squashed"),
        (MigrationSet("django", (SQUASH,)), of("django", "shop.1=", "shop.2="), "seed-squashed"),
    ],
)  # fmt: skip
def test_each_obstacle_has_its_sentence(branch: MigrationSet, applied: MigrationSet, code: str) -> None:
    reason = obstacle(branch, applied)
    assert reason is not None
    assert reason.code == code
    assert reason.text.endswith(".")
    assert reason.text.count(". ") == 0


@pytest.mark.parametrize(
    ("branch", "applied", "rest"),
    [
        (of("rails", "1", "2", "3"), of("rails", "1", "3"), ("2",)),
        (of("knex", "1", "2", "3"), of("knex", "1", "3"), ("2",)),
        (of("prisma", "1", "2", "3"), of("prisma", "1", "3"), ("2",)),
        (of("flyway", "V1__a", "V2__b", "R__v"), of("flyway", "V1__a", "R__v"), ("V2__b",)),
        (of("django", "shop.1", "shop.2"), of("django", "shop.1", "auth.1=packages:p1"), ("shop.2",)),
        (of("alembic", "a", "b"), of("alembic", "b"), ("a",)),
        (of("rails", "1"), MigrationSet("knex"), ("1",)),
    ],
)  # fmt: skip
def test_what_the_seed_lacks_runs_forward(branch: MigrationSet, applied: MigrationSet, rest: tuple[str, ...]) -> None:
    assert (obstacle(branch, applied), to_run(branch, applied)) == (None, rest)


def test_a_squashed_migration_counts_as_run_once_all_that_it_replaces_ran() -> None:
    three = of("django", "shop.1", "shop.2", "shop.5")
    branch = replace(three, migrations=(*three.migrations, SQUASH))
    for ran, rest in (("shop.1", "shop.2"), ("shop.5",)), (("shop.1",), ("shop.2", "shop.5", "shop.0004_squashed")):
        assert (obstacle(branch, of("django", *ran)), to_run(branch, of("django", *ran))) == (None, rest)


def test_replaced_migrations_may_be_deleted_once_the_seed_contains_the_squashed_one() -> None:
    ran = of("django", "shop.1=", "shop.2=", "shop.0004_squashed=h-s")
    assert obstacle(MigrationSet("django", (SQUASH,)), ran) is None
    assert obstacle(MigrationSet("django", (replace(SQUASH, hash="h-other"),)), ran) is not None


def test_a_graph_refuses_a_migration_that_must_run_before_one_that_ran() -> None:
    first, second = Migration("shop.1", "h-shop.1"), Migration("shop.2", "h-shop.2", parents=("shop.1",))
    new = Migration("shop.0", "h-shop.0", before=("shop.2",))
    ran = of("django", "shop.1", "shop.2")
    for branch, applied in (((first, second, new), ran), ((first, second), of("django", "shop.2"))):
        reason = obstacle(MigrationSet("django", branch), applied)
        assert reason is not None
        assert reason.code == "seed-out-of-order"


def test_a_changed_repeatable_migration_runs_again() -> None:
    branch, ran = of("flyway", "V1__a", "R__v=new"), of("flyway", "V1__a", "R__v")
    assert (obstacle(branch, ran), to_run(branch, ran)) == (None, ("R__v",))
    assert obstacle(of("flyway", "V1__a=new", "R__v"), ran) is not None


@pytest.mark.parametrize("packages", ["p1", "p2", ""])
def test_migrations_of_installed_packages_are_not_compared(packages: str) -> None:
    assert (
        obstacle(of("django", "shop.1", packages="p1"), of("django", "shop.1", f"auth.1=packages:{packages}")) is None
    )


def test_long_lists_of_names_are_cut_and_cannot_add_markup() -> None:
    reason = obstacle(of("rails"), of("rails", *(f"2`<b>{i}" for i in range(9))))
    assert reason is not None
    assert "and 6 more" in reason.text
    assert "2'<b>0" in reason.text


TOOL = st.sampled_from(["flyway", "files", "rails", "django", "alembic", "prisma", "knex"])
NAMES = [*(f"V{i}__m" for i in range(5)), "R__m"]
FATES = st.sampled_from(["same", "same", "same", "lacks", "lacks", "edited", "unknown"])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[MigrationSet, MigrationSet]:
    """Draw a branch, and what ran in a seed that is near the branch, so that many of them fit."""
    branch = of(draw(TOOL), *NAMES[: draw(st.integers(1, 5))], *NAMES[5 : 5 + draw(st.integers(0, 1))])
    fates = [(m, draw(FATES)) for m in branch.migrations]
    hashes = {"edited": "h-edited", "unknown": ""}
    ran = [replace(m, hash=hashes.get(f, m.hash)) for m, f in fates if f != "lacks"]
    extra = draw(
        st.sampled_from([(), (), (), (Migration("V9__x", "z"),), (Migration("V9__x", branch.migrations[0].hash),)])
    )
    tool = draw(st.sampled_from([branch.tool] * 6 + ["rails"]))
    return branch, MigrationSet(tool, (*ran, *extra), branch.packages)


often = settings(max_examples=200)


@often
@given(pairs())
def test_what_ran_in_a_seed_that_fits_is_a_subset_with_equal_hashes(pair: tuple[MigrationSet, MigrationSet]) -> None:
    branch, applied = pair
    if obstacle(branch, applied) is not None:
        return
    ran, mine = applied.hashes, branch.hashes
    again = {n for n in ran if n.startswith("R__") and branch.tool == "flyway"}
    assert {n: h for n, h in ran.items() if n not in again}.items() <= mine.items()
    assert ran.keys() <= mine.keys()
    assert set(to_run(branch, applied)) | {n for n in ran if ran[n] == mine[n]} == mine.keys()


@often
@given(pairs())
def test_only_tools_that_allow_it_run_migrations_out_of_order(pair: tuple[MigrationSet, MigrationSet]) -> None:
    branch, applied = pair
    if obstacle(branch, applied) is not None or branch.tool not in ("flyway", "files"):
        return
    versions = [m.name for m in branch.migrations if branch.tool != "flyway" or not m.name.startswith("R__")]
    ran = [n for n in versions if n in applied.hashes]
    assert ran == versions[: len(ran)]


@often
@given(pairs())
def test_a_branch_that_fits_still_fits_after_it_adds_a_migration(pair: tuple[MigrationSet, MigrationSet]) -> None:
    branch, applied = pair
    more = replace(branch, migrations=(*branch.migrations, Migration("V98__new", "n")))
    if branch.tool != "django" and obstacle(branch, applied) is None:
        assert obstacle(more, applied) is None
