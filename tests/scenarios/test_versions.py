"""Which commit each service runs: renamed and many files, merge commits while the base branch moves, tags that move."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from greenroom.controller.admin_service import Control
from greenroom.core import messages
from greenroom.core.model.catalog import Image, ImageFrom, Process, Service
from greenroom.core.model.engine import Health
from greenroom.core.model.status import Stage
from stories import SLUG, Story, sha

MAIN = "0" * 40


def monorepo(story: Story) -> None:
    """Two services with paths; CI builds only what a push touches, and the images of main are there."""
    services = tuple(
        Service(name, "shop", Image(f"{story.registry}/shop/{name}"), (Process("web", port=8080),), paths=(name,))
        for name in ("back", "front")
    )
    story.configure(repositories=(replace(story.platform.repositories[0], services=services),))
    for service in services:
        story.images.push(f"shop/{service.name}", MAIN)


def runs(story: Story) -> dict[str, str]:
    """The commit that each service of the one preview runs."""
    [preview] = story.engine.previews.values()
    return {v.service: v.sha for v in preview.spec.build.versions}


def merging(story: Story) -> None:
    """CI builds GitHub's merge commit."""
    [service] = story.platform.repositories[0].services
    service = replace(service, image=replace(service.image, built_from=ImageFrom.MERGE))
    story.configure(repositories=(replace(story.platform.repositories[0], services=(service,)),))


def build_merge_commit(story: Story, number: int) -> str:
    merge = story.world.pull_request(SLUG, number).merge_sha
    story.images.push("shop/web", merge)
    return merge


async def test_renamed_file_touches_the_service_that_lost_it(story: Story) -> None:
    monorepo(story)
    number = story.pull_request(image=False)
    pull_request = story.world.pull_request(SLUG, number)
    pull_request.changed, pull_request.renamed = ["shared/x.py"], {"shared/x.py": "back/x.py"}
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(3)
    assert story.status(number).reason.code == "prepared"
    assert f"shop/back:{sha('feature')[:7]}" in story.comment(number)
    story.images.push("shop/back", sha("feature"))
    await story.passes(3)
    assert runs(story) == {"back": sha("feature"), "front": MAIN}
    assert "### Preview ready" in story.comment(number)


@pytest.mark.parametrize("files", [101, 3000])
async def test_files_behind_the_first_hundred_decide_which_services_are_touched(story: Story, files: int) -> None:
    monorepo(story)
    number = story.pull_request(image=False)
    story.images.push("shop/back", sha("feature"))
    story.world.pull_request(SLUG, number).changed = [*(f"docs/{n}.md" for n in range(files - 1)), "back/last.py"]
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(4)
    assert runs(story) == {"back": sha("feature"), "front": MAIN}
    assert story.status(number).reason.code == "ready"


async def test_more_files_than_github_lists_touch_every_service_and_the_comment_says_so(story: Story) -> None:
    monorepo(story)
    number = story.pull_request(image=False)
    story.images.push("shop/back", sha("feature"))
    story.world.pull_request(SLUG, number).changed = [f"docs/{n}.md" for n in range(3001)]
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(3)
    assert "does not list all 3,001 files" in story.comment(number)
    assert "shop/front:" in story.comment(number)
    story.images.push("shop/front", sha("feature"))
    await story.passes(3)
    assert runs(story) == {"back": sha("feature"), "front": sha("feature")}
    assert "### Preview ready" in story.comment(number)
    assert "Greenroom treats every service as changed" in story.comment(number)


async def test_changed_files_are_read_once_for_each_head(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process before each pass has nothing in its cache")
    monorepo(story)
    number = story.pull_request()
    story.world.pull_request(SLUG, number).changed = [f"docs/{n}.md" for n in range(250)]
    assert story.simulator is not None
    reads = story.simulator.requests
    path = "GET /repos/{owner}/{repo}/pulls/{number:int}/files"
    await story.passes(2)
    assert reads[path] == 0, "nobody asked for a preview"
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(4)
    assert reads[path] == 3
    story.world.push(SLUG, number, sha("second"), "ada")
    await story.passes(3)
    assert reads[path] == 6


async def test_files_that_cannot_be_read_change_nothing(story: Story) -> None:
    monorepo(story)
    number = story.labeled(image=False)
    await story.passes(4)
    assert runs(story) == {"back": MAIN, "front": MAIN}
    story.world.pull_request(SLUG, number).changed = [f"docs/{n}.md" for n in range(101)]
    story.world.push(SLUG, number, sha("second"), "ada")
    story.world.faults.on("server-error", path="/files")
    await story.passes(3)
    assert story.world.faults.fired["server-error"] >= 3
    assert story.status(number).reason.code == "stale"
    assert runs(story) == {"back": MAIN, "front": MAIN}
    story.world.faults.off()
    await story.passes(3)
    assert story.status(number).stage is Stage.READY
    assert next(iter(story.engine.previews.values())).spec.build.head_sha == sha("second")


async def test_new_merge_commit_of_the_same_head_keeps_the_running_version(story: Story) -> None:
    merging(story)
    number = story.labeled(image=False)
    merge = build_merge_commit(story, number)
    await story.passes(3)
    story.world.move_base(SLUG, sha("main moved"))
    assert story.world.pull_request(SLUG, number).merge_sha != merge
    await story.passes(3)
    assert runs(story) == {"web": merge}
    assert "### Preview ready" in story.comment(number)
    story.world.push(SLUG, number, sha("second"), "ada")
    second = build_merge_commit(story, number)
    await story.passes(3)
    assert runs(story) == {"web": second}


async def test_merge_commit_that_is_being_computed_is_not_a_conflict(story: Story) -> None:
    merging(story)
    number = story.labeled(image=False)
    pull_request = story.world.pull_request(SLUG, number)
    pull_request.mergeable = "UNKNOWN"
    await story.passes(3)
    assert "needs a merge commit, which GitHub is still computing" in story.comment(number)
    pull_request.mergeable = "CONFLICTING"
    await story.passes(3)
    assert "conflicts with its base branch" in story.comment(number)
    pull_request.mergeable = "MERGEABLE"
    merge = build_merge_commit(story, number)
    await story.passes(3)
    pull_request.mergeable = "UNKNOWN"  # as after each move of the base branch
    await story.passes(3)
    assert runs(story) == {"web": merge}
    assert "### Preview ready" in story.comment(number)


async def test_comment_says_how_to_get_the_image_after_main_moved(story: Story) -> None:
    merging(story)
    number = story.pull_request(image=False)
    build_merge_commit(story, number)
    story.world.move_base(SLUG, sha("main moved"))
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(3)
    assert (
        "CI built an outdated merge commit. In that case, update the pull request's branch or push a commit."
        in story.comment(number)
    )


async def test_retargeted_pull_request_keeps_its_versions(story: Story) -> None:
    monorepo(story)
    number = story.pull_request(image=False)
    story.world.pull_request(SLUG, number).changed = ["front/page.py"]
    story.images.push("shop/front", sha("feature"))
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(3)
    before = runs(story)
    assert before == {"back": MAIN, "front": sha("feature")}
    story.world.retarget(SLUG, number, "develop", "ada")  # against it the pull request changes both services
    story.world.pull_request(SLUG, number).changed = ["front/page.py", "back/api.py"]
    await story.passes(3)
    assert runs(story) == before
    assert "### Preview ready" in story.comment(number)


async def test_image_that_is_pushed_again_while_the_preview_is_failed_is_reported_and_taken_on_request(
    story: Story,
) -> None:
    number = story.labeled()
    await story.passes(3)
    [identity] = story.engine.previews
    broken = story.engine.previews[identity]
    story.engine.previews[identity] = replace(broken, health=Health.FAILED, why="It crashed.")
    story.images.push("shop/web", sha("feature"), label="rebuilt")
    await story.passes(3)
    text = story.comment(number)
    assert "### Preview failed" in text
    assert "It crashed." in text
    assert "a different image than the one that this preview uses" in text
    assert f"`greenroom redeploy shop#{number}`" in text
    loop: Any = SimpleNamespace(wake=lambda name: None)
    running = story.controller()
    await running.facts(story.platform.repositories[0])  # a new process knows no time before its first read
    await Control(running, loop).redeploy([f"shop#{number}"], "grace")
    await story.passes(3)
    [after] = story.engine.previews.values()
    assert after.spec.build.versions[0].digest != broken.spec.build.versions[0].digest
    assert after.spec.build.versions[0].sha == broken.spec.build.versions[0].sha
    assert "### Preview ready" in story.comment(number)
    story.images.push("shop/web", sha("feature"), label="rebuilt again")  # one request takes one image
    await story.passes(3)
    [last] = story.engine.previews.values()
    assert last.spec == after.spec
    assert "a different image than the one that this preview uses" in story.comment(number)


async def test_redeploy_waits_for_a_registry_that_is_away(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    [before] = story.engine.previews.values()
    story.images.push("shop/web", sha("feature"), label="rebuilt")
    story.images.away = True
    loop: Any = SimpleNamespace(wake=lambda name: None)
    running = story.controller()
    await running.facts(story.platform.repositories[0])
    await Control(running, loop).redeploy([f"shop#{number}"], "grace")
    await story.passes(2)
    [still] = story.engine.previews.values()
    assert still.spec == before.spec
    story.images.away = False
    await story.passes(3)
    [after] = story.engine.previews.values()
    assert after.spec.build.versions[0].digest != before.spec.build.versions[0].digest


FIXED = sha("main, fixed")


async def front_only(story: Story) -> int:
    """A pull request that changes `front` alone, so that `back` runs main's image."""
    monorepo(story)
    number = story.pull_request(image=False)
    story.world.pull_request(SLUG, number).changed = ["front/page.py"]
    story.images.push("shop/front", sha("feature"))
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(3)
    assert runs(story) == {"back": MAIN, "front": sha("feature")}
    return number


def crash(story: Story, service: str) -> None:
    [identity] = story.engine.previews
    failed = replace(story.engine.previews[identity], health=Health.FAILED, why="It crashed.", failing=service)
    story.engine.previews[identity] = failed


def main_is_fixed(story: Story) -> None:
    story.world.move_base(SLUG, FIXED)
    story.images.push("shop/back", FIXED)


async def test_failed_image_of_the_base_branch_is_named_and_follows_the_branch(story: Story) -> None:
    number = await front_only(story)
    crash(story, "back")
    await story.passes(2)
    text = story.comment(number)
    assert "### Preview failed" in text
    assert "It crashed." in text
    assert "This pull request does not change `back`, so the preview runs the image from `main`" in text
    assert "Fix the problem on `main`. The preview then deploys the next image of `back` automatically." in text
    assert "Push a fix" not in text
    story.world.move_base(SLUG, FIXED)
    await story.passes(2)
    assert runs(story)["back"] == MAIN, "its image is not there yet, and what runs stays"
    story.images.push("shop/back", FIXED)
    await story.passes(3)
    assert runs(story) == {"back": FIXED, "front": sha("feature")}
    assert "### Preview ready" in story.comment(number)


@pytest.mark.parametrize("setting", ["migrate", "command"])
async def test_command_that_fails_in_an_image_of_the_base_branch_asks_for_no_push(story: Story, setting: str) -> None:
    number = await front_only(story)
    crash(story, "back")
    [identity] = story.engine.previews
    fix = messages.command_not_found(setting, "back")
    story.engine.previews[identity] = replace(story.engine.previews[identity], fix=fix)
    await story.passes(2)
    text = story.comment(number)
    assert "This pull request does not change `back`" in text
    assert (
        f"Either correct `{setting}` in the configuration of `back` (services/back.yaml), or fix the problem on `main`"
        in text
    )
    assert "Push a commit that adds" not in text


async def test_failure_of_the_pull_requests_own_service_moves_no_image_of_the_base_branch(story: Story) -> None:
    number = await front_only(story)
    crash(story, "front")
    main_is_fixed(story)
    await story.passes(3)
    assert runs(story) == {"back": MAIN, "front": sha("feature")}
    assert "Push a fix and the preview redeploys." in story.comment(number)


async def test_healthy_preview_keeps_the_image_of_the_base_branch_until_a_person_redeploys_it(story: Story) -> None:
    number = await front_only(story)
    main_is_fixed(story)
    await story.passes(3)
    assert runs(story)["back"] == MAIN
    loop: Any = SimpleNamespace(wake=lambda name: None)
    running = story.controller()
    await running.facts(story.platform.repositories[0])
    await Control(running, loop).redeploy([f"shop#{number}"], "grace")
    await story.passes(3)
    assert runs(story) == {"back": FIXED, "front": sha("feature")}


async def test_preview_starts_although_the_base_branch_moves_faster_than_its_images_are_built(story: Story) -> None:
    """CI of main takes 3 passes, somebody merges each 2: every commit of main gets its image, the newest never has."""
    monorepo(story)
    number = story.pull_request(image=False)
    story.world.pull_request(SLUG, number).changed = ["front/page.py"]
    story.images.push("shop/front", sha("feature"))
    moves = [sha(f"main {n}") for n in range(12)]
    story.world.move_base(SLUG, moves[0])
    story.world.label(SLUG, number, "preview", "ada")
    seen = []
    for n in range(1, 12):
        await story.passes(2)
        seen.append(story.status(number).stage)
        story.world.move_base(SLUG, moves[n])
        story.images.push("shop/back", moves[n - 1])  # CI of the commit before is through now
        await story.passes(1)
        seen.append(story.status(number).stage)
    assert Stage.READY in seen, seen


async def test_push_to_a_running_preview_is_deployed_although_the_base_branch_moves(story: Story) -> None:
    monorepo(story)
    number = story.pull_request(image=False)
    story.world.pull_request(SLUG, number).changed = ["front/page.py"]
    story.images.push("shop/front", sha("feature"))
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(3)
    assert runs(story) == {"back": MAIN, "front": sha("feature")}
    story.world.push(SLUG, number, sha("second"), "ada")
    story.world.pull_request(SLUG, number).changed = ["front/page.py"]
    story.images.push("shop/front", sha("second"))
    for n in range(10):
        story.world.move_base(SLUG, sha(f"main {n}"))
        await story.passes(2)
        story.images.push("shop/back", sha(f"main {n}")) if n % 2 else None
        if n % 2:
            story.world.move_base(SLUG, sha(f"main {n}b"))
        await story.passes(1)
    assert runs(story)["front"] == sha("second"), story.status(number).reason
