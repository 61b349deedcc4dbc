"""The commits that this instance has read as the head of a pull request. No other commit counts as superseded.

GitHub's replicas lag, so the order in which Greenroom read two heads proves nothing, but their `updated_at` does. Heads
are kept only in memory: after a restart, earlier heads are unknown, and a wait for one of them lasts until its timeout.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from greenroom.core.model.github import PullRequest
from greenroom.core.model.spec import Identity

KEPT = 100
"""Number of head commits to remember for each pull request."""


@dataclass(slots=True)
class Heads:
    """For each pull request, the newest `updated_at` with which each commit was read as its head."""

    _read: dict[Identity, dict[str, datetime]] = field(default_factory=dict)

    def note(self, pull_requests: Iterable[PullRequest]) -> None:
        """Remember the heads of these reads, in any order."""
        for read in pull_requests:
            heads = self._read.setdefault(read.identity, {})
            heads[read.head_sha] = max(read.updated_at, heads.get(read.head_sha, read.updated_at))
            newest = sorted(heads, key=heads.__getitem__)[-KEPT:]
            self._read[read.identity] = {sha: heads[sha] for sha in newest}

    def keep(self, identities: Collection[Identity]) -> None:
        """Forget the pull requests that are no longer shown."""
        self._read = {i: heads for i, heads in self._read.items() if i in identities}

    def superseded_by(self, identity: Identity, head: str) -> frozenset[str]:
        """Return the commits that were the head before this one.

        A commit that was pushed again is the head once more. One with the same time may be the newer of the two.
        """
        heads = self._read.get(identity, {})
        last = heads.get(head)
        return frozenset(sha for sha, at in heads.items() if last is not None and at < last)
