"""Seeds: no database starts with a migration that its branch does not have, or has with other content."""

from __future__ import annotations

import pytest

from greenroom.core.model.status import Stage
from greenroom.simulator.payloads import blob_id
from seed_stories import NEW, OLD, Files, commit, data, dumps, image, on_base, seeded, tag
from stories import SLUG, Story, sha

ONE, TWO = "db/migrate/001_orders.rb", "db/migrate/002_names.rb"
BOTH: Files = {ONE: b"orders", TWO: b"names"}
RAN = {"001": b"orders", "002": b"names"}


async def labeled(story: Story, files: Files, dump: bytes = OLD) -> int:
    commit(story, dump, files=files)
    number = story.labeled()
    await story.passes(3)
    return number


async def test_branch_that_adds_a_migration_starts_from_the_dump(story: Story) -> None:
    seeded(story)
    image(story, OLD, "rails", RAN)
    number = await labeled(story, {**BOTH, "db/migrate/003_more.rb": b"more"})
    assert dumps(story, number) == [blob_id(OLD)]
    assert "### Preview ready" in story.comment(number)


@pytest.mark.parametrize(
    ("files", "code", "sentence"),
    [
        ({ONE: b"orders"}, "seed-ahead", "The seed already contains `002`, which this branch does not have."),
        ({}, "seed-other-tool", "The seed was migrated with Rails, but this branch has no migrations."),
        (
            {ONE: b"edited", TWO: b"names"},
            "seed-edited",
            "The seed already contains `001`, but the file in this branch",
        ),
        ({ONE: b"orders", "db/migrate/009_names.rb": b"names"}, "seed-renamed", "`002`, which this branch renamed to"),
        ({**BOTH, "api/db/migrate/001_x.rb": b"x"}, "migrations-unclear", "has several migration folders"),
    ],
    ids=["behind", "deleted", "edited", "renamed", "unclear"],
)
async def test_branch_that_does_not_fit_its_seed_starts_nothing(
    story: Story, files: Files, code: str, sentence: str
) -> None:
    seeded(story)
    image(story, OLD, "rails", RAN)
    number = await labeled(story, files)
    assert story.living == set()
    assert (story.status(number).stage, story.status(number).reason.code) == (Stage.BLOCKED, code)
    assert sentence in story.comment(number)


async def test_push_that_restores_the_migration_starts_the_preview(story: Story) -> None:
    seeded(story)
    image(story, OLD, "rails", RAN)
    number = await labeled(story, {ONE: b"edited", TWO: b"names"})
    commit(story, OLD, "second", BOTH)
    story.images.push("shop/web", sha("second"))
    story.world.push(SLUG, number, sha("second"), "ada")
    await story.passes(3)
    assert story.living == {number}


async def test_dump_without_a_migration_table_serves_every_branch(story: Story) -> None:
    seeded(story)
    image(story, OLD)
    number = await labeled(story, {**BOTH, "api/db/migrate/001_x.rb": b"x"})
    assert story.living == {number}


async def test_image_that_does_not_name_its_migrations_serves_only_a_service_without_any(story: Story) -> None:
    seeded(story)
    story.images.push("seeds", tag(OLD))
    number = await labeled(story, BOTH)
    assert (story.living, story.status(number).reason.code) == (set(), "seed-unrecorded")


async def test_configured_folder_decides_which_migrations_count(story: Story) -> None:
    seeded(story, migrations="db")
    image(story, OLD, "rails", RAN)
    number = await labeled(story, {**BOTH, "api/db/migrate/001_x.rb": b"x"})
    assert story.living == {number}


DJANGO: Files = {
    "shop/__init__.py": b"",
    "shop/migrations/__init__.py": b"",
    "shop/migrations/0001_initial.py": b"class Migration:\n    dependencies = []\n",
    "shop/migrations/0002_name.py": b"class Migration:\n    dependencies = [('shop', '0001_initial')]\n",
}


@pytest.mark.parametrize("edited", [False, True])
async def test_files_of_django_are_read_and_compared(story: Story, edited: bool) -> None:
    seeded(story)
    first = DJANGO["shop/migrations/0001_initial.py"]
    image(story, OLD, "django", {"shop.0001_initial": first})
    edit = {"shop/migrations/0001_initial.py": first + b"# edited\n"} if edited else {}
    number = await labeled(story, {**DJANGO, **edit})
    assert story.living == (set() if edited else {number})
    if edited:
        assert "The seed already contains `shop.0001_initial`" in story.comment(number)


async def test_migrations_that_cannot_be_read_delay_the_preview(story: Story) -> None:
    seeded(story)
    image(story, OLD, "django", {"shop.0001_initial": DJANGO["shop/migrations/0001_initial.py"]})
    story.world.faults.on("server-error", path="/git/blobs/")
    number = await labeled(story, DJANGO)
    assert (story.living, story.status(number).stage) == (set(), Stage.WAITING)
    story.world.faults.off("server-error")
    await story.passes(3)
    assert story.living == {number}


async def test_build_compares_the_dump_with_the_base_branch_and_not_with_an_edit(story: Story) -> None:
    seeded(story, builds=True)
    on_base(story, OLD, BOTH)
    await labeled(story, {ONE: b"edited", TWO: b"names"})
    [build] = story.engine.builds
    assert [(n, h) for n, h, _ in build.commit.entries] == [("001", blob_id(b"orders")), ("002", blob_id(b"names"))]


async def test_build_of_a_changed_dump_compares_it_with_its_own_branch(story: Story) -> None:
    seeded(story, builds=True)
    on_base(story, OLD, BOTH)
    await labeled(story, {ONE: b"edited"}, NEW)
    [build] = story.engine.builds
    assert [(n, h) for n, h, _ in build.commit.entries] == [("001", blob_id(b"edited"))]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({ONE: b"edited", TWO: b"names"}, "The seed already contains `001`, but the file in this branch has different"),
        ({ONE: b"orders"}, "The seed already contains `002`, which this branch does not have."),
    ],
    ids=["edited", "deleted"],
)
async def test_running_preview_keeps_its_data_and_says_that_a_push_rewrote_a_migration(
    story: Story, files: Files, sentence: str
) -> None:
    seeded(story)
    image(story, OLD, "rails", RAN)
    number = await labeled(story, BOTH)
    before = data(story, number)
    commit(story, OLD, "second", files)
    story.images.push("shop/web", sha("second"))
    story.world.push(SLUG, number, sha("second"), "ada")
    await story.passes(3)
    assert story.living == {number}
    assert data(story, number) == before
    assert f"This preview keeps its data, which no longer fits its branch. {sentence}" in story.comment(number)
    assert "comment `/preview reseed` to start over with the new one." in story.comment(number)


async def test_image_that_was_built_again_serves_a_new_preview_beside_an_older_one(story: Story) -> None:
    seeded(story)
    image(story, OLD, "rails", {"001": b"orders"})
    first = await labeled(story, BOTH)
    image(story, OLD, "rails", RAN)
    commit(story, OLD, "other", BOTH)
    second = story.labeled("other")
    await story.passes(3)
    assert story.living == {first, second}
    assert data(story, first).seeds[0].digest != data(story, second).seeds[0].digest


async def test_reseed_from_a_dump_that_does_not_fit_keeps_the_data(story: Story) -> None:
    seeded(story)
    image(story, OLD, "rails", {"001": b"orders"})
    image(story, NEW, "rails", RAN)
    number = await labeled(story, {ONE: b"orders"})
    before = data(story, number)
    commit(story, NEW, "second", {ONE: b"orders"})
    story.images.push("shop/web", sha("second"))
    story.world.push(SLUG, number, sha("second"), "ada")
    await story.passes(3)
    story.world.comment(SLUG, number, "/preview reseed", "ada")
    await story.passes(4)
    assert (data(story, number).seeds, data(story, number).resets) == (before.seeds, 0)
    assert "The seed already contains `002`, which this branch does not have." in story.comment(number)
