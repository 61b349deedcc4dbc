"""A held preview does not expire; it is shown as overdue once its lifetime is over, until a person decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import ADA, NOW, PLATFORM, changed, decide, facts, observed, pull_request, spec
from greenroom.core.model.actions import RemoveLabel, Withdraw
from greenroom.core.model.catalog import Lifetime
from greenroom.core.model.github import Activity
from greenroom.core.model.status import Status
from greenroom.core.policy.expiry import overdue
from machine import Machine

DAY = timedelta(days=1)
AGED = replace(PLATFORM, lifetime=Lifetime(None, DAY, 30 * DAY))
QUIET = replace(PLATFORM, lifetime=Lifetime(3 * DAY, DAY, None))
NEVER = replace(PLATFORM, lifetime=Lifetime(None, DAY, None))


def held(made: Machine) -> Status:
    [status] = made.decision().statuses.values()
    return status


def after_a_rename(platform: object, days: float) -> Machine:
    """A preview whose label was renamed on GitHub, so that it is held, and that nobody looked at for so many days."""
    made = Machine({1: pull_request(1)}, platform=platform)  # type: ignore[arg-type]
    made.settle()
    made.pull_requests[1] = replace(made.pull_requests[1], labels=frozenset())
    made.pass_time(timedelta(days=days))
    made.settle()
    return made


def test_a_held_preview_does_not_expire() -> None:
    made = after_a_rename(AGED, 200)
    assert made.living == {1}
    assert held(made).hold
    assert not [a for a in made.decision().actions if isinstance(a, RemoveLabel | Withdraw)]


@pytest.mark.parametrize(
    ("platform", "days", "expected"),
    [(AGED, 29, False), (AGED, 31, True), (QUIET, 2, False), (QUIET, 4, True), (NEVER, 500, False)],
    ids=["young", "older than maxAge", "just held", "inactive", "nothing expires here"],
)
def test_a_held_preview_is_overdue_once_its_lifetime_is_over(platform: object, days: float, expected: bool) -> None:
    assert held(after_a_rename(platform, days)).overdue is expected


def test_a_preview_of_a_repository_that_left_the_catalog_is_overdue_by_its_age() -> None:
    platform = replace(AGED, repositories=())
    found = facts(holds=observed(1))
    late = decide(found, platform, PLATFORM.repositories[0], NOW + 31 * DAY)
    [status] = late.statuses.values()
    assert (status.reason.code, status.overdue) == ("not-in-catalog", True)


def test_a_preview_that_is_not_held_is_never_overdue() -> None:
    made = Machine({1: pull_request(1)}, platform=AGED)
    made.settle()
    made.pass_time(31 * DAY)
    assert not held(made).overdue, "it is warned and goes by itself"


def test_a_person_who_works_on_it_moves_the_time_on() -> None:
    made = after_a_rename(QUIET, 4)
    active = Activity("commented", ADA, made.now)
    made.pull_requests[1] = replace(made.pull_requests[1], activities=(active,))
    assert not held(made).overdue


def test_the_rule_says_so_of_age_alone_where_activity_is_not_known() -> None:
    old = changed(spec(1), created=NOW - 40 * DAY)
    assert overdue(old, AGED.lifetime, None, NOW)
    assert not overdue(old, QUIET.lifetime, None, NOW)
