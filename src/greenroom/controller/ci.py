"""Background reads of what CI does for commits whose image is missing.

The result is only advice. No start and no removal waits for a read. If a read fails, the comment only says to see the
checks. A pass waits a moment for the first read of a commit, after its specs are served: otherwise, each restart would
edit every comment twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from greenroom.background import Tasks
from greenroom.core.model.ci import AwaitedCommit, CommitCi
from greenroom.core.model.spec import Identity
from greenroom.core.planning import backoff
from greenroom.core.policy.ci import SETTLED
from greenroom.errors import FixConfiguration, FixCredentials, GreenroomError, RetryLater
from greenroom.github.transport import Limited, NotFound

log = structlog.get_logger(__name__)

PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds between reads of the CI state of one commit. A webhook about the commit's CI triggers a read at once."""
PATIENCE = 1.0
"""Seconds that a pass waits for the first read of a commit's CI state. Passes are at least this far apart anyway."""
LASTING = 600.0
"""Seconds for which GitHub's last answer is used. One failed read must not change a comment, but repeated ones must."""
REFUSED = 3600.0
"""Seconds to wait before retrying a read for which Greenroom lacks permission."""
_EVERY = ""
"""Key for a pause of the reads in all repositories. A rate limit applies to all of them."""


class Reader(Protocol):
    """Source of what CI does for a commit of a repository."""

    async def ci(self, slug: str, commit: AwaitedCommit) -> CommitCi:
        """Return the whole answer, or raise a `GreenroomError`."""


@dataclass(slots=True)
class _Read:
    """The reads of one commit: the start of the wait, the last answer with its time, and the time of the next read."""

    commit: AwaitedCommit
    since: float
    due: float = 0.0
    tries: int = 0
    known: CommitCi | None = None
    at: float = 0.0


@dataclass(slots=True)
class CiAdvice:
    """The reads of all commits, by repository: the same commit may be in a private and in a public one.

    `changed` is called with the `owner/name` of a repository when a read that no pass waits for returns something new.
    """

    github: Reader
    changed: Callable[[str], None] = lambda slug: None
    ticks: Callable[[], float] = time.monotonic
    patience: float = PATIENCE
    _reads: dict[str, dict[Identity, _Read]] = field(default_factory=dict)
    _paused: dict[str, float] = field(default_factory=dict)
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _awaited: set[str] = field(default_factory=set)
    _tasks: Tasks = field(default_factory=Tasks)

    async def of(self, slug: str, commits: Sequence[AwaitedCommit]) -> Mapping[Identity, CommitCi]:
        """Return what is known about these commits. Read due ones in the background, and forget other commits."""
        before = self._reads.pop(slug, {})
        if not commits:
            return {}
        reads = self._reads[slug] = {c.identity: _followed(before.get(c.identity), c, self.ticks()) for c in commits}
        due = self._due(slug)
        if due and slug not in self._running:
            self._running[slug] = self._tasks.start("CI of missing images", self._read(slug, due))
            if any(r.tries == 0 for r in due):
                await self._first(slug)
        return self._known(reads)

    def known(self, slug: str) -> Mapping[Identity, CommitCi]:
        """Return what is known about the commits of a repository, without reading anything."""
        return self._known(self._reads.get(slug, {}))

    def hinted(self, slug: str) -> None:
        """Read the commits of a repository again in its next pass, because GitHub reported a change of its CI."""
        for read in self._reads.get(slug, {}).values():
            read.due = 0.0

    async def settled(self) -> None:
        """Wait until no read is running."""
        await self._tasks.join()

    async def aclose(self) -> None:
        """End the running reads."""
        await self._tasks.aclose()

    async def _first(self, slug: str) -> None:
        """Wait a moment for the read that has just started."""
        self._awaited.add(slug)
        try:
            await asyncio.wait([self._running[slug]], timeout=self.patience)
        finally:
            self._awaited.discard(slug)

    def _known(self, reads: Mapping[Identity, _Read]) -> Mapping[Identity, CommitCi]:
        fresh = self.ticks() - LASTING
        return {i: r.known for i, r in reads.items() if r.known is not None and r.at >= fresh}

    def _due(self, slug: str) -> list[_Read]:
        now = self.ticks()
        if now < max(self._paused.get(slug, 0.0), self._paused.get(_EVERY, 0.0)):
            return []
        return [r for r in self._reads[slug].values() if now >= r.due]

    async def _read(self, slug: str, due: Sequence[_Read]) -> None:
        """Read the commits that are due. Call `changed` if an answer differs and no pass is waiting for it."""
        before = [r.known for r in due]
        try:
            for read in due:
                await self._one(slug, read)
        finally:
            self._running.pop(slug, None)
        again = any(r.due == 0.0 for r in self._reads.get(slug, {}).values())  # new or hinted since this read began
        if again or (slug not in self._awaited and before != [r.known for r in due]):
            self.changed(slug)

    async def _one(self, slug: str, read: _Read) -> None:
        """Read one commit. Log an error, which has no other effect than on wording."""
        read.due = self.ticks() + backoff.pause(PAUSES, read.tries)
        read.tries += 1
        try:
            read.known = await self.github.ci(slug, read.commit)
            read.at = self.ticks()
        except (FixCredentials, FixConfiguration, NotFound) as error:
            read.known = None
            self._pause(slug, REFUSED, error)
        except RetryLater as error:
            self._pause(_EVERY if isinstance(error, Limited) else slug, error.after or 0.0, error)
        except GreenroomError as error:
            self._pause(slug, 0.0, error)

    def _pause(self, slug: str, seconds: float, error: GreenroomError) -> None:
        self._paused[slug] = self.ticks() + seconds
        log.info("CI could not be read; Greenroom does not explain missing images", repository=slug, why=str(error))


def _followed(before: _Read | None, commit: AwaitedCommit, now: float) -> _Read:
    """Return the reads of a commit, continued unless the pull request has another head now.

    A commit whose image has been missing for a while counts as settled, even if people keep commenting.
    """
    if before is None or before.commit.sha != commit.sha:
        return _Read(commit, now)
    long = now - before.since >= SETTLED.total_seconds()
    before.commit = replace(commit, settled=commit.settled or before.commit.settled or long)
    return before
