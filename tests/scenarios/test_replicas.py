"""GitHub answers from replicas that lag: an answer that is older than one that was read before removes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from greenroom.core.messages import day
from greenroom.core.model.catalog import Image, Process, Repository, Service
from greenroom.core.model.status import Stage
from greenroom.errors import FixConfiguration, RetryLater
from stories import SLUG, Story, sha

OTHER = "acme/web"
SECOND = timedelta(seconds=1)
RESTARTS = pytest.mark.parametrize("restarts", [False, True], ids=["same process", "restarted"])


def two_repositories(story: Story) -> None:
    """Two repositories with a labeled pull request each, both number 1."""
    story.world.repository(OTHER)
    story.world.collaborator(OTHER, "ada", "write")
    service = Service("site", "web", Image(f"{story.registry}/web/site"), (Process("web", port=8080),))
    story.configure(repositories=(*story.platform.repositories, Repository("web", OTHER, (service,))))
    story.labeled()
    made = story.world.open_pull_request(OTHER, head="feature", sha=sha("other"), by="ada")
    story.images.push("web/site", made.head_sha)
    story.world.label(OTHER, made.number, "preview", "ada")


async def both_pass(story: Story, count: int = 1) -> None:
    for _ in range(count):
        for repository in story.platform.repositories:
            await story.one_pass(repository)


async def both_pass_on_a_replica(story: Story, shows: datetime, count: int = 4) -> None:
    """Passes whose reads all show the world as it was at that time."""
    assert story.simulator is not None
    for _ in range(count):
        for repository in story.platform.repositories:
            story.simulator.lag(story.world.now() + SECOND - shows)  # a pass takes a second
            await story.one_pass(repository)
    assert story.world.faults.fired["lagging-replica"] > 0
    story.world.faults.off("lagging-replica")


def alive(story: Story) -> set[tuple[int, str]]:
    """Each preview that is served, with its uid: one that was removed and made again is another."""
    served = {i: p for i, p in story.engine.previews.items() if i.number in story.engine.sets[i.repository_id].specs}
    return {(i.repository_id, p.uid) for i, p in served.items()}


@RESTARTS
async def test_preview_closed_and_reopened_survives_a_replica_that_still_shows_it_closed(
    story: Story, restarts: bool
) -> None:
    two_repositories(story)
    await both_pass(story, 4)
    before = alive(story)
    assert len(before) == 2
    assert story.simulator is not None
    story.simulator.lag(timedelta())
    for slug in (SLUG, OTHER):
        story.world.close(slug, 1, "ada")
    closed = story.world.now()
    story.pass_time(seconds=2)
    for slug in (SLUG, OTHER):
        story.world.reopen(slug, 1, "ada")
    await both_pass(story)
    if restarts:
        story.restart()
    await both_pass_on_a_replica(story, closed + SECOND)
    assert alive(story) == before
    assert {story.board.statuses[i].reason.code for i in story.engine.previews} == {"stale"}
    await both_pass(story, 4)
    assert alive(story) == before
    assert {story.board.statuses[i].reason.code for i in story.engine.previews} == {"ready"}


@RESTARTS
async def test_preview_unlabeled_and_labeled_survives_a_replica_that_still_shows_it_unlabeled(
    story: Story, restarts: bool
) -> None:
    two_repositories(story)
    await both_pass(story, 4)
    before = alive(story)
    assert story.simulator is not None
    story.simulator.lag(timedelta())
    for slug in (SLUG, OTHER):
        story.world.unlabel(slug, 1, "preview", "ada")
    unlabeled = story.world.now()
    story.pass_time(seconds=2)
    for slug in (SLUG, OTHER):
        story.world.label(slug, 1, "preview", "ada")
    await both_pass(story)
    if restarts:
        story.restart()
    await both_pass_on_a_replica(story, unlabeled + SECOND)
    assert alive(story) == before
    await both_pass(story, 4)
    assert {story.board.statuses[i].reason.code for i in story.engine.previews} == {"ready"}


@RESTARTS
async def test_preview_reopened_in_the_second_of_its_closing_survives_a_replica(story: Story, restarts: bool) -> None:
    two_repositories(story)
    await both_pass(story, 4)
    before = alive(story)
    for slug in (SLUG, OTHER):
        story.world.close(slug, 1, "ada")
    story.world.faults.on("stale", path="nowhere yet")
    assert story.simulator is not None
    story.simulator.freeze()
    for slug in (SLUG, OTHER):
        story.world.reopen(slug, 1, "ada")
    await both_pass(story)
    if restarts:
        story.restart()
    story.world.faults.on("stale")
    await both_pass(story, 4)
    assert story.world.faults.fired["stale"] > 0
    assert alive(story) == before


async def closed_in_the_second_of_its_label(story: Story) -> int:
    """A pull request that Greenroom read with its label and that a script closed before the second was over."""
    number = story.labeled()
    await story.controller().reconcile(story.platform.repositories[0])
    assert story.living == {number}
    story.world.close(SLUG, number, "ada")
    await story.passes(4)
    return number


async def test_pull_request_closed_in_the_second_of_its_label_is_removed_after_an_hour(story: Story) -> None:
    number = await closed_in_the_second_of_its_label(story)
    shown = story.status(number)
    assert (shown.stage, shown.reason.code) == (Stage.HELD, "same-second")
    assert "The preview was requested in the same second" in story.comment(number)
    closed_at = story.world.pull_request(SLUG, number).closed_at
    assert closed_at is not None
    assert f"until {day(closed_at + timedelta(hours=1))}" in story.comment(number)
    story.pass_time(minutes=50)
    await story.passes(4)
    assert story.living == {number}
    story.pass_time(minutes=10)
    await story.passes(6)
    assert story.living == set()


async def test_pull_request_closed_in_the_second_of_its_label_is_removed_by_a_release(story: Story) -> None:
    number = await closed_in_the_second_of_its_label(story)
    assert f"`greenroom release shop#{number}`" in story.comment(number)
    await story.release(number)
    await story.passes(6)
    assert story.living == set()
    assert "### Preview removed" in story.comment(number)


@RESTARTS
async def test_pull_request_closed_for_good_is_removed_once_the_replica_has_caught_up(
    story: Story, restarts: bool
) -> None:
    two_repositories(story)
    await both_pass(story, 4)
    assert story.simulator is not None
    story.simulator.lag(timedelta())
    opened = story.world.now()
    story.pass_time(seconds=2)
    for slug in (SLUG, OTHER):
        story.world.close(slug, 1, "ada")
    await both_pass(story)
    if restarts:
        story.restart()
    await both_pass_on_a_replica(story, opened + SECOND)
    await both_pass(story, 6)
    assert alive(story) == set()


async def test_comments_of_people_do_not_write_the_specs(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    [preview_set] = story.engine.sets.values()
    for _ in range(5):
        story.pass_time(minutes=5)
        story.world.comment(SLUG, number, "Looks good.", "grace")
        await story.passes(2)
    [after] = story.engine.sets.values()
    assert after.generation == preview_set.generation


@RESTARTS
async def test_push_that_a_replica_does_not_show_yet_is_not_superseded(story: Story, restarts: bool) -> None:
    number = story.labeled()
    await story.passes(3)
    assert story.simulator is not None
    story.simulator.lag(timedelta())
    before = story.world.now()
    story.pass_time(seconds=2)
    story.images.push("shop/web", sha("second"))
    story.world.push(SLUG, number, sha("second"), "ada")
    await story.passes(3)
    heads, [identity] = story.board.heads, story.engine.previews
    assert heads.superseded_by(identity, sha("second")) == {sha("feature")}
    if restarts:
        story.restart()
    for _ in range(4):
        story.simulator.lag(story.world.now() + SECOND - before)
        await story.one_pass()
        assert sha("second") not in heads.superseded_by(identity, story.status(number).head_sha)
    assert story.world.faults.fired["lagging-replica"] > 0


async def test_answer_under_another_name_is_a_lower_bound_for_a_replica_that_has_the_old_name(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process before each pass has not read that answer")
    number = story.labeled()
    await story.passes(4)
    assert story.simulator is not None
    story.simulator.lag(timedelta())
    story.world.faults.off("lagging-replica")
    story.world.unlabel(SLUG, number, "preview", "ada")
    story.pass_time(seconds=1)
    before = story.world.now()
    story.pass_time(seconds=2)
    story.world.label(SLUG, number, "preview", "ada")
    story.pass_time(seconds=1)
    story.world.rename_repository(SLUG, "acme/renamed")
    with pytest.raises(FixConfiguration, match="is now called"):
        await story.controller().reconcile(story.platform.repositories[0])
    lives = alive(story)
    for _ in range(4):
        story.simulator.lag(story.world.now() + SECOND - before)
        await story.one_pass()
    assert story.world.faults.fired["lagging-replica"] > 0
    assert alive(story) == lives
    assert story.status(number).reason.code == "stale"


async def test_list_is_a_lower_bound_although_a_read_by_number_ended_its_pass(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process before each pass has not read that list")
    number = story.labeled()
    other = story.labeled("another")
    await story.passes(4)
    assert story.simulator is not None
    story.simulator.lag(timedelta())
    story.world.faults.off("lagging-replica")
    story.world.unlabel(SLUG, number, "preview", "ada")
    story.pass_time(seconds=1)
    before = story.world.now()
    story.pass_time(seconds=2)
    story.world.label(SLUG, number, "preview", "ada")
    story.world.close(SLUG, other, "ada")  # so that it is read by its number
    story.world.faults.on("secondary-limit", path=f"/pulls/{other}")
    with pytest.raises(RetryLater):
        await story.controller().reconcile(story.platform.repositories[0])
    story.world.faults.off()
    lives = alive(story)
    for _ in range(3):
        story.pass_time(minutes=2)
        story.simulator.lag(story.world.now() + SECOND - before)
        await story.one_pass()
    assert lives <= alive(story)


async def test_removal_is_not_completed_without_its_comment_because_a_replica_still_shows_the_label(
    story: Story,
) -> None:
    number = story.labeled()
    await story.passes(4)
    assert story.simulator is not None
    story.simulator.lag(timedelta())
    story.world.faults.off("lagging-replica")
    shown = story.world.now()
    story.pass_time(seconds=5)
    story.world.close(SLUG, number, "ada")
    story.world.faults.on("server-error", path="/issues/comments/")
    for _ in range(5):
        await story.one_pass()
    assert story.engine.removed
    story.world.faults.off("server-error")
    story.simulator.lag(story.world.now() - shown)
    for _ in range(3):
        await story.one_pass()
    story.world.faults.off()
    story.pass_time(minutes=1)
    await story.passes(4)
    assert "### Preview removed" in story.comment(number)
