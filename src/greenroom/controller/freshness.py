"""Detection of reads that are too old to act on: older than an earlier read, a webhook, or our own last write.

GitHub answers from replicas that lag behind each other, behind its webhooks and behind our writes. The newest
`updated_at` read so far is the watermark of a pull request; Greenroom ignores an older answer and reads again. The
`updated_at` of a webhook is not verified: it is capped at GitHub's clock and ends after an hour, so that a wrong one
cannot block a pull request forever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime

from greenroom.core.model.engine import Watermark
from greenroom.core.model.github import PullRequest
from greenroom.core.model.spec import Identity
from greenroom.core.planning import backoff, watermarks
from greenroom.core.policy import labels
from greenroom.core.policy.gates import last_event

HINT_KEPT = 3600.0
MARK_KEPT = 3600.0
OWN_KEPT = 60.0
DELETIONS = 5
WAITS = (2.0, 10.0, 60.0)


@dataclass(slots=True)
class Freshness:
    """Lower bounds of one running instance. After a restart, `keep` restores the watermarks from the preview sets."""

    monotonic: Callable[[], float] = time.monotonic
    _hints: dict[Identity, tuple[datetime, float]] = field(default_factory=dict)
    _marks: dict[Identity, tuple[Watermark, float]] = field(default_factory=dict)
    _comments: dict[Identity, tuple[str, float]] = field(default_factory=dict)
    _ids: dict[Identity, int] = field(default_factory=dict)
    _labels: dict[Identity, tuple[str, datetime, float]] = field(default_factory=dict)
    _deleted: dict[int, tuple[int, float]] = field(default_factory=dict)
    _tries: dict[int, int] = field(default_factory=dict)
    _unseen: dict[Identity, int] = field(default_factory=dict)

    def copy(self) -> Freshness:
        """Return an independent copy, so that a query can learn from its reads without a trace here."""
        twin = Freshness(self.monotonic)
        for each in fields(self):
            if each.name != "monotonic":
                getattr(twin, each.name).update(getattr(self, each.name))
        return twin

    def hinted(self, identity: Identity, updated_at: datetime) -> None:
        """Remember that a webhook showed this pull request in its state at that time."""
        old = self._hints.get(identity)
        if old is None or updated_at > old[0]:
            self._hints[identity] = (updated_at, self.monotonic())

    def wrote_comment(self, identity: Identity, comment_id: int, body: str) -> None:
        """Remember the id and text of the comment that we just wrote."""
        self._comments[identity] = (body, self.monotonic())
        self._ids[identity] = comment_id

    def wrote_recently(self, identity: Identity) -> bool:
        """Return whether we wrote the comment a moment ago, so that GitHub may not show it everywhere yet."""
        _, at = self._comments.get(identity, ("", -OWN_KEPT))
        return self.monotonic() - at < OWN_KEPT

    def comment_id(self, identity: Identity) -> int | None:
        """Return the id of our comment on this pull request; None until we wrote it or read it from the preview set."""
        return self._ids.get(identity)

    def keep_comments(self, repository_id: int, ids: Mapping[int, int]) -> None:
        """Add the ids of our comments from the preview set. Ids of comments written since the start take precedence."""
        self._ids = {Identity(repository_id, n): comment_id for n, comment_id in ids.items()} | self._ids

    def deletes_comment(self, comment_id: int) -> None:
        """Remember that we delete a comment now. GitHub may still show it for a while, or never delete it."""
        tries, _ = self._deleted.get(comment_id, (0, 0.0))
        self._deleted[comment_id] = (tries + 1, self.monotonic())

    def may_delete(self, comment_id: int) -> bool:
        """Return whether to ask GitHub to delete a comment: at most `DELETIONS` times, a minute apart."""
        tries, last = self._deleted.get(comment_id, (0, 0.0))
        return tries == 0 or (tries < DELETIONS and self.monotonic() - last >= OWN_KEPT)

    def took_label_off(self, identity: Identity, label: str, at: datetime) -> None:
        """Remember that we took a label off, at that time of GitHub's clock."""
        self._labels[identity] = (label, at, self.monotonic())

    def stale(self, pull_request: PullRequest) -> bool:
        """Return whether this read is older than events that we know of."""
        self.forget()
        if self.overtaken(pull_request):
            return True
        return self._comment_lags(pull_request) or self._label_lags(pull_request)

    def overtaken(self, pull_request: PullRequest) -> bool:
        """Return whether an earlier read or a webhook showed a later state than this read."""
        hint, mark = self._hints.get(pull_request.identity), self._marks.get(pull_request.identity)
        bounds = ([hint[0]] if hint else []) + ([mark[0].updated_at] if mark else [])
        return any(pull_request.updated_at < bound for bound in bounds)

    def unseen(self, repository_id: int, seen: Collection[int]) -> bool:
        """Return whether a webhook named a pull request that this pass did not read, because the list may lag behind.

        Each is reported three times. After that, the pull request does not concern us (closed, never labeled). Its hint
        still stays a bound for an hour.
        """
        found = [
            i
            for i in self._hints
            if i.repository_id == repository_id and i.number not in seen and self._unseen.get(i, 0) < len(WAITS)
        ]
        for identity in found:
            self._unseen[identity] = self._unseen.get(identity, 0) + 1
        return bool(found)

    def keep(self, repository_id: int, marks: Mapping[int, Watermark]) -> None:
        """Raise the watermarks of a repository to these, read in this pass or stored before the last start."""
        now = self.monotonic()
        for number, mark in marks.items():
            identity = Identity(repository_id, number)
            old = self._marks.get(identity)
            highest = watermarks.raised(old[0] if old else None, mark)
            self._marks[identity] = (highest, now)
            hint = self._hints.get(identity)
            if hint and hint[0] <= highest.updated_at:  # the read is the stronger bound
                del self._hints[identity]
                self._unseen.pop(identity, None)

    def marks(self, repository_id: int) -> dict[int, Watermark]:
        """Return the watermarks of a repository, by number."""
        return {i.number: mark for i, (mark, _) in self._marks.items() if i.repository_id == repository_id}

    def cap(self, repository_id: int, now: datetime) -> None:
        """Lower hints from the future to now: the sender's clock is wrong, or the hint is forged."""
        for identity, (updated_at, since) in self._hints.items():
            if identity.repository_id == repository_id and updated_at > now + watermarks.AHEAD:
                self._hints[identity] = (now, since)

    def wait(self, repository_id: int, *, stale: bool) -> float | None:
        """Return the seconds until the next try of a repository with stale reads: 2, 10, then 60; None when all is
        fresh.
        """
        if not stale:
            self._tries.pop(repository_id, None)
            return None
        tries = self._tries.get(repository_id, 0)
        self._tries[repository_id] = tries + 1
        return backoff.pause(WAITS, tries)

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

    def forget(self) -> None:
        """Drop the bounds that are too old to matter."""
        now = self.monotonic()
        self._hints = {i: h for i, h in self._hints.items() if now - h[1] < HINT_KEPT}
        self._unseen = {i: n for i, n in self._unseen.items() if i in self._hints}
        self._marks = {i: m for i, m in self._marks.items() if now - m[1] < MARK_KEPT}
        self._comments = {i: c for i, c in self._comments.items() if now - c[1] < OWN_KEPT}
        self._labels = {i: w for i, w in self._labels.items() if now - w[2] < OWN_KEPT}
