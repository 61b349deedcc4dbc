"""Waiting from outside until a preview serves a commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from greenroom.errors import GreenroomError

EVERY = 2.0


def wait(
    ask: Callable[[str], dict[str, Any]],
    name: str,
    commit: str,
    seconds: float,
    progress: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Ask for the state of a preview until it serves the commit, or cannot without a person, or the time is up.

    Return the last answer: `outcome` (`serving`, `failed` or `waiting`), `why`, and `status`, the preview as JSON.
    `progress` is called with each new reason. An instance that does not answer is asked again: it may be restarting.
    """
    repository, _, number = name.rpartition("#")
    path = f"/api/previews/{repository}/{number}/wait" + (f"?commit={commit}" if commit else "")
    end, said = monotonic() + seconds, ""
    while True:
        try:
            answer = ask(path)
        except GreenroomError as error:
            answer = {"outcome": "waiting", "why": str(error), "status": None}
        left = end - monotonic()
        if answer["outcome"] != "waiting":
            return answer
        if left <= 0:
            return {**answer, "why": f"Not within the timeout. {answer['why']}"}
        if answer["why"] != said:
            said = answer["why"]
            progress(said)
        sleep(min(EVERY, left))
