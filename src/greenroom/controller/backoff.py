"""Back-off for each preview: a failed effect is retried with growing pauses, and nothing else waits for it.

A failure that concerns all previews (the token, a rate limit, a GitHub outage) has no back-off here: it ends the pass.
Losing this state in a restart costs one extra try for each failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from greenroom.controller.executor import ActionResult
from greenroom.controller.loop import back_off
from greenroom.core.model.actions import Action, Remove, RemoveLabel, UpdateComment, VerifyRemoval
from greenroom.core.model.spec import Identity
from greenroom.errors import Doubt, FixConfiguration, FixCredentials, GreenroomError, RetryLater
from greenroom.github.transport import Limited

Key = tuple[Identity, type[Action]]


@dataclass(frozen=True, slots=True)
class Failure:
    """An effect that failed `count` times in a row since `since`, and is due again at `until`."""

    error: GreenroomError
    count: int
    since: datetime
    until: datetime
    left: tuple[str, ...] = ()


@dataclass(slots=True)
class Backoff:
    """The failures of one running instance. Times are GitHub's."""

    _failures: dict[Key, Failure] = field(default_factory=dict)
    _written: dict[int, datetime] = field(default_factory=dict)  # the last write that GitHub accepted, by repository id

    def wait(self, action: Action, now: datetime) -> float:
        """Return the seconds until this action may be tried again; 0 when it may be tried now.

        A removal never waits: a change in the engine triggers a pass, which must check whether the removal is done.
        """
        found = self._failures.get(_key(action))
        if found is None or found.left or isinstance(action, Remove):
            return 0.0
        return max(0.0, (found.until - now).total_seconds())

    def next(self, repository_id: int, now: datetime) -> float | None:
        """Return the seconds until the first failed effect of a repository is due, None when there is none.

        An effect that is due already and was not tried waits for something else, such as the budget of comments, which
        has its own wait.
        """
        mine = (f.until for (i, _), f in self._failures.items() if i.repository_id == repository_id)
        return min(((until - now).total_seconds() for until in mine if until > now), default=None)

    def why(self, identity: Identity, kind: type[Action], tries: int = 1) -> str:
        """Return why effects of this kind failed at least `tries` times in a row; empty when they did not."""
        found = self._failures.get((identity, kind))
        return str(found.error) if found and found.count >= tries else ""

    def left(self, identity: Identity) -> tuple[str, ...]:
        """Return the leftovers of a removed preview at the last check."""
        found = self._failures.get((identity, VerifyRemoval))
        return found.left if found else ()

    def forget(self, repository_id: int, wanted: Sequence[Action]) -> None:
        """Drop the failures of effects that are no longer planned."""
        kept = {_key(a) for a in wanted}
        self._failures = {k: f for k, f in self._failures.items() if k[0].repository_id != repository_id or k in kept}

    def record(self, done: Sequence[ActionResult], now: datetime) -> list[GreenroomError]:
        """Record the failures, and return the errors that concern all previews."""
        for each in done:
            if _failed(each) is None:
                self._failures.pop(_key(each.action), None)
                if isinstance(each.action, UpdateComment | RemoveLabel):
                    self._written[each.action.identity.repository_id] = now
        everybody = []
        away = _away(done)
        for each in done:
            if error := _failed(each):
                known = self._failures.get(_key(each.action))
                since, count = (known.since, known.count) if known else (now, 0)
                own = not (away or each.shared or self._of_everybody(each.action.identity, error, since))
                wait = back_off(error, count) if own else 0.0
                left = each.receipt.left if each.receipt else ()
                until = now + timedelta(seconds=wait)
                self._failures[_key(each.action)] = Failure(error, count + 1, since, until, left)
                everybody += [] if own else [error]
        return everybody

    def _of_everybody(self, identity: Identity, error: GreenroomError, since: datetime) -> bool:
        """Return whether an error concerns all previews.

        A forbidden write may be the fault of the token or of this pull request. If GitHub has accepted another write to
        the repository since, it is not the token.
        """
        if isinstance(error, FixCredentials):
            written = self._written.get(identity.repository_id)
            return written is None or written < since
        return isinstance(error, FixConfiguration | Limited)


def _key(action: Action) -> Key:
    return action.identity, type(action)


def _failed(done: ActionResult) -> GreenroomError | None:
    """Return the error of an action; a removed preview of which something is left counts as failed."""
    if done.error is None and done.receipt and done.receipt.left:
        return Doubt(f"Some of the preview's resources still exist: {', '.join(done.receipt.left)}.")
    return done.error


def _away(done: Sequence[ActionResult]) -> bool:
    """Return whether the other side seems to be down: it failed for several previews and succeeded for none."""
    silent = {d.action.identity for d in done if isinstance(d.error, RetryLater) and d.error.after is None}
    return len(silent) > 1 and all(d.action.identity in silent for d in done)
