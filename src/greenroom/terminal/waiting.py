"""Waiting from outside until a preview serves a commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from greenroom.terminal.client import Unreachable

EVERY = 2.0
LASTS = 30.0
"""Seconds that a failure must last before the wait ends. Many failures disappear with the next read or restart."""

READS = 3
"""Number of reads of GitHub after which a commit counts as superseded. A push shortly before the wait may have made the
commit the head again, and only the third read is certain to have started after the wait did.
"""


def wait(
    ask: Callable[[bool], dict[str, Any]],
    seconds: float,
    progress: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Poll the state of a preview until it serves the commit, never will, has failed for `LASTS` seconds, or the time
    is up.

    The argument of `ask` says whether to read GitHub again soon. Return the last answer: `outcome` (`serving`,
    `superseded`, `failed` or `waiting`), `why`, `read_at`, and `status`, the preview as JSON.
    `progress` is called with each new reason. If the instance does not respond, it may be restarting, so poll again.
    """
    end, said, failed_since, again = monotonic() + seconds, "", None, False
    reads: set[str] = set()
    while True:
        try:
            answer = ask(again)
        except Unreachable as error:
            answer = {"outcome": "waiting", "why": str(error), "status": None}
        now = monotonic()
        failed_since = (now if failed_since is None else failed_since) if answer["outcome"] == "failed" else None
        again = answer["outcome"] == "superseded"
        reads.add(str(answer.get("read_at")))
        if answer["outcome"] == "serving" or (again and len(reads) >= READS):
            return answer
        if failed_since is not None and now - failed_since >= LASTS:
            return answer
        if now >= end:
            known = failed_since is not None or again
            return answer if known else {**answer, "why": f"Timed out. {answer['why']}"}
        if answer["why"] != said:
            said = answer["why"]
            progress(said)
        sleep(min(EVERY, end - now))
