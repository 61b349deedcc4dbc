"""A label while CI still builds: everything but the services starts, and goes again if the image never comes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from greenroom.core.model.catalog import Need
from greenroom.core.model.engine import Health, Life
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.core.model.status import Stage
from stories import SLUG, Story, sha


def with_database(story: Story) -> None:
    [repository] = story.platform.repositories
    [service] = repository.services
    database = replace(service, needs=(Need("postgresql", "postgresql", "16"),))
    story.configure(repositories=(replace(repository, services=(database,)),))


def spec(story: Story, number: int) -> PreviewSpec:
    return story.engine.previews[Identity(story.world.repository(SLUG).id, number)].spec


async def test_label_prepares_and_the_image_starts_the_services(story: Story) -> None:
    with_database(story)
    number = story.labeled(image=False)
    await story.passes(3)
    assert story.living == {number}
    assert spec(story, number).prepared
    assert "### Preview waiting" in story.comment(number)
    assert f"PostgreSQL is ready; waiting for image {story.registry}/shop/web:" in story.comment(number)
    assert "not serve" not in story.comment(number)
    assert story.status(number).serves_head is False
    created = spec(story, number).times.created
    story.images.push("shop/web", sha("feature"))
    await story.passes(3)
    assert "### Preview ready" in story.comment(number)
    assert story.status(number).serves_head
    assert spec(story, number).times.created == created, "it is the same preview"
    assert spec(story, number).data.generation == 1
    assert story.engine.removed == []


async def test_push_while_prepared_waits_for_the_new_image_only(story: Story) -> None:
    number = story.labeled(image=False)
    await story.passes(3)
    story.world.push(SLUG, number, sha("second"), "ada")
    story.images.push("shop/web", sha("feature"))  # CI finishes the commit before
    await story.passes(3)
    assert spec(story, number).prepared
    assert sha("second")[:7] in story.comment(number)
    story.images.push("shop/web", sha("second"))
    await story.passes(3)
    assert spec(story, number).build.head_sha == sha("second")
    assert not spec(story, number).prepared
    repository = story.world.repository(SLUG).id
    assert story.engine.sets[repository].ledger.restarts == ()


async def test_image_that_never_comes_expires_as_any_preview(story: Story) -> None:
    number = story.labeled(image=False)
    await story.passes(3)
    story.pass_time(days=2, hours=1)
    await story.passes(3)
    assert "will be removed" in story.comment(number)
    assert story.living == {number}
    story.pass_time(days=1, hours=1)
    await story.passes(6)
    assert story.living == set()
    assert "preview" not in story.world.pull_request(SLUG, number).labels
    assert "### Preview removed" in story.comment(number)


@pytest.mark.parametrize("how", ["closed", "merged", "unlabeled"])
async def test_prepared_preview_is_removed_and_verified_as_any(story: Story, how: str) -> None:
    number = story.labeled(image=False)
    await story.passes(3)
    assert story.living == {number}
    if how == "unlabeled":
        story.world.unlabel(SLUG, number, "preview", "ada")
    else:
        story.world.close(SLUG, number, "ada", merge=how == "merged")
    await story.passes(6)
    assert story.living == set()
    assert [i.number for i in story.engine.removed] == [number]
    assert "### Preview removed" in story.comment(number)
    assert "All of the preview's resources have been deleted" in story.comment(number)
    story.images.push("shop/web", sha("feature"))
    await story.passes(3)
    assert story.living == set()


async def test_forks_drafts_and_people_without_write_access_prepare_nothing(story: Story) -> None:
    story.labeled("draft", image=False, draft=True)
    story.labeled("fork", image=False, fork="eve/shop")
    triaged = story.pull_request("triaged", image=False)
    story.world.label(SLUG, triaged, "preview", "eve")
    await story.passes(4)
    assert story.living == set()


async def test_setting_turns_it_off(story: Story) -> None:
    story.prepares_nothing()
    number = story.labeled(image=False)
    await story.passes(3)
    assert story.living == set()
    assert "Waiting for image" in story.comment(number)


async def test_prepared_preview_takes_a_place_under_the_limits(story: Story) -> None:
    story.configure(limits=replace(story.platform.limits, per_repository=1))
    first = story.labeled("first", image=False)
    await story.passes(2)
    second = story.labeled("second")
    await story.passes(3)
    assert story.living == {first}
    assert story.status(second).stage is Stage.QUEUED
    story.world.close(SLUG, first, "ada")
    await story.passes(6)
    assert story.living == {second}


async def test_need_that_is_replaced_before_the_image_comes_is_no_news(story: Story) -> None:
    with_database(story)
    number = story.labeled(image=False)
    await story.passes(3)
    identity = Identity(story.world.repository(SLUG).id, number)
    for holder in ("one", "two"):
        lives = (Life("web-postgresql", holder),)
        story.engine.previews[identity] = replace(story.engine.previews[identity], lives=lives)
        await story.passes(2)
    assert spec(story, number).data.generation == 1
    story.images.push("shop/web", sha("feature"))
    await story.passes(3)
    assert "was reset" not in story.comment(number)


async def test_image_of_a_preview_whose_database_does_not_start_is_still_looked_for(story: Story) -> None:
    with_database(story)
    number = story.labeled(image=False)
    await story.passes(3)
    identity = Identity(story.world.repository(SLUG).id, number)
    broken = replace(
        story.engine.previews[identity], health=Health.FAILED, why="The image of web-postgresql cannot be pulled."
    )
    story.engine.previews[identity] = broken
    await story.passes(2)
    assert "The image of web-postgresql cannot be pulled. Waiting for image" in story.comment(number)
    controller = story.controller()
    again = await controller.reconcile(story.platform.repositories[0])
    assert again is not None
    assert again <= 60
    story.images.push("shop/web", sha("feature"))
    await story.passes(3)
    assert not spec(story, number).prepared
