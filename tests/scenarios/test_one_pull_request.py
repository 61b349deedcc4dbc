"""What fails for one pull request never slows down, alarms or hides another one, and a person can always let go."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from greenroom.controller.admin_service import Control
from greenroom.core.model.engine import Health
from greenroom.core.model.status import Stage
from greenroom.errors import Failed
from stories import BOT, SLUG, Story, sha


def nobody_is_alarmed(story: Story) -> bool:
    return story.errors == [] and story.board.trouble("shop") == ""


async def test_locked_conversation_leaves_its_preview_and_the_repository_alone(story: Story) -> None:
    locked, other = story.labeled("one"), story.labeled("two")
    await story.passes(4)
    before = story.comment(locked)
    story.world.lock(SLUG, locked, "grace")
    for number in (locked, other):
        later = sha(f"later-{number}")
        story.images.push("shop/web", later)
        story.world.push(SLUG, number, later, "ada")
        story.world.label(SLUG, number, "preview-sleep", "ada")
    await story.passes(4)
    assert {p.spec.build.head_sha for p in story.engine.previews.values()} == {
        sha(f"later-{n}") for n in (locked, other)
    }
    assert story.status(locked).stage is Stage.ASLEEP
    assert "### Preview asleep" in story.comment(other)
    assert story.comment(locked) == before
    assert "locked" in str(story.status(locked).warning)
    assert story.status(other).warning is None
    assert nobody_is_alarmed(story)
    story.world.unlock(SLUG, locked, "grace")
    story.pass_time(minutes=10)
    await story.passes(3)
    assert "### Preview asleep" in story.comment(locked)
    assert story.status(locked).warning is None


async def test_comment_that_github_refuses_is_tried_less_and_less_often(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process before each pass does not know what it tried")
    locked = story.labeled()
    await story.passes(3)
    story.world.lock(SLUG, locked, "grace")
    story.world.label(SLUG, locked, "preview-sleep", "ada")
    counts = story.controller().parts.sources.github.counts
    before = counts["PATCH rest"]
    waits = [await story.controller().reconcile(story.platform.repositories[0]) for _ in range(5)]
    assert counts["PATCH rest"] - before == 1, "what was just refused is not sent again at once"
    assert all(wait is not None and 1 < wait <= 2 for wait in waits[2:]), "the next look is when it is due, no earlier"


async def test_removal_that_cannot_be_commented_is_completed(story: Story) -> None:
    locked, other = story.labeled("one"), story.labeled("two")
    await story.passes(4)
    before = story.comment(locked)
    story.world.lock(SLUG, locked, "grace")
    story.world.close(SLUG, locked, "ada")
    await story.passes(8)
    assert story.living == {other}
    assert story.status(locked).stage is Stage.REMOVED
    assert "locked" in str(story.status(locked).warning)
    assert story.comment(locked) == before
    [preview_set] = story.engine.sets.values()
    assert [w.told for w in preview_set.ledger.withdrawals] == [True]
    assert nobody_is_alarmed(story)


async def test_token_with_write_access_continues_commenting_a_locked_conversation(story: Story) -> None:
    story.world.collaborator(SLUG, BOT, "write")
    number = story.labeled()
    await story.passes(3)
    story.world.lock(SLUG, number, "grace")
    story.world.close(SLUG, number, "ada")
    await story.passes(6)
    assert "All of the preview's resources have been deleted." in story.comment(number)


async def test_expiry_counts_from_the_warning_that_was_delivered(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.lock(SLUG, number, "grace")
    story.pass_time(days=2, hours=12)
    await story.passes(4)
    assert story.status(number).stage is Stage.HELD
    assert story.status(number).reason.code == "warning-undelivered"
    assert "Unlock the conversation" in str(story.status(number).reason)
    story.pass_time(days=10)
    await story.passes(8)
    assert story.living == {number}, "a warning that nobody could read is no warning"
    assert nobody_is_alarmed(story)
    story.world.unlock(SLUG, number, "grace")
    story.pass_time(minutes=10)
    await story.passes(4)
    assert "### Preview expiring" in story.comment(number)
    assert story.status(number).stage is Stage.EXPIRING
    story.pass_time(hours=23)
    await story.passes(8)
    assert story.living == {number}
    story.pass_time(hours=2)
    await story.passes(10)
    assert story.living == set()


async def test_a_conversation_locked_after_the_warning_holds_the_preview(story: Story) -> None:
    """The decision is written down before the label is taken off; where that is refused, the label stays."""
    number = story.labeled()
    await story.passes(3)
    story.pass_time(days=2, hours=12)
    await story.passes(4)
    assert "### Preview expiring" in story.comment(number)
    story.world.lock(SLUG, number, "grace")
    story.pass_time(days=2)
    await story.passes(6)
    assert story.living == {number}
    assert story.status(number).reason.code == "expiry-refused"
    assert nobody_is_alarmed(story)


@pytest.mark.parametrize("fault", ["server-error", "html", "forbidden"])
async def test_one_comment_that_cannot_be_written_alarms_nobody_else(story: Story, fault: str) -> None:
    bad, good = story.labeled("one"), story.labeled("two")
    await story.passes(4)
    comment = story.world.pull_request(SLUG, bad).comments[0].id
    story.world.faults.on(fault, path=f"/comments/{comment}")
    for number in (bad, good):
        story.world.label(SLUG, number, "preview-sleep", "ada")
    await story.passes(6)
    assert story.world.faults.fired[fault] >= 1
    assert "### Preview asleep" in story.comment(good)
    assert story.status(bad).stage is Stage.ASLEEP
    if not (fault == "forbidden" and story.forgetful):  # only who saw others succeed knows that it is not the token
        assert nobody_is_alarmed(story)


async def test_token_without_the_permission_is_the_repositorys_trouble(story: Story) -> None:
    numbers = [story.labeled("one"), story.labeled("two")]
    story.world.faults.on("forbidden", path="/issues/")
    await story.passes(4)
    assert "Give the token the missing permission" in story.errors[-1]
    story.world.faults.off()
    await story.passes(4)
    assert all("### Preview ready" in story.comment(n) for n in numbers)


async def test_comment_that_is_too_long_concerns_its_preview_alone(story: Story) -> None:
    long, other = story.labeled("one"), story.labeled("two")
    await story.passes(4)
    found = next(i for i in story.engine.previews if i.number == long)
    preview = story.engine.previews[found]
    services = tuple(replace(preview.services[0], url=f"https://example.com/{'x' * 900}") for _ in range(90))
    story.engine.previews[found] = replace(preview, services=services)
    good = next(i for i in story.engine.previews if i.number == other)
    story.engine.previews[good] = replace(story.engine.previews[good], health=Health.FAILED, why="It broke.")
    await story.passes(4)
    assert "### Preview failed" in story.comment(other)
    assert "Body is too long" in str(story.status(long).warning)
    assert nobody_is_alarmed(story)


async def test_label_that_cannot_be_taken_off_holds_its_preview_alone(story: Story) -> None:
    expiring = story.labeled("one")
    await story.passes(3)
    story.pass_time(days=2, hours=12)
    await story.passes(4)
    other = story.labeled("two")
    story.world.faults.on("server-error", path=f"/issues/{expiring}/labels")
    story.pass_time(days=1)
    await story.passes(6)
    assert story.world.faults.fired["server-error"] >= 1
    assert story.living == {expiring, other}
    assert "### Preview ready" in story.comment(other)
    assert story.status(expiring).stage is Stage.HELD
    assert nobody_is_alarmed(story)
    story.world.faults.off()
    story.pass_time(minutes=10)
    await story.passes(8)
    assert story.living == {other}


async def test_what_is_left_of_one_preview_does_not_slow_down_the_others(story: Story) -> None:
    gone, other = story.labeled("one"), story.labeled("two")
    await story.passes(4)
    story.engine.left = ("process 4711",)
    story.world.close(SLUG, gone, "ada")
    await story.passes(6)
    assert "process 4711" in str(story.status(gone).reason)
    assert nobody_is_alarmed(story)
    wait = await story.controller().reconcile(story.platform.repositories[0])
    assert wait is not None, "it is looked at again soon"
    assert story.living == {other}


async def test_a_preview_that_cannot_be_removed_delays_no_other(story: Story) -> None:
    gone, other = story.labeled("one"), story.labeled("two")
    await story.passes(4)
    story.engine.stuck = frozenset({gone})
    story.world.close(SLUG, gone, "ada")
    await story.passes(4)
    story.world.label(SLUG, other, "preview-sleep", "ada")
    await story.passes(6)
    assert story.living == {gone, other}
    assert "### Preview asleep" in story.comment(other)
    assert ("does not go yet" in str(story.status(gone).reason)) is not story.forgetful
    assert nobody_is_alarmed(story)


# --- a pull request that GitHub no longer shows ---


async def test_pull_request_that_github_no_longer_shows_is_held_until_a_person_releases_it(story: Story) -> None:
    hidden, other = story.labeled("one"), story.labeled("two")
    await story.passes(4)
    story.world.pull_request(SLUG, hidden).hidden = True
    await story.passes(4)
    assert story.living == {hidden, other}
    shown = story.status(hidden)
    assert (shown.stage, shown.reason.code) == (Stage.HELD, "not-shown")
    assert f"`greenroom release shop#{hidden}`" in shown.reason.fix
    wait = await story.controller().reconcile(story.platform.repositories[0])
    assert wait is None, "nothing is polled for it"
    running, loop = story.controller(), SimpleNamespace(wake=lambda name: None)
    await running.facts(story.platform.repositories[0])  # a new process knows no time before its first read
    waker: Any = loop
    await Control(running, waker).release([shown.name], "grace", {shown.name: str(shown.hold)})
    for _ in range(4):
        await story.passes(3)
        story.pass_time(seconds=61)
    assert story.living == {other}
    [preview_set] = story.engine.sets.values()
    if not story.forgetful:  # a new process before each pass does not know how often it looked
        assert story.status(hidden).stage is Stage.REMOVED
        assert [w.told for w in preview_set.ledger.withdrawals] == [True]
    assert nobody_is_alarmed(story)


async def test_comment_on_a_removal_is_written_although_github_does_not_show_the_pull_request_for_a_moment(
    story: Story,
) -> None:
    number = story.labeled()
    await story.passes(4)
    story.engine.left = ("process 4711",)
    story.world.close(SLUG, number, "ada")
    await story.passes(4)
    story.engine.left = ()
    story.world.pull_request(SLUG, number).hidden = True
    await story.passes(3)
    story.pass_time(seconds=15)
    await story.passes(3)
    assert story.living == set()
    story.world.pull_request(SLUG, number).hidden = False
    story.pass_time(seconds=61)
    await story.passes(3)
    assert "### Preview removed" in story.comment(number)


async def test_hidden_pull_request_that_comes_back_keeps_its_preview_and_ends_the_release(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.pull_request(SLUG, number).hidden = True
    await story.passes(3)
    story.world.pull_request(SLUG, number).hidden = False
    await story.release(number)
    await story.passes(6)
    assert story.living == {number}
    assert story.status(number).stage is Stage.READY
    story.world.pull_request(SLUG, number).hidden = True
    await story.passes(3)
    assert story.living == {number}, "a release is of one hold, and ends with it"


async def test_404_while_the_repository_is_hidden_too_is_doubt_without_a_hold(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.pull_request(SLUG, number).hidden = True
    story.world.faults.on("not-found", path="/repos/acme/shop")  # REST hides all of it; the list was read before
    await story.passes(3)
    assert story.world.faults.fired["not-found"] >= 1
    assert (story.status(number).reason.code, story.status(number).hold) == ("unconfirmed", None)
    story.world.faults.off()
    story.world.repository(SLUG).hidden = True
    await story.passes(3)
    assert story.living == {number}
    assert story.status(number).hold is None


async def test_release_of_an_unknown_preview_says_that_it_is_unknown(story: Story) -> None:
    story.labeled()
    await story.passes(3)
    loop: Any = SimpleNamespace(wake=lambda name: None)
    control = Control(story.controller(), loop)
    with pytest.raises(Failed, match=r"^shop#77: no such preview"):
        await control.release(["shop#77"], "grace", {})
    with pytest.raises(Failed, match=r"^shop#1: not held"):
        await control.release(["shop#1"], "grace", {})


# --- the budget of content-creating requests ---


async def test_low_budget_postpones_wording_and_never_warnings_choices_or_final_comments(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process before each pass does not know what it sent; GitHub's own limit stands")
    words, closed, warned, spoken = (story.labeled(branch) for branch in ("one", "two", "three", "four"))
    await story.passes(5)
    budget = story.controller().parts.sources.github.content
    for _ in range(400):
        budget.sent()
    story.world.close(SLUG, closed, "ada")
    story.world.comment(SLUG, spoken, "/preview dance", "ada")
    new = story.labeled("new")
    await story.passes(8)
    assert "All of the preview's resources have been deleted." in story.comment(closed)
    assert "/preview dance" in story.comment(spoken)
    assert story.comments(new)
    before = story.comment(words)
    identity = next(i for i in story.engine.previews if i.number == words)
    story.engine.previews[identity] = replace(story.engine.previews[identity], health=Health.FAILED, why="It broke.")
    await story.passes(3)
    assert story.comment(words) == before, "only its words would change"
    assert story.status(words).stage is Stage.FAILED, "everywhere else it is shown at once"
    wait = await story.controller().reconcile(story.platform.repositories[0])
    assert wait is not None, "and what waits is looked at when there is room again"
    story.pass_time(days=2, hours=12)
    await story.passes(4)
    assert "### Preview expiring" in story.comment(warned)
    assert nobody_is_alarmed(story)


async def test_failed_comment_that_waits_for_the_budget_delays_no_look_for_an_image(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process before each pass does not know what it sent, nor what failed")
    failed, waiting = story.labeled("one"), story.labeled("two", image=False)
    await story.passes(4)
    story.world.lock(SLUG, failed, "grace")
    identity = next(i for i in story.engine.previews if i.number == failed)
    story.engine.previews[identity] = replace(story.engine.previews[identity], health=Health.FAILED, why="It broke.")
    await story.passes(2)
    budget = story.controller().parts.sources.github.content
    for _ in range(450):
        budget.sent()
    story.pass_time(minutes=1)  # the comment is due again, and has no room
    wait = await story.controller().reconcile(story.platform.repositories[0])
    assert story.status(waiting).reason.code == "prepared"
    assert wait is not None
    assert wait <= 60
    assert nobody_is_alarmed(story)


async def test_comment_of_a_closed_pull_request_names_what_blocks_its_removal(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.close(SLUG, number, "ada")
    await story.one_pass()
    [(identity, preview)] = story.engine.previews.items()
    why = "The namespace is still there: a finalizer is on it."
    story.engine.previews[identity] = replace(preview, health=Health.REMOVING, why=why)
    await story.passes(2)
    assert "### Preview removing" in story.comment(number)
    assert "closed by ada. The namespace is still there: a finalizer is on it." in story.comment(number)
    del story.engine.previews[identity]
    await story.passes(2)
    assert "### Preview removed" in story.comment(number)
