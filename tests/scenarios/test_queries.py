"""Queries read and decide as a pass does, but leave no trace in what the loop remembers."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta

from greenroom.controller.admin_service import Control
from greenroom.controller.loop import Loop
from greenroom.controller.reconcile import Reconciler
from greenroom.core.model.spec import Identity, LinkOverride
from stories import SLUG, Story


def memory(controller: Reconciler) -> list[tuple[str, str]]:
    """Return what the loop remembers between passes, with what its sources and its board remember."""
    parts = controller.parts
    known = (controller, parts.sources.freshness, parts.sources.readback, parts.board)
    return [
        (f.name, repr(getattr(k, f.name))) for k in known for f in fields(k) if f.name not in ("parts", "monotonic")
    ]


async def test_a_dry_run_changes_nothing_that_the_loop_remembers(story: Story) -> None:
    kept, closed, unlabeled = (story.labeled(branch) for branch in ("one", "two", "three"))
    await story.passes(3)
    story.pass_time(hours=2)  # what the loop remembers of reads is old enough to forget
    controller, [repository] = story.controller(), story.platform.repositories
    here = story.world.repository(SLUG).id
    for number in (kept, closed, unlabeled):
        controller.choices.add(Identity(here, number), LinkOverride("payments", "staging", "ada", 0))
    controller.parts.sources.freshness.hinted(Identity(here, kept), story.world.now() + timedelta(days=1))
    story.world.close(SLUG, closed, "ada")
    story.world.unlabel(SLUG, unlabeled, "preview", "ada")
    story.world.comment(SLUG, kept, "Looks good.", "ada")
    before = memory(controller)
    await controller.dry_run(repository)
    assert memory(controller) == before


async def test_engine_is_observed_once_for_the_reads_of_a_pass_and_once_under_the_lock(story: Story) -> None:
    story.labeled("one")
    await story.passes(3)
    controller, before = story.controller(), story.engine.observed
    await controller.reconcile(story.platform.repositories[0])
    assert story.engine.observed == before + 2


async def test_plan_of_the_admin_port_changes_nothing_that_the_loop_remembers(story: Story) -> None:
    story.labeled("one")
    await story.passes(3)
    controller = story.controller()
    waiting = story.labeled("two")

    async def one_pass(name: str) -> float | None:
        return None

    control = Control(controller, Loop(one_pass, lambda name, sentence: None, resync=60.0))
    before = memory(controller)
    lines = await control.plan()
    assert ("shop#" + str(waiting), "started") in {(line["preview"], line["action"]) for line in lines}
    assert memory(controller) == before
