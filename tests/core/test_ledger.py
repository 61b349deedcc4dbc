"""The hour that the breaker counts, and how long releases and open removals are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from builders import (
    ADA,
    NOW,
    PLATFORM,
    REPOSITORY,
    REPOSITORY_ID,
    SERVICE,
    decide,
    identity,
    preview,
    pull_request,
    spec,
)
from greenroom.core.model.actions import Change, VerifyRemoval, Withdraw
from greenroom.core.model.catalog import Platform
from greenroom.core.model.engine import Cause, EngineState, Ledger, PreviewSet, Release, Withdrawal
from greenroom.core.model.github import State
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage
from greenroom.core.planning import preview_sets
from machine import Machine, settled

OTHER = REPOSITORY_ID + 1


def colored(color: str) -> Platform:
    service = replace(SERVICE, env=(("COLOR", color),))
    return replace(PLATFORM, repositories=(replace(REPOSITORY, services=(service,)),))


def unlabel_all(made: Machine) -> None:
    for number in list(made.living):
        made.unlabel(number, ADA)
    made.settle()


def beside(made: Machine, count: int) -> None:
    """Serve this many previews of another repository on the same engine."""
    preview_set = PreviewSet(
        OTHER, "web", 1, {n: spec(n, repository_id=OTHER, repository="web") for n in range(1, count + 1)}
    )
    previews = {Identity(OTHER, n): replace(preview(n), identity=Identity(OTHER, n)) for n in preview_set.specs}
    made.holds = EngineState({**made.holds.previews, **previews}, {**made.holds.sets, OTHER: preview_set})


@pytest.mark.parametrize(("minutes", "left"), [(59, 3), (61, 0)])
def test_the_breaker_counts_the_last_sixty_minutes(minutes: int, left: int) -> None:
    made = settled(6)
    unlabel_all(made)
    assert len(made.living) == 3
    made.pass_time(timedelta(minutes=minutes))
    made.settle()
    assert len(made.living) == left


def test_a_large_installation_does_not_raise_the_removal_limit_of_one_repository() -> None:
    made = settled(20)
    beside(made, 480)
    unlabel_all(made)
    assert len(made.living) == 16, "a fifth of 20, not of 500"


def test_a_large_installation_does_not_raise_the_restart_limit_of_one_repository() -> None:
    made = settled(40)
    beside(made, 460)
    made.platform = colored("green")
    restarted = [a for a in made.settle() if isinstance(a, Change) and a.restart]
    assert len(restarted) == 4, "a tenth of 40, not of 500"


def test_closing_pull_requests_does_not_use_up_the_removals_of_unlabeled_ones() -> None:
    made = settled(10)
    for number in (1, 2, 3):
        made.pull_requests[number] = replace(made.pull_requests[number], state=State.CLOSED, closed_at=NOW)
    made.settle()
    for number in (4, 5, 6):
        made.unlabel(number, ADA)
    made.settle()
    assert made.living == {7, 8, 9, 10}


def test_a_released_restart_applies_to_that_configuration_only() -> None:
    made = settled(10)
    made.platform = colored("green")
    made.settle()
    waiting = next(n for n, r in made.holds.sets[REPOSITORY_ID].specs.items() if not r.services[0].env)
    made.release(waiting)
    made.platform = colored("blue")
    made.settle()
    assert made.holds.sets[REPOSITORY_ID].specs[waiting].services[0].env == ()
    assert made.decision().statuses[identity(waiting)].hold


def doubt_about(made: Machine, number: int, days: int) -> None:
    """Pass days in which one pull request is read stale only, while another one is pushed to each day."""
    for day in range(days):
        made.pass_time(timedelta(days=1))
        made.pull_requests[2] = replace(made.pull_requests[2], head_sha=f"{day:040}")
        made.apply(decide(replace(made.facts(), stale=frozenset({number})), made.platform, REPOSITORY, made.now))


@pytest.mark.parametrize(("days", "living"), [(6, {2}), (8, {1, 2})])
def test_a_release_that_could_not_be_used_ends_after_seven_days(days: int, living: set[int]) -> None:
    made = settled(2, replace(PLATFORM, lifetime=replace(PLATFORM.lifetime, inactive_after=None)))
    made.pull_requests[1] = replace(made.pull_requests[1], labels=frozenset(), label_events=())
    made.settle()
    made.release(1)
    doubt_about(made, 1, days)
    made.settle()
    assert made.living == living


@pytest.mark.parametrize(("age", "kept"), [(timedelta(days=6, hours=23), True), (timedelta(days=7, hours=1), False)])
def test_releases_are_kept_for_seven_days(age: timedelta, kept: bool) -> None:
    ledger = Ledger(releases=(Release(identity(), HoldKey(HoldKind.BREAKER), "grace", NOW - age),))
    assert bool(preview_sets.pruned(ledger, NOW).releases) is kept


@pytest.mark.parametrize("age", [timedelta(hours=3), timedelta(days=30)])
def test_a_removal_that_takes_longer_than_an_hour_keeps_its_cause_and_its_receipt(age: timedelta) -> None:
    made = settled(1)
    made.unlabel(1, ADA)
    made.apply(made.decision())
    made.pass_time(age)
    made.pull_requests[2] = pull_request(2)
    made.apply(made.decision())  # the ledger is written, and pruned, while the removal goes on
    [said] = [a.reason.text for a in made.settle() if isinstance(a, VerifyRemoval)]
    assert "ada" in said


def spent(cause: Cause, at: datetime) -> Ledger:
    return Ledger(withdrawals=tuple(Withdrawal(identity(n), cause, at, told=True) for n in (7, 8, 9)))


@pytest.mark.parametrize("cause", [c for c in Cause if c is not Cause.UNLABELED])
def test_each_cause_of_removal_has_a_limit_of_its_own(cause: Cause) -> None:
    made = settled(1)
    preview_set = replace(made.holds.sets[REPOSITORY_ID], ledger=spent(cause, NOW))
    made.holds = replace(made.holds, sets={REPOSITORY_ID: preview_set})
    made.unlabel(1, ADA)
    assert [a for a in made.decision().actions if isinstance(a, Withdraw)]


def test_a_held_preview_does_not_expire() -> None:
    made = settled(1)
    made.platform = replace(PLATFORM, label="review")
    for _ in range(10):
        made.pass_time(timedelta(days=1))
        made.settle()
        [status] = made.decision().statuses.values()
        assert (status.stage, status.warning) == (Stage.HELD, None)
    assert made.pull_requests[1].labels == {"preview"}
