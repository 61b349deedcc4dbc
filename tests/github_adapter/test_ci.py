"""The CI of one commit, read from the judged simulator: which runs count, what is doubt, and how few requests it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from builders import identity, sha
from greenroom.asgi_server import running
from greenroom.core.model.ci import AwaitedCommit, CiState, CommitCi, EarlierRun
from greenroom.errors import Doubt, FixCredentials, GreenroomError, RetryLater
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.transport import Limited, NotFound, Transport
from greenroom.simulator.app import Simulator
from greenroom.simulator.world import World
from judge import Judge

SLUG, HEAD = "acme/shop", sha(2)
SETTLED = AwaitedCommit(identity(1), HEAD, "feature", True)
YOUNG = AwaitedCommit(identity(1), HEAD, "feature", False)


class Scene:
    def __init__(self, world: World, simulator: Simulator, github: GitHub) -> None:
        self.world, self.simulator, self.github = world, simulator, github

    async def ci(self, commit: AwaitedCommit = YOUNG) -> CommitCi:
        return await self.github.ci(SLUG, commit)

    async def states(self) -> list[tuple[str, CiState]]:
        return [(r.name, r.state) for r in (await self.ci()).runs]

    def run(self, name: str = "build", *, of: str = HEAD, end: str | None = None, **more: Any) -> int:
        made = self.world.run_workflow(SLUG, of, name=name, **more)
        if end:
            self.world.finish_run(SLUG, made.id, end)
        return made.id

    @property
    def asked(self) -> dict[str, int]:
        """The requests by the end of their path."""
        return {
            path.rpartition("/")[2] + path.count("workflows") * " of one": n
            for path, n in self.simulator.requests.items()
        }


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    world = World()
    world.token("token", "greenroom[bot]")
    world.open_pull_request(SLUG, head="feature", sha=HEAD, by="ada")
    simulator = Simulator(world)
    judge = Judge(simulator)
    async with running(judge) as url, httpx2.AsyncClient(timeout=5, trust_env=False) as client:
        clock = Clock(lambda: world.now().timestamp())
        yield Scene(world, simulator, GitHub(Transport(client, Token("token"), f"{url}/api/v3", clock), clock, "<!--"))
    assert judge.violations == []
    assert simulator.unknown == []


@pytest.mark.parametrize(
    ("status", "conclusion", "state"),
    [
        ("queued", None, CiState.QUEUED),
        ("requested", None, CiState.QUEUED),
        ("pending", None, CiState.QUEUED),
        ("in_progress", None, CiState.RUNNING),
        ("waiting", None, CiState.PROTECTED),
        ("completed", "action_required", CiState.APPROVAL),
        ("completed", "failure", CiState.FAILED),
        ("completed", "timed_out", CiState.FAILED),
        ("completed", "startup_failure", CiState.FAILED),
        ("completed", "cancelled", CiState.CANCELED),
        ("completed", "stale", CiState.CANCELED),
        ("completed", "skipped", CiState.SKIPPED),
        ("completed", "success", CiState.SUCCEEDED),
        ("completed", "neutral", CiState.SUCCEEDED),
    ],
)
async def test_each_state_of_a_run(scene: Scene, status: str, conclusion: str | None, state: CiState) -> None:
    scene.world.faults.on("forbidden", path="/check-runs")  # the jobs of a run are checks, which do not have all states
    run = scene.run(status=status, conclusion=conclusion)
    [found] = (await scene.ci()).runs
    assert (found.name, found.state, found.page) == ("build", state, f"actions/runs/{run}")


@pytest.mark.parametrize(("status", "conclusion"), [("completed", None), ("completed", "odd"), ("odd", None)])
async def test_an_unknown_state_is_doubt(scene: Scene, status: str, conclusion: str | None) -> None:
    scene.run(status=status, conclusion=conclusion)
    with pytest.raises(Doubt, match="documented shape"):
        await scene.ci()


async def test_the_newest_run_of_a_workflow_counts_for_each_event(scene: Scene) -> None:
    scene.run(end="failure")
    scene.run(end="success")
    scene.run(event="push", end="failure")
    scene.run("lint", end="success")
    scene.run(of=sha(1), end="failure")
    assert await scene.states() == [
        ("build", CiState.SUCCEEDED),
        ("build", CiState.FAILED),
        ("lint", CiState.SUCCEEDED),
    ]


async def test_the_usual_duration_is_the_median_of_ten_successes_after_the_same_event(scene: Scene) -> None:
    for minutes, event, end in (
        *((60, "pull_request", "success"),) * 3,  # long ago
        *((m, "pull_request", "success") for m in range(1, 11)),
        *((90, "push", "success"),) * 5,
        *((90, "pull_request", "failure"),) * 5,
    ):
        run = scene.run(of=sha(1), event=event)
        scene.world.advance(timedelta(minutes=minutes))
        scene.world.finish_run(SLUG, run, end)
    scene.run()
    for _ in range(3):
        [found] = (await scene.ci()).runs
        assert found.usual == timedelta(minutes=6)
    assert scene.asked == {"runs": 3, "runs of one": 1}, "it is looked up once"


async def test_what_is_read_for_each_case(scene: Scene) -> None:
    """Unfinished runs explain everything, finished ones need a look at other apps, and none a look at the branch."""
    await scene.ci()
    assert scene.asked == {"runs": 1, "check-runs": 1}
    await scene.ci(SETTLED)
    assert scene.asked == {"runs": 3, "check-runs": 2, "{sha}": 1}
    run = scene.run(status="queued")
    await scene.ci(SETTLED)
    assert scene.asked == {"runs": 4, "check-runs": 2, "{sha}": 1}
    scene.world.finish_run(SLUG, run, "failure")
    await scene.ci(SETTLED)
    assert scene.asked == {"runs": 5, "check-runs": 3, "{sha}": 1}


async def test_an_unchanged_answer_costs_nothing(scene: Scene) -> None:
    """https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests"""
    scene.run(end="success")
    before = await scene.ci(SETTLED)
    assert scene.github.counts["304"] == 0
    assert await scene.ci(SETTLED) == before
    assert scene.github.counts["304"] == 2


async def test_a_ci_run_of_five_minutes_costs_three_requests(scene: Scene) -> None:
    """The reads of one preview that waits: 9 requests, and GitHub does not count the 6 that it answers with 304."""
    for _ in range(3):
        earlier = scene.run(of=sha(1))
        scene.world.advance(timedelta(minutes=5))
        scene.world.finish_run(SLUG, earlier, "success")
    run = scene.run(status="queued")
    for seconds in (0, 1, 3, 8, 18, 48, 108, 228):
        if seconds == 8:
            scene.world.change_run(SLUG, run, "in_progress")
        await scene.ci()
    assert sum(scene.asked.values()) == 9
    assert scene.github.counts["304"] == 6


async def test_checks_of_other_apps_count_and_jobs_of_actions_do_not(scene: Scene) -> None:
    scene.run(end="success")
    scene.world.check(SLUG, HEAD, name="image", app="buildkite", status="in_progress")
    scene.world.check(SLUG, HEAD, name="scan", app="snyk", status="queued")
    assert await scene.states() == [
        ("build", CiState.SUCCEEDED),
        ("image", CiState.RUNNING),
        ("scan", CiState.QUEUED),
    ]
    assert scene.asked == {"runs": 1, "check-runs": 1}, "GitHub knows no usual duration of a check"


async def test_a_check_that_asks_for_action_is_no_run_to_approve(scene: Scene) -> None:
    scene.world.check(SLUG, HEAD, name="DCO", app="dco", conclusion="action_required")
    assert await scene.states() == [("DCO", CiState.ACTION)]


async def test_the_jobs_of_a_large_matrix_fill_several_pages(scene: Scene) -> None:
    for number in range(250):
        scene.world.check(SLUG, HEAD, name=f"job {number}", app="github-actions", conclusion="success")
    scene.world.check(SLUG, HEAD, name="image", app="buildkite", conclusion="failure")
    assert await scene.states() == [("image", CiState.FAILED)]
    assert scene.asked == {"runs": 1, "check-runs": 3}
    for number in range(250):
        scene.world.check(SLUG, HEAD, name=f"more {number}", app="github-actions", conclusion="success")
    with pytest.raises(Doubt, match="is 501, but its list contains 500"):
        await scene.ci()


async def test_checks_that_may_not_be_read_are_left_out_for_an_hour(scene: Scene) -> None:
    scene.world.faults.on("forbidden", path="/check-runs")
    scene.run(end="success")
    for _ in range(3):
        assert await scene.states() == [("build", CiState.SUCCEEDED)]
    assert scene.world.faults.fired["forbidden"] == 1
    scene.world.advance(timedelta(hours=1, seconds=1))
    await scene.ci()
    assert scene.world.faults.fired["forbidden"] == 2


async def test_without_a_run_the_message_and_the_branch_are_read(scene: Scene) -> None:
    scene.world.commit_message(SLUG, HEAD, "Typo [skip ci]")
    scene.run("build", of=sha(1), end="success")
    scene.run("elsewhere", of=sha(3), branch="main", end="success")
    assert await scene.ci(SETTLED) == CommitCi((), "Typo [skip ci]", EarlierRun("build", sha(1)))
    assert await scene.ci(YOUNG) == CommitCi()


async def test_a_message_that_may_not_be_read_is_unknown(scene: Scene) -> None:
    scene.world.faults.on("forbidden", path="/git/commits/")
    scene.run(of=sha(1), end="success")
    assert await scene.ci(SETTLED) == CommitCi((), None, EarlierRun("build", sha(1)))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("forbidden", FixCredentials),
        ("not-found", NotFound),
        ("server-error", RetryLater),
        ("html", RetryLater),
        ("secondary-limit", Limited),
        ("truncated", Doubt),
    ],
)
async def test_a_list_of_runs_is_complete_or_an_error(scene: Scene, fault: str, error: type[GreenroomError]) -> None:
    scene.run(end="failure")
    scene.world.faults.on(fault, path="/actions/")
    with pytest.raises(error):
        await scene.ci()
    scene.world.faults.off()
    assert await scene.states() == [("build", CiState.FAILED)]
