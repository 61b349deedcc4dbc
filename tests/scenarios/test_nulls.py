"""Deleted labels and accounts leave null nodes behind: they freeze nothing, and nothing is removed on their account."""

from __future__ import annotations

from stories import SLUG, Story, sha


async def test_label_that_is_deleted_in_the_repository_removes_no_preview(story: Story) -> None:
    numbers = {story.labeled("one"), story.labeled("two")}
    await story.passes(3)
    story.world.delete_label(SLUG, "preview", "ada")  # two only: the breaker would let them go
    await story.passes(6)
    assert story.living == numbers
    assert {story.status(n).reason.code for n in numbers} == {"label-deleted"}
    assert all("was deleted in the repository" in story.comment(n) for n in numbers)
    await story.release(min(numbers))
    await story.passes(6)
    assert story.living == {max(numbers)}


async def test_label_that_is_deleted_and_created_again_removes_no_preview(story: Story) -> None:
    one, two = story.labeled("one"), story.labeled("two")
    await story.passes(3)
    story.world.delete_label(SLUG, "preview", "ada")
    story.pass_time(minutes=1)
    story.world.create_label(SLUG, "preview")
    await story.passes(6)
    assert story.living == {one, two}
    story.pass_time(minutes=1)
    story.world.label(SLUG, one, "preview", "ada")
    await story.passes(4)
    assert "### Preview ready" in story.comment(one)
    story.world.unlabel(SLUG, one, "preview", "ada")  # a person, and the label that there is
    await story.passes(6)
    assert story.living == {two}


async def test_another_label_that_is_deleted_freezes_nothing(story: Story) -> None:
    number = story.labeled()
    story.world.label(SLUG, number, "bug", "ada")
    story.world.delete_label(SLUG, "bug")
    await story.passes(3)
    assert story.errors == []
    assert "### Preview ready" in story.comment(number)
    story.world.push(SLUG, number, sha("second"), "ada")
    story.images.push("shop/web", sha("second"))
    await story.passes(3)
    assert next(iter(story.engine.previews.values())).spec.build.head_sha == sha("second")
    story.world.unlabel(SLUG, number, "preview", "ada")
    await story.passes(6)
    assert story.living == set()
