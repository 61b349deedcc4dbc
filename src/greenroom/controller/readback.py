"""Comments that were written on GitHub and not read back yet. They are written again, with growing pauses and a limit.

An answer of 200 does not prove that a write was applied. Only a later read does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from greenroom.core.model.github import CommentState
from greenroom.core.model.spec import Identity
from greenroom.core.planning import backoff

WAITS = (2.0, 10.0, 60.0, 300.0, 1800.0)
TRIES = 5
Written = tuple[str, CommentState]


@dataclass(slots=True)
class Readback:
    """The last comment written on each pull request, until it is read back. Losing it costs a few more edits."""

    monotonic: Callable[[], float] = time.monotonic
    _written: dict[Identity, tuple[Written, int, float]] = field(default_factory=dict)

    def wrote(self, identity: Identity, said: Written) -> None:
        """Count one more write of this comment."""
        last = self._written.get(identity)
        tries = last[1] if last and last[0] == said else 0
        self._written[identity] = (said, tries + 1, self.monotonic())

    def wait(self, identity: Identity, said: Written) -> float:
        """Return the seconds until the same text may be written again; 0 for any other text."""
        last = self._written.get(identity)
        if last is None or last[0] != said:
            return 0.0
        return max(0.0, last[2] + backoff.pause(WAITS, last[1] - 1) - self.monotonic())

    def exhausted(self, identity: Identity, said: Written, tries: int = TRIES) -> bool:
        """Return whether this was written so often that another write will not help, and the last wait is over."""
        last = self._written.get(identity)
        return last is not None and last[0] == said and last[1] >= tries and not self.wait(identity, said)

    def read(self, identities: Collection[Identity]) -> None:
        """Forget these pull requests: their comments read back as written."""
        for identity in identities:
            self._written.pop(identity, None)
