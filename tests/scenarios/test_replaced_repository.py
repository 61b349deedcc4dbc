"""A repository that was deleted and created again, or whose name another one took over: nothing of it is forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from prometheus_client import generate_latest

from greenroom.controller.admin_service import Control
from greenroom.controller.reconcile import Reconciler
from greenroom.core.model.catalog import Limits, Repository
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage, Status
from greenroom.web.metrics import Metrics
from stories import SLUG, Story

LOOP: Any = SimpleNamespace(wake=lambda name: None)


async def everything(story: Story, count: int) -> list[str]:
    """Passes over all that the loop would look at; returns the names of what nobody looks at any more."""
    names: list[str] = []
    for _ in range(count):
        await story.one_pass()
        controller = await read(story)
        names = [r.name for r in await controller.left()]
        for repository in await controller.left():
            await controller.reconcile(repository)
    return names


async def read(story: Story) -> Reconciler:
    """Return a controller that knows the time and GitHub's ids, because it has run a pass."""
    controller = story.controller()
    await controller.reconcile(story.platform.repositories[0])
    return controller


async def recreated(story: Story) -> tuple[int, int]:
    """Two previews run; then the repository is deleted and created again. Returns both ids."""
    story.labeled("one")
    story.labeled("two")
    await story.passes(4)
    before = story.world.repository(SLUG).id
    story.world.delete_repository(SLUG)
    for person in ("ada", "grace"):
        story.world.collaborator(SLUG, person, "write")
    return before, story.world.repository(SLUG).id


def shown(story: Story, repository_id: int, number: int) -> Status:
    return story.board.statuses[Identity(repository_id, number)]


async def test_previews_of_a_recreated_repository_are_held_and_can_be_released(story: Story) -> None:
    old, new = await recreated(story)
    assert old != new
    first = story.labeled("first")  # number 1 again
    comments = len(story.world.pull_request(SLUG, first).comments)
    assert await everything(story, 3) == [f"shop@{old}"]
    assert set(story.engine.previews) == {Identity(old, 1), Identity(old, 2)}
    held = shown(story, old, 1)
    assert (held.name, held.stage, held.reason.code) == (f"shop@{old}#1", Stage.HELD, "replaced")
    assert f"`greenroom release shop@{old}#1`" in held.reason.fix
    blocked = shown(story, new, first)
    assert (blocked.name, blocked.stage, blocked.reason.code) == (f"shop#{first}", Stage.BLOCKED, "name-in-use")
    assert f"`greenroom release shop@{old}#1 shop@{old}#2`" in story.comment(first)
    scraped = generate_latest(Metrics(story.board, dict).registry).decode()
    assert f'greenroom_previews{{repository="shop@{old}",stage="held"}} 2.0' in scraped
    planned = [line for line in await Control(await read(story), LOOP).plan() if line["code"] == "replaced"]
    assert [line["preview"] for line in planned] == [f"shop@{old}#1", f"shop@{old}#2"]

    control = Control(await read(story), LOOP)
    await control.release([held.name], "grace", {held.name: str(held.hold)})
    await everything(story, 4)
    assert set(story.engine.previews) == {Identity(old, 2)}
    assert f"`greenroom release shop@{old}#2`" in story.comment(first)
    last = shown(story, old, 2)
    await Control(await read(story), LOOP).release([last.name], "grace", {last.name: str(last.hold)})
    assert await everything(story, 6) == []
    assert set(story.engine.previews) == {Identity(new, first)}
    assert "### Preview ready" in story.comment(first)
    assert len(story.world.pull_request(SLUG, first).comments) == comments + 1
    assert story.errors == []


async def test_removal_in_an_earlier_repository_writes_no_comment_in_the_new_one(story: Story) -> None:
    old, _ = await recreated(story)
    first = story.pull_request("first")
    await everything(story, 2)
    held = shown(story, old, 1)
    assert held.number == first
    await Control(await read(story), LOOP).release([held.name], "grace", {held.name: str(held.hold)})
    await everything(story, 6)
    assert Identity(old, 1) not in story.engine.previews
    assert story.world.pull_request(SLUG, first).comments == []
    left = story.engine.sets.get(old)
    assert left is None or all(w.told for w in left.ledger.withdrawals), "nothing is left to tell, so it is complete"


async def test_previews_of_an_earlier_repository_are_listed(story: Story) -> None:
    story.configure(limits=Limits(2, 2, 2))
    old, _ = await recreated(story)
    await everything(story, 2)
    taken = [s.name for s in story.board.statuses.values() if s.created]
    assert taken == [f"shop@{old}#1", f"shop@{old}#2"]


async def test_a_name_given_to_another_repository_is_treated_the_same(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    old = story.world.repository(SLUG).id
    story.world.repository("acme/other")
    other = replace(story.platform.repositories[0], slug="acme/other")
    story.configure(repositories=(other,))
    assert await everything(story, 3) == [f"shop@{old}"]
    assert shown(story, old, number).reason.code == "not-in-catalog"
    assert story.living == {number}


async def test_removal_stays_open_until_the_renamed_repository_was_read_and_has_its_last_comment(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    story.world.close(SLUG, number, "ada")
    story.world.faults.on("server-error", path="/issues/comments/")
    for _ in range(5):
        await story.one_pass()
    assert story.engine.removed
    assert "### Preview ready" in story.comment(number), "without this there is nothing to tell"
    story.world.rename_repository(SLUG, "acme/renamed")
    renamed = replace(story.platform.repositories[0], slug="acme/renamed", name="shop-too")
    story.world.repository("acme/web")
    story.configure(repositories=(renamed, Repository("web", "acme/web", ())))
    story.restart()
    controller = story.controller()
    await controller.reconcile(story.platform.repositories[1])
    story.pass_time(minutes=1)
    for repository in await controller.left():  # as the loop does, before it has read the new name
        await controller.reconcile(repository)
    story.world.faults.off()
    for _ in range(6):
        story.pass_time(minutes=1)
        await everything(story, 1)
    [told] = [c.body for c in story.world.pull_request("acme/renamed", number).comments]
    assert "### Preview removed" in told


async def test_removal_of_a_repository_that_left_is_completed_although_another_one_is_never_readable(
    story: Story,
) -> None:
    story.labeled()
    await story.passes(4)
    story.world.repository("acme/web")
    others = (Repository("web", "acme/web", ()), Repository("typo", "acme/typo", ()))
    story.configure(repositories=others)
    controller = story.controller()
    await controller.reconcile(others[0])
    [left] = await controller.left()
    await controller.reconcile(left)
    [held] = [s for s in story.board.statuses.values() if s.hold]
    await Control(controller, LOOP).release([held.name], "grace", {held.name: str(held.hold)})
    for _ in range(80):
        story.pass_time(minutes=1)
        await controller.reconcile(others[0])
        for repository in await controller.left():
            await controller.reconcile(repository)
    assert await controller.left() == ()


async def test_repository_whose_id_was_not_read_yet_is_not_taken_for_another_one(story: Story) -> None:
    story.labeled()
    await story.passes(3)
    story.restart()
    assert await story.controller().left() == ()
    story.configure(repositories=(*story.platform.repositories, Repository("web", "acme/web", ())))
    assert await everything(story, 2) == []


async def test_configuration_that_changes_during_a_pass_does_not_complete_a_removal_without_its_comment(
    story: Story,
) -> None:
    number = story.labeled()
    await story.passes(4)
    story.world.close(SLUG, number, "ada")
    story.world.faults.on("server-error", path="/issues/comments/")
    for _ in range(5):
        await story.one_pass()
    assert story.engine.removed
    controller, old = await read(story), story.platform.repositories[0]
    story.world.faults.off()
    story.pass_time(minutes=30)  # the failed comment is due again
    running = asyncio.create_task(controller.reconcile(old))
    await asyncio.sleep(0)  # the pass begins
    renamed = replace(old, name="shop-too")
    controller.reconfigure(replace(story.platform, repositories=(renamed,)))
    await running
    story.configure(repositories=(renamed,))
    for _ in range(4):
        story.pass_time(minutes=1)
        await story.one_pass(renamed)
    assert "### Preview removed" in story.comment(number)
