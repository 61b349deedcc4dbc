"""Rate limiter for edits of one comment: a burst, then one a minute, so that flapping cannot use up GitHub's limit.

The limit on all comments together is in `github/content_budget.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from greenroom.core.model.spec import Identity

AT_ONCE = 30
EVERY = 60.0


@dataclass(slots=True)
class Pace:
    """The remaining edits of each comment. Losing it (a restart) costs a few edits, nothing else."""

    monotonic: Callable[[], float] = time.monotonic
    _left: dict[Identity, tuple[float, float]] = field(default_factory=dict)

    def wait(self, identity: Identity) -> float:
        """Return the seconds until this comment may be edited again; 0 when it may be edited now."""
        return max(0.0, 1.0 - self._now(identity)) * EVERY

    def edited(self, identity: Identity) -> None:
        """Count one edit of this comment."""
        self._left[identity] = (self._now(identity) - 1.0, self.monotonic())

    def _now(self, identity: Identity) -> float:
        left, at = self._left.get(identity, (float(AT_ONCE), 0.0))
        return min(float(AT_ONCE), left + (self.monotonic() - at) / EVERY)
