"""Random lives: people, pushes, links and configuration changes in any order. Two properties hold in all of them."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given

from builders import REPOSITORY_ID
from deeds import DEEDS, STEPS, begun
from greenroom.core.model.actions import Action, Change, RemoveLabel, Start
from greenroom.core.model.status import Stage
from machine import Machine


def warned(made: Machine) -> set[int]:
    """Return the pull requests whose comment says when the preview will be removed."""
    return {
        s.number
        for s in made.decision().statuses.values()
        if (warning := s.reason if s.stage is Stage.EXPIRING else s.warning)
        and (comment := made.pull_requests[s.number].comment)
        and warning.text.split(":")[0] in comment.body
    }


@given(STEPS)
def test_nothing_expires_without_a_warning_a_day_before(steps: list[tuple[str, int, int]]) -> None:
    made = begun()
    since = dict.fromkeys(warned(made), made.now)
    for deed, number, hours in steps:
        made.pass_time(timedelta(hours=hours))
        for expired in _expired(made.settle()):
            assert expired in since, f"#{expired} was not warned"
            assert made.now - since[expired] >= timedelta(days=1)
        since = {n: since.get(n, made.now) for n in warned(made)}
        DEEDS[deed](made, number)
        made.settle()
        since = {n: since.get(n, made.now) for n in warned(made)}


def _expired(done: list[Action]) -> list[int]:
    return [a.identity.number for a in done if isinstance(a, RemoveLabel)]


@given(STEPS)
def test_the_plan_of_an_applied_plan_is_empty(steps: list[tuple[str, int, int]]) -> None:
    made = begun()
    for deed, number, hours in steps:
        made.pass_time(timedelta(hours=hours))
        DEEDS[deed](made, number)
        made.settle()
        again = made.decision()
        assert (again.actions, again.plan.spent) == ((), frozenset()), deed


@given(STEPS)
def test_no_commit_without_an_image_is_served_and_no_version_is_taken_away(steps: list[tuple[str, int, int]]) -> None:
    made = begun()
    for deed, number, hours in steps:
        made.pass_time(timedelta(hours=hours))
        DEEDS[deed](made, number)
        before = dict(made.holds.sets[REPOSITORY_ID].specs)
        for action in made.settle():
            if isinstance(action, Start | Change):
                assert not {v.sha for v in action.spec.build.versions} & made.unbuilt, deed
            if isinstance(action, Change) and (old := before.get(action.identity.number)):
                assert old.prepared or not action.spec.prepared, deed
