"""There is one comment of ours on a pull request, whatever people do to it and whatever GitHub answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from greenroom.controller.readback import TRIES
from stories import BOT, SLUG, Story

SPOILED: dict[str, Callable[[str], str]] = {
    "a blank before it": lambda body: f" {body}",
    "a blank line before it": lambda body: f"\r\n{body}",
    "words before it": lambda body: f"Note: {body}",
    "its marker edited": lambda body: body.replace("greenroom:1 test", "greenroom:1 tost"),
    "its number edited": lambda body: body.replace("<!-- greenroom:1 test ", "<!-- greenroom:1 test 1"),
    "its first line taken out": lambda body: body.partition("\n")[2],
    "other words": lambda body: "ha",
}


def written_by(story: Story, login: str, number: int) -> list[str]:
    return [c.body for c in story.world.pull_request(SLUG, number).comments if c.author.login == login]


@pytest.mark.parametrize("login", [BOT, "robin"], ids=["an App's bot", "a person's token"])
@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED)
async def test_comment_that_a_person_damaged_is_written_again_and_no_second_one_is_made(
    story: Story, login: str, spoiled: Callable[[str], str]
) -> None:
    story.world.token("t0ken-of-the-bot", login)
    story.world.collaborator(SLUG, "robin", "write")
    number = story.labeled()
    story.world.comment(SLUG, number, "I like it.", login)
    await story.passes(4)
    ours = story.world.pull_request(SLUG, number).comments[-1]
    story.world.edit_comment(SLUG, ours.id, spoiled(ours.body), "eve")
    await story.passes(4)
    first, second = written_by(story, login, number)
    assert first == "I like it."
    assert "### Preview ready" in second


async def test_damaged_comment_whose_edit_got_a_404_once_stays_the_only_one(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    ours = story.world.pull_request(SLUG, number).comments[0]
    story.world.edit_comment(SLUG, ours.id, "ha", "eve")
    story.world.faults.on("not-found", times=1, path=f"/issues/comments/{ours.id}")
    await story.passes(4)
    assert story.world.faults.fired["not-found"] == 1
    assert "### Preview ready" in story.comment(number)


async def test_new_comment_that_no_list_shows_yet_is_the_only_one_once_it_is_shown(story: Story) -> None:
    number = story.labeled()
    story.world.faults.on("stale")
    assert story.simulator is not None
    story.simulator.freeze()
    await story.passes(4)
    story.world.faults.off()
    await story.passes(4)
    assert "### Preview ready" in story.comment(number)


async def test_duplicate_comment_after_a_kill_and_a_lagging_list_is_deleted(story: Story) -> None:
    number = story.labeled()
    story.world.faults.on("stale")
    assert story.simulator is not None
    story.simulator.freeze()
    await story.one_pass()
    story.restart()
    await story.one_pass()
    assert len(story.comments(number)) == 2, "without this there is nothing to delete"
    story.world.faults.off()
    await story.passes(4)
    assert "### Preview ready" in story.comment(number)


async def test_new_comment_that_github_does_not_find_for_a_moment_is_not_made_twice(story: Story) -> None:
    number = story.labeled()
    story.world.faults.on("stale")
    assert story.simulator is not None
    story.simulator.freeze()
    story.world.faults.on("not-found", times=1, path="/issues/comments/")
    await story.one_pass()
    assert story.world.faults.fired["not-found"] == 1
    assert len(story.comments(number)) == 1
    story.world.faults.off()
    story.pass_time(minutes=2)
    await story.passes(4)
    assert "### Preview ready" in story.comment(number)


async def test_comment_of_ours_that_another_person_edited_is_never_deleted(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    marker = story.comment(number).partition("eyJ")[0]
    second = story.world.comment(SLUG, number, f"{marker}-->\nPreview ready", BOT)
    story.world.edit_comment(SLUG, second.id, f"{marker}-->\nSee also #7.", "eve")
    await story.passes(4)
    assert len(story.comments(number)) == 2


async def test_duplicate_comment_that_a_person_edited_is_deleted_because_its_signature_proves_whose_it_is(
    story: Story,
) -> None:
    number = story.labeled()
    story.world.faults.on("stale")
    assert story.simulator is not None
    story.simulator.freeze()
    await story.one_pass()
    story.restart()
    await story.one_pass()
    first = story.world.pull_request(SLUG, number).comments[0]
    story.world.edit_comment(SLUG, first.id, f"{first.body}\nSee also #7.", "eve")
    story.world.faults.off()
    await story.passes(4)
    assert "### Preview ready" in story.comment(number)


async def test_comment_that_a_person_deleted_is_made_again(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    ours = story.world.pull_request(SLUG, number).comments[0]
    story.world.delete_comment(SLUG, ours.id)
    story.pass_time(minutes=2)  # before that, the list may lag behind what we wrote
    await story.passes(4)
    assert "### Preview ready" in story.comment(number)
    assert story.world.pull_request(SLUG, number).comments[0].id != ours.id


# --- a write is believed when it is read back ---


async def test_removal_comment_that_was_not_applied_is_written_again(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    story.world.close(SLUG, number, "ada")
    story.world.faults.on("ignored-write", times=1, path="/issues/comments/")
    await story.passes(8)
    for _ in range(4):
        story.pass_time(minutes=1)
        await story.one_pass()
    assert story.world.faults.fired["ignored-write"] == 1
    assert "### Preview removed" in story.comment(number)
    assert all(w.told for preview_set in story.engine.sets.values() for w in preview_set.ledger.withdrawals)


async def test_removal_stays_open_until_its_comment_is_read_back(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    story.world.close(SLUG, number, "ada")
    while not story.engine.removed:
        await story.one_pass()
    story.world.faults.on("ignored-write", path="/issues/comments/")
    await story.passes(3)
    [preview_set] = story.engine.sets.values()
    assert [w.told for w in preview_set.ledger.withdrawals] == [False]
    story.world.faults.off()
    story.pass_time(minutes=2)
    await story.passes(3)
    [preview_set] = story.engine.sets.values()
    assert all(w.told for w in preview_set.ledger.withdrawals)
    assert "### Preview removed" in story.comment(number)


async def test_removal_whose_comment_is_never_read_back_is_completed_after_a_few_edits(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process before each pass does not know how often it wrote")
    number = story.labeled()
    await story.passes(4)
    story.world.close(SLUG, number, "ada")
    while not story.engine.removed:
        await story.one_pass()
    story.world.faults.on("ignored-write", path="/issues/comments/")
    for _ in range(90):
        story.pass_time(minutes=1)
        await story.one_pass()
    [preview_set] = story.engine.sets.values()
    assert all(w.told for w in preview_set.ledger.withdrawals)
    assert story.world.faults.fired["ignored-write"] == TRIES
    events = await story.controller().parts.history.events(limit=100)
    assert "did not return the new text" in next(e for e in events if e.kind == "receipt").text
    assert {str(s.warning) for s in story.board.statuses.values() if s.warning}, "pages and terminal say it"


async def test_comment_that_was_not_applied_is_written_again_by_a_later_pass(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    story.world.faults.on("ignored-write", times=1, path="/issues/comments/")
    story.world.label(SLUG, number, "preview-sleep", "ada")
    await story.passes(4)
    assert story.world.faults.fired["ignored-write"] == 1
    story.pass_time(minutes=2)
    await story.passes(3)
    assert "### Preview asleep" in story.comment(number)


async def test_comment_that_is_never_applied_does_not_use_up_githubs_limits(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process before each pass does not know how often it wrote")
    number = story.labeled()
    await story.passes(4)
    story.world.faults.on("ignored-write", path="/issues/comments/")
    story.world.label(SLUG, number, "preview-sleep", "ada")
    for _ in range(120):
        story.pass_time(minutes=1)
        await story.one_pass()
    assert TRIES <= story.world.faults.fired["ignored-write"] <= 2 * TRIES
    story.world.faults.off()
    story.pass_time(hours=1)
    await story.passes(3)
    assert "### Preview asleep" in story.comment(number)


async def test_deletion_that_github_does_not_apply_is_not_asked_for_ever(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process before each pass does not know what it deleted")
    number = story.labeled()
    await story.passes(4)
    marker = story.comment(number).partition("eyJ")[0]
    second = story.world.comment(SLUG, number, f"{marker}-->\nPreview ready", BOT)
    story.world.faults.on("ignored-write", path=f"/issues/comments/{second.id}")
    waits = []
    repository = story.platform.repositories[0]
    for _ in range(60):
        story.pass_time(minutes=1)
        waits.append(await story.controller().reconcile(repository))
    assert story.world.faults.fired["ignored-write"] <= 20, (story.world.faults.fired, waits[-5:])
