"""Background work starts again after an exception, is logged, and ends only when it returns or is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from greenroom.background import BACKOFF_SECONDS, SETTLED_SECONDS, Tasks, supervised
from waiting import until


class Work:
    """Work that raises the given number of times, each after lasting so long by its own clock."""

    def __init__(self, failures: int, lasts: float = 0.0) -> None:
        self.failures, self.lasts, self.now, self.runs = failures, lasts, 0.0, 0
        self.pauses: list[float] = []

    async def run(self) -> None:
        self.runs += 1
        self.now += self.lasts
        if self.runs <= self.failures:
            raise KeyError("maybe")

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def supervised(self) -> None:
        await supervised("the work", self.run, sleep=self.sleep, monotonic=lambda: self.now)


async def test_work_that_raises_is_run_again_with_growing_pauses() -> None:
    work = Work(failures=7)
    await work.supervised()
    assert work.runs == 8
    assert work.pauses == [*BACKOFF_SECONDS, 30.0, 30.0]


async def test_pauses_start_over_once_the_work_has_lasted() -> None:
    work = Work(failures=3, lasts=SETTLED_SECONDS)
    await work.supervised()
    assert work.pauses == [BACKOFF_SECONDS[0]] * 3


async def test_cancellation_ends_supervised_work() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(supervised("the work", forever))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_tasks_end_together_and_an_error_is_reported_once() -> None:
    errors: list[BaseException] = []
    tasks = Tasks(errors.append)

    async def broken() -> None:
        raise KeyError("maybe")

    async def forever() -> None:
        await asyncio.Event().wait()

    tasks.start("broken", broken())
    tasks.keep("forever", forever)
    await until(lambda: errors)
    assert [type(e) for e in errors] == [KeyError]
    running = [tasks.running]
    await tasks.aclose()
    assert [*running, tasks.running] == [True, False]
    assert len(errors) == 1, "cancellation is not an error"


async def test_a_task_that_has_just_ended_is_not_running() -> None:
    tasks, ended = Tasks(), asyncio.Event()

    async def work() -> None:
        ended.set()

    tasks.start("work", work())
    await ended.wait()
    assert not tasks.running, "whoever starts a task unless one runs would lose it"
