"""Reads of CI beside the passes: when they happen, what is kept of them, and that nothing else depends on them."""

from __future__ import annotations

import asyncio

import pytest

from builders import NOW, identity, sha
from greenroom.controller.ci import LASTING, PAUSES, REFUSED, CiAdvice
from greenroom.core.model.ci import AwaitedCommit, CiRun, CiState, CommitCi
from greenroom.errors import Doubt, FixCredentials, GreenroomError, RetryLater
from greenroom.github.transport import Limited, NotFound
from waiting import HandClock, until

SLUG, OTHER = "acme/shop", "acme/open"
COMMIT = AwaitedCommit(identity(1), sha(1), "feature", False)
FAILED = CommitCi((CiRun("build", CiState.FAILED, "actions/runs/1", "push", NOW, NOW),))


class Answers:
    """CI as GitHub would answer: an answer or an error, at once or once `open` is set."""

    def __init__(self) -> None:
        self.answer: CommitCi | GreenroomError | ZeroDivisionError = CommitCi()
        self.asked: list[tuple[str, AwaitedCommit]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def ci(self, slug: str, commit: AwaitedCommit) -> CommitCi:
        self.asked.append((slug, commit))
        await self.open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Scene:
    def __init__(self, patience: float = 5) -> None:
        self.clock, self.answers, self.changed = HandClock(), Answers(), list[str]()
        ticks = lambda: self.clock.now  # noqa: E731
        self.ci = CiAdvice(self.answers, self.changed.append, ticks=ticks, patience=patience)

    async def known(self, commit: AwaitedCommit = COMMIT, slug: str = SLUG) -> CommitCi | None:
        """What a pass knows, after every read has ended."""
        found = await self.ci.of(slug, [commit])
        await self.ci.settled()
        return found.get(commit.identity)

    async def later(self, seconds: float) -> CommitCi | None:
        """What a pass knows so many seconds later, and after a read that it may have begun."""
        self.clock.now += seconds
        await self.known()
        return self.ci.known(SLUG).get(COMMIT.identity)


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_a_first_read_is_waited_for_and_wakes_nobody(scene: Scene) -> None:
    scene.answers.answer = FAILED
    assert await scene.known() == FAILED
    assert scene.changed == []


async def test_a_pass_does_not_wait_for_a_slow_read() -> None:
    scene = Scene(patience=0.01)
    scene.answers.open.clear()
    assert await asyncio.wait_for(scene.ci.of(SLUG, [COMMIT]), 5) == {}
    assert await asyncio.wait_for(scene.ci.of(SLUG, [COMMIT]), 5) == {}
    assert len(scene.answers.asked) == 1, "one read at a time"
    scene.answers.answer = FAILED
    scene.answers.open.set()
    await until(lambda: scene.changed == [SLUG])
    assert scene.ci.known(SLUG) == {COMMIT.identity: FAILED}


async def test_a_commit_that_is_awaited_during_a_read_is_read_after_it() -> None:
    scene = Scene(patience=0.01)
    scene.answers.open.clear()
    other = AwaitedCommit(identity(2), sha(2), "other", False)
    await scene.ci.of(SLUG, [COMMIT])
    assert await scene.ci.of(SLUG, [COMMIT, other]) == {}, "it does not wait for the read of another commit"
    scene.answers.open.set()
    await until(lambda: scene.changed == [SLUG])
    await scene.ci.of(SLUG, [COMMIT, other])
    assert [commit for _, commit in scene.answers.asked] == [COMMIT, other]


async def test_a_webhook_during_a_read_makes_another_pass_read() -> None:
    scene = Scene(patience=0.01)
    scene.answers.open.clear()
    await scene.ci.of(SLUG, [COMMIT])
    scene.ci.hinted(SLUG)
    scene.answers.answer = CommitCi()
    scene.answers.open.set()
    await until(lambda: scene.changed == [SLUG])
    await scene.known()
    assert len(scene.answers.asked) == 2


async def test_reads_of_one_commit_become_rare(scene: Scene) -> None:
    await scene.known()
    times = []
    for second in range(600):
        before = len(scene.answers.asked)
        await scene.later(1)
        times += [second + 1] if len(scene.answers.asked) > before else []
    assert times == [1, 3, 8, 18, 48, 108, 228, 528]
    assert PAUSES[-1] < LASTING


async def test_an_answer_that_differs_wakes_the_passes_of_its_repository(scene: Scene) -> None:
    await scene.known()
    assert await scene.later(1) == CommitCi()
    assert scene.changed == []
    scene.answers.answer = FAILED
    assert await scene.later(2) == FAILED
    assert scene.changed == [SLUG]


async def test_a_webhook_about_ci_makes_the_next_pass_read(scene: Scene) -> None:
    await scene.known()
    await scene.later(0)
    assert len(scene.answers.asked) == 1
    scene.ci.hinted("acme/another")
    await scene.later(0)
    assert len(scene.answers.asked) == 1
    scene.ci.hinted(SLUG)
    await scene.later(0)
    assert len(scene.answers.asked) == 2


async def test_nothing_is_read_or_kept_once_no_image_is_missing(scene: Scene) -> None:
    await scene.known()
    assert await scene.ci.of(SLUG, []) == {}
    assert scene.ci.known(SLUG) == {}
    assert len(scene.answers.asked) == 1


async def test_another_head_begins_without_the_answers_of_the_earlier_one(scene: Scene) -> None:
    scene.answers.answer = FAILED
    await scene.known()
    scene.answers.answer = CommitCi()
    assert await scene.known(AwaitedCommit(COMMIT.identity, sha(2), "feature", False)) == CommitCi()


async def test_a_failed_read_keeps_the_answer_for_a_while_only(scene: Scene) -> None:
    scene.answers.answer = FAILED
    await scene.known()
    scene.answers.answer = Doubt("GitHub's answer is incomplete.")
    assert await scene.later(60) == FAILED
    assert await scene.later(LASTING) is None


@pytest.mark.parametrize("error", [FixCredentials("403"), NotFound("404")])
async def test_a_read_without_permission_says_nothing_and_is_rare(scene: Scene, error: GreenroomError) -> None:
    scene.answers.answer = FAILED
    await scene.known()
    scene.answers.answer = error
    assert await scene.later(1) is None
    scene.answers.answer = FAILED
    scene.ci.hinted(SLUG)
    assert await scene.later(60) is None
    assert await scene.later(REFUSED) == FAILED


@pytest.mark.parametrize(
    ("error", "others"), [(Limited("403", after=600), 1), (RetryLater("503", after=600), 2), (RetryLater("500"), 2)]
)
async def test_a_rate_limit_stops_the_reads_of_all_repositories(
    scene: Scene, error: GreenroomError, others: int
) -> None:
    scene.answers.answer = error
    await scene.known()
    await scene.known(slug=OTHER)
    assert len(scene.answers.asked) == others


async def test_a_mistake_of_ours_in_reading_is_logged_and_changes_nothing(scene: Scene) -> None:
    scene.answers.answer = ZeroDivisionError()
    found = await scene.ci.of(SLUG, [COMMIT])
    assert found == {}
    scene.answers.answer = FAILED
    assert await scene.later(1) == FAILED


async def test_a_commit_that_is_awaited_for_two_minutes_is_settled_and_stays_so(scene: Scene) -> None:
    await scene.known()
    for seconds, expected in ((1, False), (118, False), (1, True), (0, True)):
        scene.ci.hinted(SLUG)
        await scene.later(seconds)
        assert scene.answers.asked[-1][1].settled is expected


async def test_repositories_with_the_same_commit_do_not_share_answers(scene: Scene) -> None:
    scene.answers.answer = FAILED
    await scene.known()
    scene.answers.answer = CommitCi()
    assert await scene.known(slug=OTHER) == CommitCi()
    assert scene.ci.known(SLUG) == {COMMIT.identity: FAILED}
