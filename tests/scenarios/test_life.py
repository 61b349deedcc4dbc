"""A preview's life, as people see it on GitHub."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from greenroom.core.model.status import Stage
from greenroom.simulator.world import PullRequest, User
from stories import BOT, SLUG, Story, sha


async def test_label_image_ready_close(story: Story) -> None:
    story.prepares_nothing()
    number = story.labeled(image=False)
    await story.passes(3)
    assert "### Preview waiting" in story.comment(number)
    assert story.living == set()
    story.images.push("shop/web", sha("feature"))
    await story.passes(3)
    assert "### Preview ready" in story.comment(number)
    assert f"https://web-pr-{number}.preview.example.com" in story.comment(number)
    story.world.close(SLUG, number, "ada")
    await story.passes()
    assert story.living == set()
    assert "### Preview removed" in story.comment(number)
    assert "closed by ada" in story.comment(number)


async def test_merged_preview_is_removed_and_the_comment_names_who_merged(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.close(SLUG, number, "grace", merge=True)
    await story.passes()
    assert story.living == set()
    assert "merged by grace" in story.comment(number)


async def test_push_keeps_the_old_version_until_the_new_image_is_there(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.push(SLUG, number, sha("second"), "ada")
    await story.passes(2)
    assert f"The current version, {sha('feature')[:7]}, keeps running" in story.comment(number)
    [preview] = story.engine.previews.values()
    assert preview.spec.build.head_sha == sha("feature")
    story.images.push("shop/web", sha("second"))
    await story.passes(3)
    [preview] = story.engine.previews.values()
    assert preview.spec.build.head_sha == sha("second")


async def test_unlabel_and_label_again_at_once(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.unlabel(SLUG, number, "preview", "ada")
    await story.one_pass()
    story.world.label(SLUG, number, "preview", "ada")
    await story.passes(4)
    assert story.living == {number}
    assert "### Preview ready" in story.comment(number)


async def test_removed_and_brought_back(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.unlabel(SLUG, number, "preview", "grace")
    await story.passes()
    assert "removed by grace" in story.comment(number)
    story.world.label(SLUG, number, "preview", "grace")
    await story.passes(4)
    assert "### Preview ready" in story.comment(number)
    assert len(story.comments(number)) == 1


async def test_pull_request_without_the_label_gets_no_comment(story: Story) -> None:
    number = story.pull_request()
    await story.passes(3)
    assert story.comments(number) == []
    assert story.status(number).reason.code == "not-asked"


async def test_triage_rights_are_not_enough(story: Story) -> None:
    number = story.pull_request()
    story.world.label(SLUG, number, "preview", "eve")
    await story.passes(3)
    assert story.living == set()
    assert "eve added the label" in story.comment(number)


async def test_forks_drafts_and_bots_wait_with_a_reason(story: Story) -> None:
    fork = story.pull_request("fork", fork="eve/shop")
    draft = story.pull_request("draft", draft=True)
    bot = story.pull_request("bot", by="dependabot[bot]")
    for number in (fork, draft, bot):
        story.world.label(SLUG, number, "preview", "ada")
    await story.passes(3)
    assert story.living == set()
    assert [story.status(n).reason.code for n in (fork, draft, bot)] == ["fork", "draft", "bot-author"]
    story.world.ready_for_review(SLUG, draft, "ada")
    await story.passes(3)
    assert story.living == {draft}


async def test_the_merge_commits_image_is_recognised(story: Story) -> None:
    number = story.labeled(image=False)
    story.images.push("shop/web", story.world.pull_request(SLUG, number).merge_sha)
    await story.passes(3)
    assert "CI builds GitHub's merge commit" in story.comment(number)


async def test_days_without_activity(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.pass_time(days=2, hours=1)
    await story.passes(3)
    assert "### Preview expiring" in story.comment(number)
    story.pass_time(days=1)
    await story.passes()
    assert story.world.pull_request(SLUG, number).labels == []
    assert story.living == set()
    assert "there was no activity" in story.comment(number)


async def test_a_comment_by_a_person_keeps_it(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.pass_time(days=2, hours=1)
    await story.passes(3)
    story.world.comment(SLUG, number, "still looking at it", "grace")
    await story.passes(3)
    assert "### Preview ready" in story.comment(number)
    story.pass_time(days=1)
    await story.passes(4)
    assert story.living == {number}


async def test_a_bots_comment_keeps_nothing(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.pass_time(days=2, hours=1)
    story.world.comment(SLUG, number, "Coverage is 93 %", "codecov[bot]")
    await story.passes(3)
    assert "### Preview expiring" in story.comment(number)


async def test_the_limit_queues_and_the_queue_moves(story: Story) -> None:
    story.configure(limits=replace(story.platform.limits, per_repository=1))
    first, second = story.labeled("one"), story.labeled("two")
    await story.passes(4)
    assert story.living == {first}
    assert "The limit of 1 preview for this repository has been reached." in story.comment(second)
    assert story.status(second).position == 1
    story.world.close(SLUG, first, "ada")
    await story.passes()
    assert story.living == {second}


async def test_a_review_counts_from_its_submission_and_not_from_its_first_pending_comment(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    review = story.world.begin_review(SLUG, number, "grace")
    story.pass_time(days=2, hours=1)
    await story.passes(3)
    assert "### Preview expiring" in story.comment(number)
    story.world.submit_review(SLUG, number, review)
    await story.passes(3)
    assert "### Preview ready" in story.comment(number)
    story.pass_time(days=1)
    await story.passes(4)
    assert story.living == {number}


async def test_a_push_counts_from_the_push_and_not_from_when_its_commit_was_made(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    made = story.world.now()
    story.pass_time(days=2, hours=1)
    await story.passes(3)
    assert "### Preview expiring" in story.comment(number)
    story.pass_time(hours=23, minutes=58)
    story.world.push(SLUG, number, sha("made on Friday"), "ada", committed=made)  # its image is not there yet
    await story.passes(3)
    story.pass_time(hours=1)
    await story.passes(4)
    assert story.living == {number}
    story.pass_time(days=2, hours=1)  # and counts once: CI never builds it
    await story.passes(3)
    assert "goes" in story.comment(number) or "will be removed" in story.comment(number)
    story.pass_time(days=1, hours=1)
    await story.passes(6)
    assert story.living == set()


@pytest.mark.parametrize(("state", "merge"), [("waiting", False), ("queued", True), ("blocked", False)])
async def test_closed_before_it_started_promises_no_start(story: Story, state: str, merge: bool) -> None:
    if story.forgetful:
        pytest.skip("who was told to wait is remembered by one process")
    story.prepares_nothing()
    story.configure(limits=replace(story.platform.limits, per_repository=1))
    first = story.labeled("first")
    number = story.labeled("second", image=state != "waiting", draft=state == "blocked")
    if state == "waiting":
        story.configure(limits=replace(story.platform.limits, per_repository=2))
    await story.passes(3)
    assert story.comment(number).partition("\n")[2].startswith(f"### Preview {state}")
    story.world.close(SLUG, number, "grace", merge=merge)
    await story.passes(3)
    done = "merged" if merge else "closed"
    assert f"### No preview\n\nThe pull request was {done} by grace. No preview was started." in story.comment(number)
    assert "automatically" not in story.comment(number)
    assert story.living == {first}
    assert await story.one_pass() == ""
    asked = len(story.errors)
    await story.passes(2)
    assert len(story.errors) == asked, "and it is not looked at any more"


async def test_closed_while_greenroom_was_down_promises_no_start_either(story: Story) -> None:
    if story.forgetful:
        pytest.skip("the history says who was told to wait")
    story.prepares_nothing()
    number = story.labeled(image=False)
    await story.passes(3)
    assert "Waiting for image" in story.comment(number)
    story.world.close(SLUG, number, "grace")
    story.restart()
    await story.passes(3)
    assert "The pull request was closed by grace. No preview was started." in story.comment(number)


async def test_a_comment_that_was_damaged_before_anything_ran_promises_nothing(story: Story) -> None:
    story.prepares_nothing()
    number = story.labeled(image=False)
    await story.passes(3)
    [ours] = [c for c in story.world.pull_request(SLUG, number).comments if c.author.login == BOT]
    story.world.unlabel(SLUG, number, "preview", "ada")
    story.world.edit_comment(SLUG, ours.id, ours.body.replace("greenroom", "green room"), "grace")
    await story.passes(3)
    assert "### No preview" in story.comment(number)
    assert "Waiting for image" not in story.comment(number)


async def test_a_draft_again_keeps_running_and_says_that_pushes_wait(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.pull_request(SLUG, number).draft = True
    story.world.push(SLUG, number, sha("next"), "ada")
    story.images.push("shop/web", sha("next"))
    await story.passes(3)
    assert story.living == {number}
    said = f"The pull request is a draft. The current version, {sha('feature')[:7]}, keeps running. New commits are not deployed."
    assert said in story.comment(number)
    story.world.ready_for_review(SLUG, number, "ada")
    await story.passes(3)
    assert f"{sha('next')[:7]}" in story.comment(number)
    assert "### Preview ready" in story.comment(number)


async def test_a_labeler_who_loses_write_access_stops_pushes_and_the_comment_says_so(story: Story) -> None:
    number = story.labeled()
    await story.passes(3)
    story.world.collaborator(SLUG, "ada", "read")
    await story.passes(3)
    assert story.living == {number}
    assert "keeps running. New commits are not deployed." in story.comment(number)


async def test_a_queue_that_moves_rewrites_no_comment_of_those_who_wait(story: Story) -> None:
    if story.forgetful:
        pytest.skip("what is measured is the number of writes of one process")
    story.configure(limits=replace(story.platform.limits, per_repository=2))
    numbers = [story.labeled(f"branch-{n}") for n in range(9)]
    await story.passes(3)
    queued = [n for n in numbers if story.status(n).stage is Stage.QUEUED]
    assert [story.status(n).position for n in queued] == list(range(1, 8))
    written: Counter[int] = Counter()

    def listen(event: str, action: str, repository: object, pull_request: PullRequest | None, who: User) -> None:
        if event == "issue_comment" and who.login == BOT and pull_request:
            written[pull_request.number] += 1

    story.world.listeners.append(listen)
    for number in numbers[:3]:
        story.world.close(SLUG, number, "ada")
        await story.passes(2)
    await story.passes(4)
    still = [n for n in numbers if story.status(n).stage is Stage.QUEUED]
    assert [story.status(n).position for n in still] == list(range(1, 5))
    assert sum(written[n] for n in still) == 0, "who goes on waiting is told nothing new"
    assert sum(written.values()) <= 15, "three that go and three that start, a few words each"
