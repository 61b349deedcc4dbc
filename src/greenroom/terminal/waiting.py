"""Waiting from outside until a preview serves a commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from greenroom.terminal.client import Unreachable

EVERY = 2.0
LASTS = 30.0
"""A failure counts once it has lasted this long, in seconds: many end with the next read or restart."""


def wait(
    ask: Callable[[], dict[str, Any]],
    seconds: float,
    progress: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Ask for the state of a preview until it serves the commit, or has failed for `LASTS` seconds, or the time is up.

    Return the last answer: `outcome` (`serving`, `failed` or `waiting`), `why`, and `status`, the preview as JSON.
    `progress` is called with each new reason. An instance that does not answer may be restarting, and is asked again.
    """
    end, said, failed_since = monotonic() + seconds, "", None
    while True:
        try:
            answer = ask()
        except Unreachable as error:
            answer = {"outcome": "waiting", "why": str(error), "status": None}
        now = monotonic()
        failed_since = (now if failed_since is None else failed_since) if answer["outcome"] == "failed" else None
        if answer["outcome"] == "serving" or (failed_since is not None and now - failed_since >= LASTS):
            return answer
        if now >= end:
            return answer if failed_since is not None else {**answer, "why": f"Timed out. {answer['why']}"}
        if answer["why"] != said:
            said = answer["why"]
            progress(said)
        sleep(min(EVERY, end - now))
