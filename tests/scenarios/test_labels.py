"""People type labels in any case; GitHub takes them for the same label, and so does Greenroom."""

from __future__ import annotations

from datetime import timedelta

from greenroom.core.model.catalog import Lifetime
from stories import SLUG, Story


async def test_a_label_in_capitals_asks_keeps_and_lets_go(story: Story) -> None:
    story.configure(lifetime=Lifetime(timedelta(days=4), timedelta(days=1)))
    story.world.create_label(SLUG, "Preview")
    story.world.create_label(SLUG, "PREVIEW-KEEP")
    number = story.labeled()
    assert story.world.pull_request(SLUG, number).labels == ["Preview"], "GitHub keeps the repository's spelling"
    await story.passes()
    assert "### Preview ready" in story.comment(number)
    story.world.label(SLUG, number, "preview-keep", "ada")
    story.pass_time(days=9)
    await story.passes()
    assert story.living == {number}, "kept"
    assert "will be removed" not in story.comment(number)
    assert story.world.unlabel(SLUG, number, "pReViEw", "ada")
    await story.passes()
    assert story.living == set()
    assert "### Preview removed" in story.comment(number)


async def test_an_expired_label_in_capitals_is_taken_off(story: Story) -> None:
    story.configure(lifetime=Lifetime(timedelta(days=4), timedelta(days=1)))
    story.world.create_label(SLUG, "Preview")
    number = story.labeled()
    await story.passes()
    story.pass_time(days=4)
    await story.passes()
    assert "will be removed" in story.comment(number)
    story.pass_time(days=1, seconds=30)
    await story.passes()
    assert story.world.pull_request(SLUG, number).labels == []
    assert story.living == set()


async def test_the_configured_label_in_another_case_holds_nothing(story: Story) -> None:
    number = story.labeled()
    await story.passes()
    story.configure(label="PREVIEW")
    await story.passes()
    assert story.status(number).hold is None
    assert "### Preview ready" in story.comment(number)
