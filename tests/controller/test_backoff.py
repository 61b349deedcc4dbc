"""What failed for one preview is tried less and less often; what concerns everybody is not one preview's failure."""

from __future__ import annotations

from datetime import timedelta

import pytest

from builders import NOW, identity
from greenroom.controller.backoff import Backoff
from greenroom.controller.executor import ActionResult
from greenroom.core.model.actions import Remove, UpdateComment, VerifyRemoval
from greenroom.core.model.engine import Receipt
from greenroom.core.model.github import CommentState
from greenroom.core.model.status import Reason
from greenroom.errors import Doubt, FixConfiguration, FixCredentials, GreenroomError, Refused, RetryLater
from greenroom.github.transport import Limited

WHY = Reason("x", "So it is.")


def tell(number: int = 1) -> UpdateComment:
    return UpdateComment(identity(number), "text", CommentState(), WHY)


def test_waits_grow_to_five_minutes_and_end_with_a_success() -> None:
    backoff, now, waits = Backoff(), NOW, []
    for _ in range(10):
        assert backoff.record([ActionResult(tell(), error=Refused("locked"))], now) == []
        waits.append(backoff.wait(tell(), now))
        now += timedelta(seconds=waits[-1])
        assert backoff.wait(tell(), now) == 0
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    backoff.record([ActionResult(tell())], now)
    assert (backoff.wait(tell(), now), backoff.why(identity(1), UpdateComment), backoff.next(7, now)) == (0, "", None)


def test_another_effect_of_the_same_preview_and_other_previews_do_not_wait() -> None:
    backoff = Backoff()
    backoff.record([ActionResult(tell(), error=Doubt("x"))], NOW)
    assert backoff.wait(Remove(identity(1), "uid", WHY), NOW) == 0
    assert backoff.wait(tell(2), NOW) == 0
    assert backoff.next(7, NOW) == 2
    assert backoff.next(8, NOW) is None


def test_effect_that_is_due_and_waits_for_something_else_hides_no_later_look() -> None:
    backoff = Backoff()
    backoff.record([ActionResult(tell(n), error=Doubt("x")) for n in (1, 2)], NOW)
    backoff.record([ActionResult(tell(2), error=Doubt("x"))], NOW)
    assert backoff.next(7, NOW + timedelta(seconds=3)) == 1
    assert backoff.next(7, NOW + timedelta(seconds=5)) is None


def test_failures_of_actions_that_are_no_longer_planned_are_forgotten() -> None:
    backoff = Backoff()
    backoff.record([ActionResult(tell(n), error=Doubt("x")) for n in (1, 2)], NOW)
    backoff.forget(8, ())
    backoff.forget(7, (tell(2),))
    assert [bool(backoff.why(identity(n), UpdateComment)) for n in (1, 2)] == [False, True]


def test_removal_is_looked_at_when_asked_for_and_whenever_the_engine_wakes_us() -> None:
    backoff = Backoff()
    remove = Remove(identity(1), "uid", WHY)
    assert backoff.record([ActionResult(remove, error=RetryLater("not yet", after=1.0))], NOW) == []
    assert (backoff.next(7, NOW), backoff.wait(remove, NOW)) == (1, 0)


def test_what_is_left_of_a_removed_preview_is_looked_for_less_and_less_often_without_a_wake() -> None:
    backoff, action = Backoff(), VerifyRemoval(identity(1), WHY, final=True)
    for count in range(3):
        assert backoff.record([ActionResult(action, Receipt(identity(1), ("all",), ("volume a",)))], NOW) == []
        assert (backoff.next(7, NOW), backoff.wait(action, NOW)) == (2 * 2**count, 0)
    assert backoff.left(identity(1)) == ("volume a",)


def test_comment_on_a_removal_that_cannot_be_written_waits() -> None:
    backoff, action = Backoff(), VerifyRemoval(identity(1), WHY, final=True)
    assert backoff.record([ActionResult(action, error=RetryLater("GitHub returned 500."))], NOW) == []
    assert backoff.wait(action, NOW) == 2


@pytest.mark.parametrize(
    "error",
    [Limited("wait", after=60.0), FixConfiguration("archived"), FixCredentials("no permission")],
    ids=["a rate limit", "an archived repository", "a token without the permission"],
)
def test_an_error_that_concerns_all_previews_is_not_a_failure_of_one(error: GreenroomError) -> None:
    backoff = Backoff()
    assert backoff.record([ActionResult(tell(), error=error)], NOW) == [error]
    assert backoff.wait(tell(), NOW) == 0


def test_losing_the_lease_is_not_a_failure_of_a_preview() -> None:
    lost = Doubt("This instance does not hold the Lease.")
    assert Backoff().record([ActionResult(tell(), error=lost, shared=True)], NOW) == [lost]


def test_a_write_that_is_not_allowed_is_one_previews_own_while_others_succeed() -> None:
    backoff, error = Backoff(), FixCredentials("no permission")
    later = NOW + timedelta(minutes=1)
    assert backoff.record([ActionResult(tell(1), error=error), ActionResult(tell(2))], NOW) == []
    assert backoff.record([ActionResult(tell(1), error=error)], later) == []
    assert backoff.record([ActionResult(tell(2), error=error)], later) == [error], "the token may have lost it since"


def test_failures_of_all_previews_mean_that_the_other_side_is_down() -> None:
    backoff, away = Backoff(), RetryLater("GitHub returned 500.")
    assert backoff.record([ActionResult(tell(1), error=away)], NOW) == []
    assert backoff.record([ActionResult(tell(1), error=away), ActionResult(tell(2))], NOW) == []
    assert backoff.record([ActionResult(tell(1), error=away), ActionResult(tell(2), error=away)], NOW) == [away, away]
