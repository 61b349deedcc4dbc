"""The prober's own judgment: it must be able to fail."""

from __future__ import annotations

import pytest

from e2e.prober import READY, WAIT, Claim, judged
from e2e.traffic import NO_ANSWER, Answer

SAID = Claim(WAIT, "2", 10.0, 20.0)


def answer(release: str, begun: float, ended: float, status: int = 200) -> Answer:
    return Answer(begun, ended, status, release)


@pytest.mark.parametrize(
    ("given", "violations", "count"),
    [
        (answer("2", 11, 12), 0, 1),
        (answer("1", 11, 12), 1, 1),
        (answer("1", 9.9, 12), 0, 0),  # it was on its way before anything was said
        (answer("3", 19, 20.1), 0, 0),  # the next push was known by then
        (answer("", 11, 12, 502), 0, 0),
        (answer("", 11, 12, NO_ANSWER), 0, 0),
        (answer("1", 21, 22), 0, 0),
        (answer("1", 5, 6), 0, 0),
    ],
)
def test_answer_of_another_release_contradicts_a_claim_that_held_all_the_time(
    given: Answer, violations: int, count: int
) -> None:
    found = judged([given], [SAID])
    assert (len(found.violations), found.judged[WAIT]) == (violations, count)


def test_each_claim_is_judged_for_itself() -> None:
    claims = [SAID, Claim(READY, "1", 0.0, 15.0), Claim(READY, "2", 16.0, 30.0)]
    found = judged([answer("1", 11, 12), answer("2", 17, 18), answer("2", 15.2, 15.5)], claims)
    assert [v.claim.by for v in found.violations] == [WAIT]
    assert found.judged == {WAIT: 3, READY: 2}
    assert str(found.violations[0]) == "wait said 2; 1.00 s later 1 answered"
