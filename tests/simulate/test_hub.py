"""The simulated GitHub follows real branches: a commit is a push, and merging or deleting a branch closes its PR."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builders import PLATFORM, SERVICE
from greenroom.core.model.catalog import Image, Repository
from greenroom.errors import Failed
from greenroom.simulate.checkout import Checkout
from greenroom.simulate.hub import Hub
from greenroom.simulator.registry import Images
from greenroom.simulator.world import PullRequest, World
from local.workshop import git

SLUG = "acme/notes"
IMAGE = Image("127.0.0.1:8090/acme/notes", "pr-{number}-{short_sha}")


class Project:
    """A repository with a branch, and the hub that follows it. `events` are the webhooks that GitHub sent."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notes"
        self.path.mkdir()
        git(self.path, "init", "--quiet", "--initial-branch", "trunk")
        self.commit("readme")
        git(self.path, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
        git(self.path, "checkout", "--quiet", "-b", "change")
        self.events: list[str] = []
        self.images, self.world = Images(), World()
        self.world.listeners.append(lambda event, action, *_: self.events.append(f"{event} {action}"))
        service = replace(SERVICE, repository="notes", image=IMAGE)
        platform = replace(PLATFORM, repositories=(Repository("notes", SLUG, (service,)),))
        self.hub = Hub(platform, {SLUG: Checkout.at(self.path)}, self.world, self.images, "ada")

    def commit(self, name: str) -> str:
        (self.path / name).write_text(name)
        git(self.path, "add", "--all")
        git(self.path, "commit", "--quiet", "--message", f"Add {name}")
        return git(self.path, "rev-parse", "HEAD")

    @property
    def pull(self) -> PullRequest:
        return self.world.repository(SLUG).pull_requests[1]

    def built(self, sha: str) -> bool:
        return ("acme/notes", f"pr-1-{sha[:7]}") in self.images.tags


@pytest.fixture
async def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    await made.hub.look()
    return made


async def test_a_pull_request_is_opened_from_a_branch_with_its_commit_its_files_and_its_images(
    project: Project,
) -> None:
    sha = project.commit("one")
    await project.hub.look()
    assert await project.hub.open(SLUG, "change", "Preview-with: acme/shop#1") == 1
    pull = project.pull
    assert (pull.head_sha, pull.title, pull.body) == (sha, "Add one", "Preview-with: acme/shop#1")
    assert pull.changed == ["one"]
    assert project.world.repository(SLUG).main_sha == git(project.path, "rev-parse", "trunk")
    assert project.built(sha)


@pytest.mark.parametrize(
    ("branch", "why"),
    [
        ("nothing", "There is no branch nothing in "),
        ("change", "All commits of the branch change are already in trunk. Add a commit to the branch first."),
    ],
)
async def test_branch_without_its_own_commits_cannot_open_a_pull_request(
    project: Project, branch: str, why: str
) -> None:
    with pytest.raises(Failed, match=why):
        await project.hub.open(SLUG, branch, "")
    assert project.events == []


async def test_a_branch_has_one_open_pull_request(project: Project) -> None:
    project.commit("one")
    await project.hub.open(SLUG, "change", "")
    with pytest.raises(Failed, match="already has an open pull request"):
        await project.hub.open(SLUG, "change", "")


async def test_a_commit_on_the_branch_is_a_push_whose_image_exists(project: Project) -> None:
    project.commit("one")
    await project.hub.open(SLUG, "change", "")
    sha = project.commit("two")
    seen: list[bool] = []
    project.world.listeners.append(lambda *_: seen.append(project.built(sha)))
    await project.hub.look()
    await project.hub.look()
    assert project.pull.head_sha == sha
    assert project.pull.changed == ["one", "two"]
    assert project.events == ["pull_request opened", "pull_request synchronize"]
    assert seen == [True]


async def test_an_amended_commit_is_a_forced_push(project: Project) -> None:
    project.commit("one")
    await project.hub.open(SLUG, "change", "")
    git(project.path, "commit", "--quiet", "--amend", "--message", "Another message")
    await project.hub.look()
    assert "HeadRefForcePushedEvent" in [item.type for item in project.pull.timeline]


async def test_a_branch_that_is_merged_into_the_base_branch_merges_its_pull_request(project: Project) -> None:
    project.commit("one")
    await project.hub.open(SLUG, "change", "")
    git(project.path, "checkout", "--quiet", "trunk")
    git(project.path, "merge", "--quiet", "--no-ff", "change")
    git(project.path, "branch", "--quiet", "--delete", "change")
    await project.hub.look()
    assert project.pull.state == "closed"
    assert project.pull.merged_at


async def test_moving_base_branch_closes_no_other_pull_request(project: Project) -> None:
    project.commit("one")
    await project.hub.open(SLUG, "change", "")
    git(project.path, "checkout", "--quiet", "trunk")
    base = project.commit("other")
    await project.hub.look()
    assert project.pull.state == "open"
    assert project.world.repository(SLUG).main_sha == base
    assert project.built(base), "a service that the pull request does not touch runs the base branch's image"


async def test_a_branch_that_is_deleted_closes_its_pull_request(project: Project) -> None:
    project.commit("one")
    await project.hub.open(SLUG, "change", "")
    git(project.path, "checkout", "--quiet", "trunk")
    git(project.path, "branch", "--quiet", "--delete", "--force", "change")
    await project.hub.look()
    assert (project.pull.state, project.pull.merged_at) == ("closed", None)


async def test_unreadable_checkout_is_reported_and_closes_nothing(project: Project) -> None:
    project.commit("one")
    await project.hub.open(SLUG, "change", "")
    away = project.path.rename(project.path.with_name("away"))
    await project.hub.look()
    assert "git for-each-ref failed" in project.hub.troubles[SLUG]
    assert project.pull.state == "open"
    away.rename(project.path)
    await project.hub.look()
    assert project.hub.troubles == {}
