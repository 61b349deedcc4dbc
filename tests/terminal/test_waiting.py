"""`greenroom wait`, by a clock that the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.errors import Failed
from greenroom.terminal.client import Unreachable
from greenroom.terminal.waiting import wait


class Instance:
    """Answers one after another, the last one for ever. Time passes only while somebody sleeps."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.said: list[str] = []
        self.now = 0.0

    def ask(self) -> dict[str, Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        outcome, _, why = answer.partition(" ")
        return {"outcome": outcome, "why": why, "status": None}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, seconds: float = 60) -> dict[str, Any]:
        return wait(self.ask, seconds, self.said.append, sleep=self.sleep, monotonic=lambda: self.now)


def test_each_reason_is_shown_once_until_the_commit_serves() -> None:
    instance = Instance("waiting for image", "waiting for image", "waiting starting", "serving now")
    assert instance.wait()["outcome"] == "serving"
    assert instance.said == ["for image", "starting"]
    assert instance.now == 6


def test_failure_that_lasts_ends_the_wait() -> None:
    instance = Instance("failed it crashed")
    assert instance.wait(600)["why"] == "it crashed"
    assert instance.now == 30


def test_failure_that_recovers_does_not_end_the_wait() -> None:
    instance = Instance("failed it crashed", "failed it crashed", "waiting starting", "failed again", "serving now")
    assert instance.wait(600)["outcome"] == "serving"


def test_failure_at_the_end_of_the_time_is_a_failure() -> None:
    assert Instance("failed it crashed").wait(5) == {"outcome": "failed", "why": "it crashed", "status": None}


def test_time_that_is_up_names_what_was_waited_for() -> None:
    instance = Instance("waiting for image")
    answer = instance.wait(5)
    assert (answer["outcome"], answer["why"]) == ("waiting", "Timed out. for image")
    assert instance.now == 5


def test_restart_of_the_instance_does_not_end_the_wait() -> None:
    instance = Instance(Unreachable("No Greenroom answers."), "serving now")
    assert instance.wait()["outcome"] == "serving"
    assert instance.said == ["No Greenroom answers."]


def test_refusal_of_the_instance_ends_the_wait() -> None:
    with pytest.raises(Failed, match="For the command line only"):
        Instance(Failed("For the command line only.")).wait()
