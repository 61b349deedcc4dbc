"""Lists and reads by number come from different replicas: what is older than the other says nothing."""

from __future__ import annotations

from datetime import timedelta

from greenroom.core.model.spec import Identity
from stories import SLUG, Story

SECOND = timedelta(seconds=1)


def lists_show(story: Story, behind: timedelta) -> None:
    """Lists show the world as it was then; reads by number are of now."""
    assert story.simulator is not None
    story.simulator.lag(behind)
    story.world.faults.active["lagging-replica"].path = "/graphql"


async def test_preview_is_not_woken_by_a_list_that_lags_behind_the_read_by_number(story: Story) -> None:
    assert story.simulator is not None
    number = story.pull_request()
    story.simulator.lag(timedelta())
    story.world.faults.off("lagging-replica")
    story.pass_time(seconds=5)
    story.world.label(SLUG, number, "preview", "ada")
    story.world.label(SLUG, number, "preview-sleep", "ada")
    labeled = story.world.now()
    await story.passes(4)
    identity = Identity(story.world.repository(SLUG).id, number)
    before = story.engine.sets[identity.repository_id].specs[number]
    assert before.asleep
    for _ in range(3):
        lists_show(story, story.world.now() - labeled + 4 * SECOND)
        await story.one_pass()
        assert story.engine.sets[identity.repository_id].specs[number] == before
    assert story.world.faults.fired["lagging-replica"] > 0
    assert story.status(number).reason.code == "stale"


async def test_pull_request_of_a_repository_that_took_the_name_over_says_nothing_of_the_old_one(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    old = story.world.repository(SLUG).id
    assert story.simulator is not None
    story.simulator.lag(timedelta())
    story.world.faults.off("lagging-replica")
    story.world.unlabel(SLUG, number, "preview", "helper[bot]")  # held, and read by its number in every pass
    story.pass_time(seconds=5)
    shown = story.world.now()
    story.pass_time(seconds=5)
    story.world.delete_repository(SLUG)
    assert story.pull_request("other") == number
    story.world.close(SLUG, number, "ada")
    lists_show(story, story.world.now() - shown)
    facts = await story.controller().facts(story.platform.repositories[0])
    assert facts.listing.repository_id == old
    assert facts.confirmed == {number: f"{SLUG} is now a different repository. Greenroom will read it again."}
    assert facts.watermarks[number].updated_at <= shown
    assert story.living == {number}
