"""A seed fits a branch only if everything that ran in it is part of the branch, and the rest runs forward."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import NOW
from greenroom.core.model.migrations import BuildSeed, Fit, Migration, MigrationSet, NoFit, SeedImage
from greenroom.core.policy.seed_fit import fitted, obstacle


def of(tool: str, *names: str, packages: str = "p1") -> MigrationSet:
    """Migrations whose hash is their name, unless it is written as `name=hash`."""
    pairs = [n.partition("=") for n in names]
    return MigrationSet(tool, tuple(Migration(n, h if e else f"h-{n}") for n, e, h in pairs), packages)


def image(
    applied: MigrationSet, reference: str = "base", *, dump: str = "d1", minute: int = 0, as_is: bool = False
) -> SeedImage:
    return SeedImage(reference, dump, applied, NOW + timedelta(minutes=minute), as_is)


DUMP = image(of("rails", "1", "2"), "dump", as_is=True)
BASE = image(of("rails", "1", "2", "3", "4"), "base", minute=1)


def test_the_image_that_needs_the_fewest_migrations_is_chosen() -> None:
    other = image(of("rails", "1", "2", "3"), "behind", minute=9)
    branch = of("rails", "1", "2", "3", "4", "5")
    assert fitted(branch, [DUMP, BASE, other]) == Fit(BASE, ("5",))
    assert fitted(of("rails", "1", "2", "3"), [DUMP, BASE, other]) == Fit(other)


def test_of_two_equal_images_the_newer_one_is_chosen() -> None:
    again = replace(BASE, reference="again", built=NOW + timedelta(hours=1))
    assert fitted(of("rails", "1", "2", "3", "4"), [DUMP, again, BASE]) == Fit(again)


def test_a_branch_that_no_image_fits_builds_one_from_the_dump() -> None:
    assert fitted(of("rails", "1", "2", "3"), [DUMP, BASE]) == BuildSeed(DUMP, ("3",))


def test_the_dump_itself_serves_a_branch_that_adds_nothing_to_it() -> None:
    assert fitted(of("rails", "1", "2"), [DUMP, BASE]) == Fit(DUMP)


def test_a_newer_dump_comes_first_even_if_it_must_be_built() -> None:
    newer = image(of("rails", "1"), "newer", dump="d2", minute=5, as_is=True)
    branch = of("rails", "1", "2", "3", "4")
    assert fitted(branch, [DUMP, BASE, newer]) == BuildSeed(newer, ("2", "3", "4"))


def test_an_older_dump_serves_a_branch_that_is_behind_the_newest_one() -> None:
    newer = image(of("rails", "1", "2", "3", "4", "5"), "newer", dump="d2", minute=5, as_is=True)
    assert fitted(of("rails", "1", "2", "3", "4"), [newer, DUMP, BASE]) == Fit(BASE)


def test_a_dump_is_as_old_as_its_first_image() -> None:
    rebuilt = replace(BASE, reference="rebuilt", built=NOW + timedelta(days=1))
    newer = image(of("rails", "1", "2", "3", "4"), "newer", dump="d2", minute=5)
    assert fitted(of("rails", "1", "2", "3", "4"), [DUMP, BASE, rebuilt, newer]) == Fit(newer)


def test_no_image_is_an_answer_of_its_own() -> None:
    answer = fitted(of("rails", "1"), [])
    assert isinstance(answer, NoFit)
    assert answer.reason.code == "seed-none"


def test_a_seed_without_migrations_fits_a_branch_without_migrations() -> None:
    assert fitted(MigrationSet(), [image(MigrationSet(), as_is=True)]) == Fit(image(MigrationSet(), as_is=True))


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
        (of("django", "shop.1", "shop.2"), of("django", "shop.1", "auth.1=packages:p2"), "seed-packages"),
        (of("django", "shop.1", packages=""), of("django", "shop.1", "auth.1=packages:"), "seed-packages"),
        (of("django", "auth.2"), of("django", "auth.1=packages:p1"), "seed-ahead"),
        (MigrationSet("django", (SQUASH,)), of("django", "shop.1", "shop.2"), "seed-squashed"),
        (MigrationSet("django", (SQUASH,)), of("django", "shop.1=", "shop.2="), "seed-squashed"),
    ],
)  # fmt: skip
def test_each_obstacle_has_its_sentence(branch: MigrationSet, applied: MigrationSet, code: str) -> None:
    for seed in (image(applied, as_is=True), image(applied)):
        reason = obstacle(branch, seed)
        assert reason is not None
        assert reason.code == code
        assert reason.text.endswith(".")
        assert reason.text.count(". ") == 0
        assert not isinstance(fitted(branch, [seed]), Fit)


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
    assert fitted(branch, [image(applied)]) == Fit(image(applied), rest)


def test_a_squashed_migration_counts_as_run_once_all_that_it_replaces_ran() -> None:
    branch = replace(
        of("django", "shop.1", "shop.2", "shop.5"),
        migrations=(*of("django", "shop.1", "shop.2", "shop.5").migrations, SQUASH),
    )
    seed = image(of("django", "shop.1", "shop.2"))
    assert fitted(branch, [seed]) == Fit(seed, ("shop.5",))
    partly = image(of("django", "shop.1"))
    assert fitted(branch, [partly]) == Fit(partly, ("shop.2", "shop.5", "shop.0004_squashed"))


def test_replaced_migrations_may_be_deleted_once_the_seed_contains_the_squashed_one() -> None:
    seed = image(of("django", "shop.1=", "shop.2=", "shop.0004_squashed=h-s"))
    assert fitted(MigrationSet("django", (SQUASH,)), [seed]) == Fit(seed)
    edited = replace(SQUASH, hash="h-other")
    assert isinstance(fitted(MigrationSet("django", (edited,)), [seed]), NoFit)


def test_a_graph_refuses_a_migration_that_must_run_before_one_that_ran() -> None:
    first, second = Migration("shop.1", "h-shop.1"), Migration("shop.2", "h-shop.2", parents=("shop.1",))
    new = Migration("shop.0", "h-shop.0", before=("shop.2",))
    ran = image(of("django", "shop.1", "shop.2"))
    for branch, seed in (((first, second, new), ran), ((first, second), image(of("django", "shop.2")))):
        reason = obstacle(MigrationSet("django", branch), seed)
        assert reason is not None
        assert reason.code == "seed-out-of-order"


def test_a_changed_repeatable_migration_runs_again_on_the_dump_only() -> None:
    branch, ran = of("flyway", "V1__a", "R__v=new"), of("flyway", "V1__a", "R__v")
    assert fitted(branch, [image(ran)]) != Fit(image(ran), ("R__v",))
    dump = image(ran, "dump", as_is=True)
    assert fitted(branch, [dump, image(ran)]) == BuildSeed(dump, ("R__v",))


def test_other_packages_need_a_build_whose_schema_is_compared() -> None:
    ran = of("django", "shop.1", "auth.1=packages:p2")
    dump = image(ran, "dump", as_is=True)
    assert fitted(of("django", "shop.1"), [dump, image(ran)]) == BuildSeed(dump, (), compare=True)


def test_long_lists_of_names_are_cut_and_cannot_add_markup() -> None:
    reason = obstacle(of("rails"), image(of("rails", *(f"2`<b>{i}" for i in range(9)))))
    assert reason is not None
    assert "and 6 more" in reason.text
    assert "2'<b>0" in reason.text


TOOL = st.sampled_from(["flyway", "files", "rails", "django", "alembic", "prisma", "knex"])
NAMES = [*(f"V{i}__m" for i in range(5)), "R__m"]
FATES = st.sampled_from(["same", "same", "same", "lacks", "lacks", "edited", "unknown"])


@st.composite
def seeds(draw: st.DrawFn, branch: MigrationSet, number: int) -> SeedImage:
    """Draw an image that is near the branch, so that many of them fit."""
    fates = [(m, draw(FATES)) for m in branch.migrations]
    hashes = {"edited": "h-edited", "unknown": ""}
    ran = [replace(m, hash=hashes.get(f, m.hash)) for m, f in fates if f != "lacks"]
    extra = draw(
        st.sampled_from([(), (), (), (Migration("V9__x", "z"),), (Migration("V9__x", branch.migrations[0].hash),)])
    )
    tool = draw(st.sampled_from([branch.tool] * 6 + ["rails"]))
    applied = MigrationSet(tool, (*ran, *extra), branch.packages)
    dump, minute = draw(st.sampled_from(["d1", "d2"])), draw(st.integers(0, 3))
    return image(applied, f"i{number}", dump=dump, minute=minute, as_is=draw(st.booleans()))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[MigrationSet, list[SeedImage]]:
    """Draw a branch and the images that it may start from."""
    branch = of(draw(TOOL), *NAMES[: draw(st.integers(1, 5))], *NAMES[5 : 5 + draw(st.integers(0, 1))])
    return branch, [draw(seeds(branch, n)) for n in range(draw(st.integers(0, 3)))]


WORLDS = worlds()
often = settings(max_examples=200)


@often
@given(WORLDS)
def test_what_ran_in_a_chosen_seed_is_a_subset_with_equal_hashes(world: tuple[MigrationSet, list[SeedImage]]) -> None:
    branch, images = world
    answer = fitted(branch, images)
    if isinstance(answer, NoFit):
        return
    ran, mine = answer.image.applied.hashes, branch.hashes
    again = (
        {n for n in ran if n.startswith("R__") and branch.tool == "flyway"} if isinstance(answer, BuildSeed) else set()
    )
    assert {n: h for n, h in ran.items() if n not in again}.items() <= mine.items()
    assert ran.keys() <= mine.keys()
    assert set(answer.to_run) | (ran.keys() - again) == mine.keys() - (again - set(answer.to_run))
    assert isinstance(answer, Fit) or answer.image.as_is


@often
@given(WORLDS)
def test_only_tools_that_allow_it_run_migrations_out_of_order(world: tuple[MigrationSet, list[SeedImage]]) -> None:
    branch, images = world
    answer = fitted(branch, images)
    if isinstance(answer, NoFit) or branch.tool not in ("flyway", "files"):
        return
    versions = [m.name for m in branch.migrations if branch.tool != "flyway" or not m.name.startswith("R__")]
    ran = [n for n in versions if n in answer.image.applied.hashes]
    assert ran == versions[: len(ran)]


@often
@given(WORLDS, st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(world: tuple[MigrationSet, list[SeedImage]], random: object) -> None:
    branch, images = world
    mixed = list(images)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert fitted(branch, mixed) == fitted(branch, images)


@often
@given(WORLDS, st.booleans(), st.sampled_from(["d1", "d2", "d3"]))
def test_a_newer_image_that_does_not_fit_changes_nothing(
    world: tuple[MigrationSet, list[SeedImage]], as_is: bool, dump: str
) -> None:
    branch, images = world
    before = fitted(branch, images)
    other = MigrationSet(branch.tool or "rails", (*branch.migrations, Migration("V99__other", "z")))
    newer = image(other, "unrelated", dump=dump, minute=60, as_is=as_is)
    after = fitted(branch, [*images, newer])
    assert after == before or (isinstance(after, NoFit) and isinstance(before, NoFit))


@often
@given(WORLDS)
def test_a_branch_that_fits_still_fits_after_it_adds_a_migration(world: tuple[MigrationSet, list[SeedImage]]) -> None:
    branch, images = world
    answer = fitted(branch, images)
    more = replace(branch, migrations=(*branch.migrations, Migration("V98__new", "n")))
    if branch.tool != "django" and not isinstance(answer, NoFit):
        assert not isinstance(fitted(more, images), NoFit)


@often
@given(WORLDS)
def test_a_built_seed_serves_the_same_migrations_without_another_build(
    world: tuple[MigrationSet, list[SeedImage]],
) -> None:
    branch, images = world
    answer = fitted(branch, images)
    if isinstance(answer, BuildSeed):
        built = SeedImage("own", answer.image.dump, branch, NOW + timedelta(hours=1))
        assert fitted(branch, [*images, built]) == Fit(built)
