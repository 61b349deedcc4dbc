"""Which reads are too old to act on: older than a hint of GitHub's, or than our own last write.

GitHub's reads may lag behind its webhooks and our writes. A webhook's `updated_at` is no fact, only a lower bound; what
is below it is read again. Bounds end after an hour, so that a wrong one cannot stop a pull request for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from greenroom.core import labels
from greenroom.core.gates import last_event
from greenroom.core.model import Identity, PullRequest

HINT_KEPT = 3600.0
OWN_KEPT = 60.0
WAITS = (2.0, 10.0, 60.0)


@dataclass(slots=True)
class Freshness:
    """The lower bounds of one running instance. Losing them (a restart) costs a repeated read, nothing else."""

    monotonic: Callable[[], float] = time.monotonic
    _hints: dict[Identity, tuple[datetime, float]] = field(default_factory=dict)
    _comments: dict[Identity, tuple[str, float]] = field(default_factory=dict)
    _labels: dict[Identity, tuple[str, datetime, float]] = field(default_factory=dict)
    _tries: dict[int, int] = field(default_factory=dict)
    _unseen: dict[Identity, int] = field(default_factory=dict)

    def hinted(self, identity: Identity, updated_at: datetime) -> None:
        """A webhook spoke of this pull request as it was at that time."""
        old = self._hints.get(identity)
        if old is None or updated_at > old[0]:
            self._hints[identity] = (updated_at, self.monotonic())

    def wrote_comment(self, identity: Identity, body: str) -> None:
        """We wrote our comment."""
        self._comments[identity] = (body, self.monotonic())

    def took_label_off(self, identity: Identity, label: str, at: datetime) -> None:
        """We took a label off, at that time of GitHub's clock."""
        self._labels[identity] = (label, at, self.monotonic())

    def stale(self, pull_request: PullRequest) -> bool:
        """Whether this read is older than what we know to have happened."""
        self._forget()
        if self.overtaken(pull_request):
            return True
        return self._comment_lags(pull_request) or self._label_lags(pull_request)

    def overtaken(self, pull_request: PullRequest) -> bool:
        """Whether a webhook spoke of a later state than this read."""
        hint = self._hints.get(pull_request.identity)
        return hint is not None and pull_request.updated_at < hint[0]

    def unseen(self, repository_id: int, seen: Collection[int]) -> bool:
        """Whether a webhook spoke of a pull request that this pass did not read: the list may lag behind.

        Asked three times for each; after that the pull request is none of ours (closed, never labelled).
        """
        found = [i for i in self._hints if i.repository_id == repository_id and i.number not in seen]
        for identity in found:
            self._unseen[identity] = self._unseen.get(identity, 0) + 1
            if self._unseen[identity] >= len(WAITS):
                del self._hints[identity], self._unseen[identity]
        return bool(found)

    def caught_up(self, pull_request: PullRequest) -> None:
        """A fresh read arrived: the hint has done its work."""
        hint = self._hints.get(pull_request.identity)
        if hint and pull_request.updated_at >= hint[0]:
            del self._hints[pull_request.identity]

    def wait(self, repository_id: int, *, stale: bool) -> float | None:
        """Seconds until the next try of a repository with stale reads: 2, 10, then 60; None when all is fresh."""
        if not stale:
            self._tries.pop(repository_id, None)
            return None
        tries = self._tries.get(repository_id, 0)
        self._tries[repository_id] = tries + 1
        return WAITS[min(tries, len(WAITS) - 1)]

    def _comment_lags(self, pull_request: PullRequest) -> bool:
        written = self._comments.get(pull_request.identity)
        if written is None:
            return False
        comment = pull_request.comment
        return comment is None or (comment.trusted and comment.body.replace("\r\n", "\n") != written[0])

    def _label_lags(self, pull_request: PullRequest) -> bool:
        taken = self._labels.get(pull_request.identity)
        if taken is None or not labels.carries(pull_request.labels, taken[0]):
            return False
        event = last_event(pull_request.label_events, taken[0])
        return event is None or event.at <= taken[1]

    def _forget(self) -> None:
        now = self.monotonic()
        self._hints = {i: h for i, h in self._hints.items() if now - h[1] < HINT_KEPT}
        self._comments = {i: c for i, c in self._comments.items() if now - c[1] < OWN_KEPT}
        self._labels = {i: w for i, w in self._labels.items() if now - w[2] < OWN_KEPT}
