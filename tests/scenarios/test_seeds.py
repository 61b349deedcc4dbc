"""Seeds: a preview starts from the dump of its own commit, keeps it, and starts over when a person asks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from greenroom.controller.admin_service import Control
from greenroom.core.model.engine import BuildFailed
from greenroom.core.model.seeds import LABEL
from greenroom.core.model.status import Stage
from greenroom.errors import Doubt
from greenroom.simulator.payloads import blob_id
from seed_stories import NEW, OLD, PATH, commit, data, dumps, on_base, seeded, tag
from stories import SLUG, Story, sha


async def test_preview_starts_once_the_image_of_its_dump_exists(story: Story) -> None:
    seeded(story)
    commit(story, OLD)
    number = story.labeled()
    await story.passes(3)
    assert story.living == set()
    assert f"The seed image for {PATH} does not exist yet (tag {tag(OLD)})." in story.comment(number)
    assert story.engine.builds == [], "CI builds it"
    digest = story.images.push("seeds", tag(OLD), labels={LABEL: '{"bytes": 700000000, "rows": {}}'})
    await story.passes(3)
    assert dumps(story, number) == [blob_id(OLD)]
    assert data(story, number).seeds[0].size == 700_000_000
    assert data(story, number).seeds[0].digest == digest
    assert "### Preview ready" in story.comment(number)
    assert f"Data: postgresql starts from {PATH} ({blob_id(OLD)[:7]}). Comment `/preview reset`" in story.comment(
        number
    )


async def test_preview_waits_while_the_label_of_its_seed_cannot_be_read(story: Story) -> None:
    seeded(story)
    commit(story, OLD)
    story.images.push("seeds", tag(OLD))
    blobs, story.images.blobs = story.images.blobs, {}
    number = story.labeled()
    await story.passes(3)
    assert story.living == set()
    story.images.blobs = blobs
    await story.passes(3)
    assert story.living == {number}


async def test_greenroom_builds_an_image_once_for_all_pull_requests_with_the_same_dump(story: Story) -> None:
    seeded(story, builds=True)
    commit(story, OLD)
    commit(story, OLD, "other")
    on_base(story, OLD)
    numbers = story.labeled(), story.labeled("other")
    await story.passes(4)
    [build] = story.engine.builds
    assert (build.inputs.tag, build.path, build.source.ref) == (tag(OLD), PATH, sha("feature"))
    assert all(f"Greenroom is building the seed image from {PATH}." in story.comment(n) for n in numbers)
    story.images.push("seeds", tag(OLD))
    await story.passes(4)
    assert story.living == set(numbers)


async def test_failed_build_says_why_until_a_push_brings_another_dump(story: Story) -> None:
    seeded(story, builds=True)
    commit(story, OLD)
    number = story.labeled()
    await story.passes(2)
    story.engine.failed_builds[tag(OLD)] = BuildFailed("seed/shop.sql is cut off at byte 12.")
    await story.passes(2)
    assert "seed/shop.sql is cut off at byte 12." in story.comment(number)
    assert story.status(number).stage is Stage.BLOCKED
    commit(story, NEW, "second")
    story.images.push("shop/web", sha("second"))
    story.images.push("seeds", tag(NEW))
    story.world.push(SLUG, number, sha("second"), "ada")
    await story.passes(3)
    assert dumps(story, number) == [blob_id(NEW)]


async def test_pull_request_that_changes_the_dump_never_shares_an_image_with_others(story: Story) -> None:
    seeded(story)
    commit(story, OLD)
    commit(story, NEW, "other")
    story.images.push("seeds", tag(OLD))
    first, second = story.labeled(), story.labeled("other")
    await story.passes(3)
    assert story.living == {first}
    story.images.push("seeds", tag(NEW))
    await story.passes(3)
    assert (dumps(story, first), dumps(story, second)) == ([blob_id(OLD)], [blob_id(NEW)])


async def pushed_with_another_dump(story: Story) -> int:
    commit(story, OLD)
    commit(story, NEW, "second")
    for dump in (OLD, NEW):
        story.images.push("seeds", tag(dump))
    number = story.labeled()
    await story.passes(3)
    story.images.push("shop/web", sha("second"))
    story.world.push(SLUG, number, sha("second"), "ada")
    await story.passes(3)
    return number


async def test_preview_keeps_its_seed_after_a_push_until_a_person_asks(story: Story) -> None:
    seeded(story)
    number = await pushed_with_another_dump(story)
    assert dumps(story, number) == [blob_id(OLD)]
    assert data(story, number).generation == 1
    story.world.comment(SLUG, number, "/preview reset", "ada")
    await story.passes(4)
    assert dumps(story, number) == [blob_id(OLD)]
    assert (data(story, number).generation, data(story, number).resets) == (2, 1)
    assert f"ada replaced the data: postgresql starts from {PATH} ({blob_id(OLD)[:7]})." in story.comment(number)
    story.world.comment(SLUG, number, "/preview reseed", "grace")
    await story.passes(4)
    assert dumps(story, number) == [blob_id(NEW)]
    assert (data(story, number).generation, data(story, number).resets) == (3, 2)
    await story.passes(4)
    assert data(story, number).resets == 2, "a command is followed once"


async def test_follower_changes_to_the_newer_seed_with_the_push(story: Story) -> None:
    seeded(story, follow=True)
    number = await pushed_with_another_dump(story)
    assert dumps(story, number) == [blob_id(NEW)]
    assert "a newer seed replaced the data" in story.comment(number)


@pytest.mark.parametrize("lost", ["the controller", "its comment"])
async def test_command_is_not_replayed_after_a_loss(story: Story, lost: str) -> None:
    seeded(story)
    commit(story, OLD)
    story.images.push("seeds", tag(OLD))
    number = story.labeled()
    await story.passes(3)
    story.world.comment(SLUG, number, "/preview reset", "ada")
    await story.passes(4)
    assert data(story, number).resets == 1
    if lost == "the controller":
        story.restart()
    else:
        [ours] = [c.id for c in story.world.pull_request(SLUG, number).comments if c.author.login != "ada"]
        story.world.delete_comment(SLUG, ours)
        story.pass_time(minutes=2)  # before that, the list may lag behind what we wrote
    await story.passes(6)
    assert data(story, number).resets == 1
    assert "### Preview ready" in story.comment(number)


async def test_person_without_write_access_resets_nothing(story: Story) -> None:
    seeded(story)
    commit(story, OLD)
    story.images.push("seeds", tag(OLD))
    number = story.labeled()
    await story.passes(3)
    story.world.comment(SLUG, number, "/preview reset", "eve")
    await story.passes(4)
    assert data(story, number).resets == 0
    assert "requires write access" in story.comment(number)


async def test_dump_of_another_repository_comes_from_its_branch(story: Story) -> None:
    commit(story, None)
    story.world.repository("acme/seeds").files["stable"] = {PATH: NEW}
    story.world.collaborator("acme/seeds", "greenroom-bot", "read")
    seeded(story, repository="acme/seeds", branch="stable")
    story.images.push("seeds", tag(NEW))
    number = story.labeled()
    await story.passes(3)
    assert dumps(story, number) == [blob_id(NEW)]


async def test_missing_dump_is_reported_and_an_unreadable_tree_waits(story: Story) -> None:
    seeded(story)
    number = story.labeled()
    await story.passes(2)
    assert story.status(number).stage is Stage.WAITING, "GitHub does not show the files of this commit"
    commit(story, None)
    await story.passes(2)
    assert f"The dump {PATH} does not exist in {SLUG} at {sha('feature')[:7]}." in story.comment(number)
    assert story.living == set()


async def test_seeds_cost_no_request_once_a_preview_has_them(story: Story) -> None:
    seeded(story)
    commit(story, OLD)
    story.images.push("seeds", tag(OLD))
    story.labeled()
    await story.passes(3)
    story.world.repository(SLUG).files.clear()  # reading them again would fail
    await story.passes(3)
    assert story.errors == []


@pytest.mark.parametrize("hours", [2, 60])
async def test_command_that_was_given_during_an_outage_is_void(story: Story, hours: int) -> None:
    seeded(story)
    commit(story, OLD)
    story.images.push("seeds", tag(OLD))
    number = story.labeled()
    await story.passes(3)
    story.world.comment(SLUG, number, "/preview reset", "ada")
    story.pass_time(minutes=60 * hours)
    await story.passes(4)
    assert data(story, number).resets == 0


async def test_command_from_before_the_preview_does_not_reset_it(story: Story) -> None:
    seeded(story)
    commit(story, OLD)
    story.images.push("seeds", tag(OLD))
    number = story.pull_request()
    story.world.comment(SLUG, number, "/preview reset", "ada")
    story.pass_time(minutes=2)
    await story.passes(2)
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(5)
    assert (data(story, number).resets, data(story, number).generation) == (0, 1)


async def test_dump_of_a_repository_that_cannot_be_read_ends_no_pass(story: Story) -> None:
    seeded(story, repository="acme/secret", branch="main")
    story.world.repository("acme/secret").files["main"] = {PATH: NEW}
    story.world.faults.on("forbidden", path="/repos/acme/secret/git/trees")
    number = story.labeled()
    await story.passes(3)
    assert story.errors == []
    assert story.status(number).stage is Stage.WAITING


async def test_images_in_use_are_those_of_all_previews_or_unknown(story: Story) -> None:
    seeded(story)
    commit(story, OLD)
    number = story.labeled()
    story.images.push("seeds", tag(OLD), labels={LABEL: "{}"})
    await story.passes(3)
    [seed] = data(story, number).seeds
    idle: Any = SimpleNamespace()
    control = Control(story.controller(), idle)
    assert await control.seeds() == [{"image": seed.reference, "digest": seed.digest, "preview": f"shop#{number}"}]
    story.engine.doubts[story.world.repository(SLUG).id] = "A set cannot be parsed."
    with pytest.raises(Doubt, match=r"cannot be read completely: A set cannot be parsed\."):
        await control.seeds()
