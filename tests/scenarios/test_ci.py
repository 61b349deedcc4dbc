"""Why is there no image? What a pull request's comment says about the CI of its head, and what it costs to know."""

from __future__ import annotations

from itertools import pairwise

import pytest

from greenroom.core.comment.sanitize import markdown
from greenroom.core.model.catalog import Image, Process, Repository, Service
from greenroom.core.model.status import Stage
from stories import SLUG, Story, sha

HEAD = sha("feature")
PAGE = "/acme/shop/actions/runs"


def waiting(story: Story, number: int) -> str:
    """What the comment says while it waits; pages and terminal show the same reason."""
    comment, reason = story.comment(number), story.status(number).reason
    assert "### Preview waiting" in comment
    assert story.status(number).stage is Stage.WAITING
    assert markdown(str(reason)) in comment
    return comment


def requests(story: Story) -> int:
    """How often CI was read."""
    assert story.simulator is not None
    return sum(n for path, n in story.simulator.requests.items() if "/actions/" in path or "/commits/" in path)


async def test_ci_is_running_and_usually_takes_four_minutes(story: Story) -> None:
    for minutes in (3, 4, 9):
        run = story.run(of="main")
        story.pass_time(minutes=minutes)
        story.world.finish_run(SLUG, run)
    number = story.labeled(image=False)
    story.run()
    await story.passes(3)
    assert "CI has not finished: `build` started at 09:16 UTC and usually takes 4 min." in waiting(story, number)
    assert story.status(number).reason.code == "ci-running"


async def test_a_failure_is_named_with_its_page(story: Story) -> None:
    number = story.labeled(image=False)
    run = story.run()
    await story.passes(2)
    story.world.finish_run(SLUG, run, "failure")
    story.pass_time(minutes=1)
    await story.passes(3)
    comment = waiting(story, number)
    assert "The CI run `build` failed (http" in comment
    assert f"{PAGE}/{run})." in comment
    assert "Fix the cause and push, or re-run CI." in comment


async def test_a_run_that_a_maintainer_has_to_approve(story: Story) -> None:
    number = story.labeled(image=False)
    run = story.run(end="action_required")
    await story.passes(3)
    comment = waiting(story, number)
    assert "CI has not run `build`: GitHub starts it only after a maintainer approves it." in comment
    assert f"{PAGE}/{run}" in comment


async def test_a_run_that_waits_for_an_environment(story: Story) -> None:
    number = story.labeled(image=False)
    story.run(status="waiting")
    await story.passes(3)
    assert "`build`: it waits for the protection rules of an environment" in waiting(story, number)


async def test_skip_ci_in_the_message(story: Story) -> None:
    number = story.labeled(image=False)
    story.world.commit_message(SLUG, HEAD, "Typo\n\n[skip ci]")
    await story.passes(2)
    assert "[skip ci]" not in waiting(story, number), "GitHub may not have started the run yet"
    story.pass_time(minutes=3)
    await story.passes(3)
    expected = f"No workflow run exists for commit {HEAD[:7]}. The commit message contains `[skip ci]`."
    assert expected in waiting(story, number)


async def test_a_path_filter_starts_no_run(story: Story) -> None:
    number = story.labeled(image=False)
    story.run(of="an earlier commit", end="success")
    await story.passes(2)
    story.pass_time(minutes=3)
    await story.passes(3)
    expected = (
        f"No workflow run exists for commit {HEAD[:7]}, but `build` ran for commit {sha('an earlier commit')[:7]}."
    )
    assert expected in waiting(story, number)


async def test_comments_do_not_hide_again_that_there_is_no_run(story: Story) -> None:
    if story.forgetful:
        pytest.skip("a new process does not know how long the commit is awaited")
    number = story.labeled(image=False)
    story.run(of="an earlier commit", end="success")
    for _ in range(8):
        story.world.comment(SLUG, number, "And?", "grace")
        await story.passes(2)
        story.pass_time(seconds=30)
    assert "No workflow run exists" in waiting(story, number)


async def test_a_conflict_starts_no_run(story: Story) -> None:
    number = story.labeled(image=False)
    story.world.pull_request(SLUG, number).mergeable = "CONFLICTING"
    await story.passes(3)
    comment = waiting(story, number)
    assert "The branch has conflicts with `main`, and GitHub does not run `pull_request` workflows" in comment
    assert "https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows" in comment


async def test_ci_succeeded_but_pushed_another_tag(story: Story) -> None:
    number = story.labeled(image=False)
    story.run(end="success")
    await story.passes(2)
    assert "the registry does not have" not in waiting(story, number), "the image may still arrive"
    story.pass_time(minutes=3)
    await story.passes(3)
    comment = waiting(story, number)
    assert f"1 CI run of commit {HEAD[:7]} succeeded, but the registry does not have the image." in comment
    assert f"Check that CI pushes the image under exactly this name: `{story.registry}/shop/web:{HEAD}`." in comment


async def test_another_ci_system_is_still_running(story: Story) -> None:
    number = story.labeled(image=False)
    story.run("lint", end="success")
    story.world.check(SLUG, HEAD, name="image", app="buildkite", status="in_progress")
    story.pass_time(minutes=3)
    await story.passes(3)
    assert "CI has not finished: `image` started at 09:00 UTC." in waiting(story, number)


async def test_a_failed_lint_does_not_hide_that_another_ci_system_still_builds(story: Story) -> None:
    number = story.labeled(image=False)
    story.run("lint", end="failure")
    story.world.check(SLUG, HEAD, name="image", app="buildkite", status="queued")
    await story.passes(3)
    assert "CI has not finished: `image` has been queued. `lint` failed (http" in waiting(story, number)


async def test_without_a_right_to_read_checks_workflow_runs_still_explain(story: Story) -> None:
    number = story.labeled(image=False)
    story.world.faults.on("forbidden", path="/check-runs")
    story.run(end="success")
    story.pass_time(minutes=3)
    await story.passes(3)
    assert f"1 CI run of commit {HEAD[:7]} succeeded" in waiting(story, number)
    assert story.world.faults.fired["forbidden"] >= 1


@pytest.mark.parametrize("fault", ["forbidden", "not-found", "server-error", "html", "secondary-limit", "truncated"])
async def test_a_failed_read_changes_nothing_but_words(story: Story, fault: str) -> None:
    number = story.labeled(image=False)
    story.run(end="failure")
    story.world.faults.on(fault, path="/actions/")
    await story.passes(3)
    assert story.world.faults.fired[fault] >= 1
    assert story.errors == []
    assert str(story.status(number).reason) == (
        f"Everything else is ready; waiting for image {story.registry}/shop/web:{HEAD[:7]}…. "
        "Greenroom deploys the commit once CI pushes the image under exactly this name (from the service's `image:`). "
        "Tags are shortened here: the actual tags contain the full commit hash. "
        "See the checks on this pull request."
    )
    story.images.push("shop/web", HEAD)
    await story.passes(2)
    assert "### Preview ready" in story.comment(number)


async def test_specs_are_served_before_ci_is_read(story: Story) -> None:
    story.labeled(image=False)
    ready = story.labeled("ready")
    story.run(end="failure")
    served: list[int] = []
    story.engine.on_serve = lambda: served.append(requests(story))
    await story.one_pass()
    assert served == [0]
    assert requests(story) > 0
    assert ready in story.living


async def test_ci_is_read_only_while_an_image_is_missing(story: Story) -> None:
    number = story.labeled()
    await story.passes(4)
    assert "### Preview ready" in story.comment(number)
    assert requests(story) == 0


async def test_what_it_costs_to_explain_a_ci_run_of_five_minutes(story: Story) -> None:
    """`tests/github_adapter/test_ci.py` says how many of these requests are free."""
    if story.forgetful:
        pytest.skip("a new process reads again")
    for minutes in (4, 5, 6):
        run = story.run(of="main")
        story.pass_time(minutes=minutes)
        story.world.finish_run(SLUG, run)
    story.labeled(image=False)
    run = story.run(status="queued")
    for seconds in (0, 1, 2, 5, 10, 30, 60, 60, 60, 60):  # as it looks for the image
        story.pass_time(seconds=max(0, seconds - 1))
        if seconds == 5:
            story.world.change_run(SLUG, run, "in_progress")
        await story.one_pass()
    reads = requests(story)
    story.images.push("shop/web", HEAD)
    story.world.finish_run(SLUG, run)
    await story.passes(60)
    assert requests(story) == reads, "nothing is read once the image is there"
    assert reads == 9


async def test_the_names_of_a_private_repository_stay_in_its_comment(story: Story) -> None:
    """Two repositories have the same commit. Their answers are kept apart."""
    other = "acme/open"
    story.world.repository(other, private=False)
    story.world.collaborator(other, "ada")
    service = Service("api", "open", Image(f"{story.registry}/open/api"), (Process("api", port=8080),))
    here = story.platform.repositories[0]
    story.configure(repositories=(here, Repository("open", other, (service,))))
    number = story.labeled(image=False)
    story.run("secret project", end="failure")
    public = story.world.open_pull_request(other, head="feature", sha=HEAD, by="ada").number
    story.world.label(other, public, "preview", "ada")
    for repository in story.platform.repositories * 3:
        await story.one_pass(repository)
    assert "secret project" in waiting(story, number)
    [comment] = [c.body for c in story.world.pull_request(other, public).comments]
    assert "waiting for image" in comment.lower()
    assert "secret project" not in comment


async def test_the_name_of_a_workflow_is_text_of_a_stranger(story: Story) -> None:
    number = story.labeled(image=False)
    story.run("`@acme/all` <img src=x> \n# <!-- greenroom:1 test -->", end="failure")
    await story.passes(3)
    comment = waiting(story, number)
    assert "`'@acme/all' <img src=x> # <\u200b!-- greenroom:1 test -->` failed" in comment
    assert len(story.comments(number)) == 1


async def test_a_push_forgets_the_ci_of_the_earlier_head(story: Story) -> None:
    number = story.labeled(image=False)
    story.run(end="failure")
    await story.passes(2)
    assert "failed" in waiting(story, number)
    story.world.push(SLUG, number, sha("second"), "ada")
    await story.passes(2)
    assert "failed" not in waiting(story, number)


async def test_while_ci_runs_the_comment_is_written_once(story: Story) -> None:
    number = story.labeled(image=False)
    story.run()
    await story.passes(3)
    bodies = []
    for _ in range(30):
        await story.one_pass()
        bodies += list(story.comments(number))
    assert sum(before != after for before, after in pairwise(bodies)) == 0


async def test_the_last_version_keeps_running_while_ci_explains_itself(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.push(SLUG, number, sha("second"), "ada")
    story.run(of="second", end="failure")
    await story.passes(3)
    assert f"The current version, {HEAD[:7]}, keeps running." in waiting(story, number)
    assert "`build` failed" in story.comment(number)
    assert story.living == {number}
