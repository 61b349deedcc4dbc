"""What goes wrong at GitHub, in the registry, in the configuration: nothing is removed, and somebody is told why."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from greenroom.controller.admin_service import Control
from greenroom.controller.comment_rate_limit import AT_ONCE
from greenroom.core.model.engine import Health, Recovery
from greenroom.core.model.status import Stage
from greenroom.errors import Failed
from stories import BOT, SLUG, Story, sha

FAULTS = {
    "server-error": "GitHub returned 500 for POST /api/graphql.",
    "secondary-limit": "GitHub's rate limit delays",
    "unauthorized": "GitHub rejected the token (401)",
    "html": "text/html instead of JSON",
    "truncated": "is 1, but its list contains 0",
    "graphql-errors": "is incomplete (Something went wrong",
}


@pytest.mark.parametrize(("fault", "words"), FAULTS.items(), ids=FAULTS)
async def test_incomplete_read_changes_nothing(story: Story, fault: str, words: str) -> None:
    number, other = story.labeled("one"), story.labeled("two")
    await story.passes(3)
    before = story.comment(number)
    story.world.faults.on(fault, path="graphql")
    story.world.close(SLUG, other, "ada")
    await story.passes(3)
    assert story.world.faults.fired[fault] >= 1
    assert words in story.errors[-1]
    assert "t0ken" not in " ".join(story.errors)
    assert story.living == {number, other}
    assert story.comment(number) == before
    story.world.faults.off()
    await story.passes()
    assert story.living == {number}


async def test_the_label_came_back_as_the_101st_event_and_is_then_deleted_at_github(story: Story) -> None:
    number = story.pull_request()
    for _ in range(49):
        story.world.label(SLUG, number, "bug", "ada")
        story.world.unlabel(SLUG, number, "bug", "ada")
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(4)
    story.world.unlabel(SLUG, number, "preview", "ada")  # the hundredth: its page is full and the last one
    await story.one_pass()
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(3)
    assert story.living == {number}
    story.world.delete_label(SLUG, "preview")
    await story.passes(6)
    assert story.living == {number}
    assert story.status(number).reason.code == "label-deleted"


async def test_while_the_engine_cannot_act_the_comments_say_so_and_nothing_moves(story: Story) -> None:
    ready, pushed, closed = (story.labeled(name) for name in ("one", "two", "three"))
    await story.passes(4)
    said = story.comment(ready)
    story.engine.unable = (
        "Greenroom cannot start, change or remove previews right now. Argo CD did not request the specs."
    )
    new, plain, waits = story.labeled("four"), story.pull_request("five"), story.labeled("six", image=False)
    story.world.push(SLUG, pushed, sha("again"), "ada")
    story.images.push("shop/web", sha("again"))
    story.world.close(SLUG, closed, "ada")
    await story.passes(4)
    assert story.living == {ready, pushed, closed}
    assert story.comment(ready) == said
    assert "### Preview waiting" in story.comment(new)
    assert "now. Argo CD did not request the specs. The platform team needs to fix the cause." in story.comment(new)
    assert "now. Argo CD did not request the specs. The platform team needs to fix the cause." in story.comment(waits)
    assert "### Preview held" in story.comment(pushed)
    assert "cannot start, change or remove" in story.comment(pushed)
    assert story.status(closed).reason.code == "cannot-act"
    assert story.comments(plain) == []
    assert story.board.trouble("shop") == story.engine.unable
    story.engine.unable = ""
    await story.passes(6)
    assert story.living == {ready, pushed, new, waits}
    assert story.board.trouble("shop") == ""
    assert "Greenroom deploys the commit once CI pushes the image" in story.comment(waits)
    assert "### Preview ready" in story.comment(new)
    assert "### Preview removed" in story.comment(closed)


UNABLE = "Greenroom cannot start, change or remove previews right now. Argo CD did not request the specs."


@pytest.mark.parametrize("closes", [True, False])
async def test_a_removed_preview_that_is_still_verified_does_not_wait_to_start(story: Story, closes: bool) -> None:
    number = story.labeled()
    await story.passes(4)
    story.engine.left = ("namespace preview-shop-1",)
    if closes:
        story.world.close(SLUG, number, "ada")
    else:
        story.world.unlabel(SLUG, number, "preview", "ada")
    await story.passes(5)
    story.engine.unable = UNABLE
    await story.passes(4)
    assert story.status(number).stage is Stage.REMOVING
    assert "### Preview waiting" not in story.comment(number)


async def test_a_preview_that_waits_for_a_person_keeps_its_hold_while_the_engine_cannot_act(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    story.configure(label="review")
    await story.passes(4)
    before = (story.comment(number), story.status(number).hold)
    story.engine.unable = UNABLE
    await story.passes(4)
    assert (story.comment(number), story.status(number).hold) == before
    assert f"`greenroom release shop#{number}`" in story.comment(number)


async def test_a_spec_without_its_preview_is_not_blamed_on_argo_cd_while_greenroom_refuses_it(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    story.engine.previews.clear()
    story.engine.unable = UNABLE
    await story.passes(3)
    assert story.status(number).reason.code == "cannot-act"


async def test_an_empty_list_is_not_believed(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.faults.on("empty-list")
    await story.passes(3)
    assert story.living == {number}
    assert story.status(number).reason.code == "list-disagrees"
    assert story.world.faults.fired["empty-list"] >= 3


async def test_a_404_by_number_is_doubt(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.repository(SLUG).hidden = True
    await story.passes(3)
    assert story.living == {number}
    assert "does not show the repository acme/shop" in story.errors[-1]


async def test_a_renamed_repository_says_its_new_name(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.rename_repository(SLUG, "acme/store")
    await story.passes(2)
    assert "acme/shop is now called acme/store" in story.errors[-1]
    assert story.living == {number}


async def test_an_archived_repository_is_called_that_and_keeps_its_previews(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.repository(SLUG).archived = True
    story.pass_time(days=30)
    await story.passes(3)
    assert "acme/shop is archived on GitHub and read-only" in story.errors[-1]
    assert "token" not in story.errors[-1]
    assert story.living == {number}
    story.world.repository(SLUG).archived = False
    await story.passes(3)
    assert "### Preview expiring" in story.comment(number)


async def test_a_label_renamed_or_deleted_at_github_holds(story: Story) -> None:
    numbers = {story.labeled("one"), story.labeled("two")}
    await story.passes(3)
    story.world.rename_label(SLUG, "preview", "demo")
    await story.passes(3)
    assert story.living == numbers
    assert {story.status(n).reason.code for n in numbers} == {"label-gone"}
    story.world.delete_label(SLUG, "demo")
    await story.passes(3)
    assert story.living == numbers


async def test_changed_label_in_the_configuration_is_held_until_a_release(story: Story) -> None:
    number, other = story.labeled("one"), story.labeled("two")
    await story.passes(3)
    story.configure(label="review-app")
    await story.passes(3)
    assert story.living == {number, other}
    assert "### Preview held" in story.comment(number)
    await story.release(number)
    await story.passes()
    assert story.living == {other}


async def test_six_unlabeled_within_a_minute(story: Story) -> None:
    numbers = [story.labeled(f"idea-{n}") for n in range(6)]
    await story.passes(4)
    for number in numbers:
        story.world.unlabel(SLUG, number, "preview", "ada")
    await story.passes(10)
    waiting = sorted(story.living)
    assert len(waiting) == 3
    assert all(story.status(n).stage is Stage.HELD for n in waiting)
    assert f"greenroom release shop#{waiting[0]}" in story.comment(waiting[0])
    await story.release(waiting[0])
    await story.passes()
    assert sorted(story.living) == waiting[1:]


async def test_release_applies_only_to_the_hold_that_was_read(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    story.configure(domain="other.example.com")
    await story.passes(3)
    shown = story.status(number)
    assert shown.reason.code == "config-names"
    assert "move from `web-pr-1.preview.example.com` to `web-pr-1.other.example.com`" in shown.reason.text
    assert "The data would be kept." in shown.reason.text
    story.configure(domain="preview.example.com")
    story.world.rename_label(SLUG, "preview", "demo")
    await story.passes(3)
    assert story.status(number).reason.code == "label-gone"
    woken: list[str] = []
    loop: Any = SimpleNamespace(wake=woken.append)
    running = story.controller()
    await running.facts(story.platform.repositories[0])  # a new process knows no time before its first read
    control = Control(running, loop)
    for seen in ({shown.name: str(shown.hold)}, {}):
        with pytest.raises(Failed, match="shop#1: the reason for the hold has changed, so nothing was released"):
            await control.release([shown.name], "grace", seen)
    await story.passes(4)
    assert story.living == {number}
    now = story.status(number)
    await control.release([shown.name], "grace", {shown.name: str(now.hold)})
    assert woken == ["shop"]
    await story.passes(6)
    assert story.living == set()


async def test_one_wrong_date_from_github_does_not_reset_the_breaker(story: Story) -> None:
    numbers = [story.labeled(f"idea-{n}") for n in range(9)]
    await story.passes(4)
    for number in numbers[:3]:
        story.world.unlabel(SLUG, number, "preview", "ada")
    await story.passes(6)
    assert story.living == set(numbers[3:])
    story.images.push("shop/web", sha("later"))
    story.world.push(SLUG, numbers[8], sha("later"), "ada")  # specs and ledger are written in that pass
    story.world.faults.on("wrong-date", times=1 if story.forgetful else None)
    await story.one_pass()
    story.world.faults.off()
    await story.passes(3)
    assert story.world.faults.fired["wrong-date"] >= 1
    for number in numbers[3:8]:
        story.world.unlabel(SLUG, number, "preview", "ada")
    await story.passes(6)
    assert story.living == set(numbers[3:])
    assert all(story.status(n).stage is Stage.HELD for n in numbers[3:8])


async def test_the_label_taken_off_by_another_bot_holds(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.unlabel(SLUG, number, "preview", "stale[bot]")
    await story.passes(3)
    assert story.living == {number}
    assert story.status(number).reason.code == "label-taken-by-bot"


async def test_a_comment_whose_answer_was_lost_is_not_made_twice(story: Story) -> None:
    number = story.labeled()
    story.world.faults.on("dropped-write", times=1, path="/comments")
    await story.passes(4)
    assert story.world.faults.fired["dropped-write"] == 1
    assert len(story.comments(number)) == 1


async def test_a_comment_that_a_person_edited_is_restored(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    comment = next(c for c in story.world.pull_request(SLUG, number).comments)
    story.world.edit_comment(SLUG, comment.id, "ha", "eve")
    await story.passes(4)
    assert "### Preview ready" in story.comment(number)


async def test_another_installations_comment_is_never_ours(story: Story) -> None:
    number = story.pull_request()
    theirs = (
        f"<!-- greenroom:1 other {story.world.repository(SLUG).id} {number} e30= key {'0' * 64} -->\n### Preview ready"
    )
    comment = story.world.comment(SLUG, number, theirs, BOT)
    story.world.edit_comment(SLUG, comment.id, f"{theirs}\nhi", "grace")
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(4)
    first, ours = story.comments(number)
    assert first == f"{theirs}\nhi"
    assert ours.startswith(f"<!-- greenroom:1 test {story.world.repository(SLUG).id} {number} ")
    assert "### Preview ready" in ours


async def test_a_stale_list_is_read_again(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.faults.on("stale")
    assert story.simulator is not None
    story.simulator.freeze()
    story.world.unlabel(SLUG, number, "preview", "ada")
    story.world.label(SLUG, number, "preview", "ada")
    story.world.push(SLUG, number, sha("later"), "ada")
    await story.passes(2)
    assert story.world.faults.fired["stale"] >= 2
    assert story.living == {number}
    assert len(story.comments(number)) == 1
    story.world.faults.off()
    await story.passes(3)
    assert story.status(number).reason.code == "image-missing"


async def test_registry_outage_starts_and_stops_nothing(story: Story) -> None:
    running, new = story.labeled("one"), story.pull_request("two")
    await story.passes(3)
    story.images.away = True
    story.world.label(SLUG, new, "preview", "ada")
    await story.passes(3)
    assert story.living == {running}
    assert story.status(new).reason.code == "registry-unknown"
    story.images.away = False
    await story.passes(3)
    assert story.living == {running, new}


async def test_a_tag_that_moves_is_reported(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    [before] = story.engine.previews.values()
    story.images.push("shop/web", sha("feature"), label="rebuilt")
    await story.passes(3)
    [after] = story.engine.previews.values()
    assert after.spec == before.spec
    assert "a different image than the one that this preview uses" in story.comment(number)


async def test_remaining_resources_are_not_reported_as_deleted(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.engine.left = ("process 4711",)
    story.world.close(SLUG, number, "ada")
    await story.passes()
    assert "process 4711" in str(story.status(number).reason)
    assert "### Preview removed" not in story.comment(number)
    story.engine.left = ()
    await story.passes(3)
    assert "All of the preview's resources have been deleted." in story.comment(number)


async def test_an_engine_that_cannot_say_what_it_holds_stops_the_pass(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.engine.broken = "The state folder cannot be read."
    story.world.close(SLUG, number, "ada")
    assert await story.one_pass() == "The state folder cannot be read."
    assert story.living == {number}


async def test_spec_that_is_too_large_waits_alone(story: Story) -> None:
    one, two = story.labeled("one"), story.labeled("two")
    await story.passes(4)
    large = story.labeled("large")
    story.engine.too_large = {large}
    other = story.labeled("other")
    story.world.close(SLUG, one, "ada")
    await story.passes(8)
    assert story.living == {two, other}
    assert story.status(large).stage is Stage.QUEUED
    assert "are too large for Argo CD to store, so the preview waits" in story.comment(large)
    story.engine.too_large = set()
    await story.passes(4)
    assert story.living == {two, other, large}
    assert "### Preview ready" in story.comment(large)


async def test_preview_that_became_too_large_keeps_what_it_runs_and_can_be_removed(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    story.engine.too_large = {number}
    story.world.push(SLUG, number, sha("later"), "ada")
    story.images.push("shop/web", sha("later"))
    await story.passes(4)
    assert story.status(number).reason.code == "too-large"
    assert story.living == {number}
    story.world.close(SLUG, number, "ada")
    await story.passes(8)
    assert story.living == set()


async def test_preview_that_the_cluster_refuses_to_store_waits_alone(story: Story) -> None:
    one, two, three = story.labeled("one"), story.labeled("two"), story.labeled("three")
    await story.passes(4)
    new = story.labeled("new")
    story.engine.refused = {one, three, new}
    other = story.labeled("other")
    story.world.close(SLUG, one, "ada")
    story.world.close(SLUG, two, "ada")
    story.world.push(SLUG, three, sha("later"), "ada")
    story.images.push("shop/web", sha("later"))
    await story.passes(8)
    assert story.living == {one, three, other}
    assert story.status(new).stage is Stage.QUEUED
    assert story.status(three).reason.code == "not-stored"
    assert "The cluster rejected this preview's Preview object" in story.comment(new)
    story.engine.refused = set()
    await story.passes(8)
    assert story.living == {three, other, new}


async def test_lost_records_hold_what_only_the_breaker_limits_for_an_hour(story: Story) -> None:
    numbers = [story.labeled(f"idea-{n}") for n in range(3)]
    await story.passes(4)
    repository_id = story.world.repository(SLUG).id
    found = story.engine.sets[repository_id]
    story.engine.sets[repository_id] = replace(found, recovery=Recovery())
    unlabeled, closed, released = numbers
    story.world.unlabel(SLUG, unlabeled, "preview", "ada")
    story.world.unlabel(SLUG, released, "preview", "ada")
    story.world.close(SLUG, closed, "ada")
    await story.passes(8)
    assert story.living == {unlabeled, released}
    assert story.status(unlabeled).reason.code == "records-lost"
    assert "were deleted or restored from a backup" in story.comment(unlabeled)
    dated = story.engine.sets[repository_id].recovery
    assert dated is not None
    assert dated.at is not None
    assert abs(dated.at - story.world.now()) < timedelta(minutes=5)
    await story.release(released)
    await story.passes(8)
    assert story.living == {unlabeled}
    story.world.advance(timedelta(hours=1, minutes=1))
    await story.passes(8)
    assert story.living == set()
    assert story.engine.sets[repository_id].recovery is None


async def test_a_repository_of_which_the_engine_cannot_read_something_stands_still(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    before = story.comment(number)
    repository_id = story.world.repository(SLUG).id
    story.engine.doubts[repository_id] = "The ApplicationSet preview-shop cannot be read."
    story.engine.sets.pop(repository_id)  # what is not known must not be taken for nothing
    new = story.labeled("new")
    story.world.close(SLUG, number, "ada")
    await story.passes(4)
    assert story.errors[-1] == "The ApplicationSet preview-shop cannot be read."
    assert story.living == {number}
    assert story.comment(number) == before
    assert story.comments(new) == []


async def test_without_the_place_of_the_one_writer_nothing_is_reported_any_more(story: Story) -> None:
    numbers = [story.labeled(f"idea-{n}") for n in range(3)]
    await story.passes(4)
    for number in numbers:
        story.world.label(SLUG, number, "preview-sleep", "ada")
    story.engine.leads_for = 1
    await story.passes(4)
    assert ["asleep" in story.comment(n) for n in numbers].count(True) == 1
    assert story.errors[-1] == "This instance does not hold the Lease."
    story.engine.leads_for = None
    await story.passes(4)
    assert all("### Preview asleep" in story.comment(n) for n in numbers)


async def test_a_history_that_cannot_be_written_changes_nothing(story: Story) -> None:
    story.history_broken = True
    number = story.labeled()
    await story.passes(3)
    assert "### Preview ready" in story.comment(number)
    assert story.errors == []


async def test_events_that_the_history_could_not_take_are_recorded_later(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process and an empty history before each pass")
    story.prepares_nothing()
    number = story.labeled(image=False)
    story.controller()
    path = story.empty.with_name("history-0.sqlite3")
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE events RENAME TO away")
    await story.passes(2)
    assert "### Preview waiting" in story.comment(number)
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE away RENAME TO events")
    database.close()
    await story.passes(1)
    assert [event.kind for event in await story.controller().parts.history.events()] == ["waiting"]


async def test_a_list_that_lacks_our_new_comment_makes_no_second_one(story: Story) -> None:
    number = story.labeled()
    story.world.faults.on("stale", path="graphql")
    assert story.simulator is not None
    story.simulator.freeze()
    await story.passes(4)
    assert story.world.faults.fired["stale"] >= 2
    assert len(story.comments(number)) == 1


async def test_flapping_state_does_not_edit_the_comment_each_time(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process before each pass does not know how often it wrote; the one process must")
    number = story.labeled()
    await story.passes(3)
    counts = story.controller().parts.sources.github.counts
    before = counts["PATCH rest"]
    [identity] = story.engine.previews
    for health in (Health.FAILED, Health.READY) * 20:
        story.engine.previews[identity] = replace(story.engine.previews[identity], health=health, why="It broke.")
        await story.one_pass()
    assert 20 <= counts["PATCH rest"] - before <= AT_ONCE
    assert story.comments(number)
