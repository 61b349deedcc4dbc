"""Failed versions: they stay failed until a push, unless a commit was missing that a fetch may find later."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from greenroom.core.model.spec import PreviewSpec
from greenroom.core.planning import backoff
from greenroom.errors import Failed
from greenroom.local import machine
from greenroom.local.record_file import RecordFile
from greenroom.local.trees import Trees
from greenroom.local.version_key import key_of
from greenroom.local.worktrees import NotFetched

FETCHES = (2.0, 5.0, 10.0, 30.0, 60.0)  # seconds between tries to fetch a commit that the checkout lacks


class FailedVersion:
    """The version of one preview that failed, and the tries to fetch the commits that it lacked."""

    def __init__(
        self,
        record: RecordFile,
        trees: Trees,
        disks: tuple[Path, ...],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._record = record
        self._trees = trees
        self._disks = disks
        self._monotonic = monotonic
        self._fetches = 0  # how many times a commit of the failed version was missing from the checkout
        self._fetch_at = 0.0

    def forget(self) -> None:
        """Forget the tries to fetch, because another version starts."""
        self._fetches = 0

    def fail(self, key: str, error: Failed) -> None:
        """Record the failure of a version. Raise `Trouble` instead when this machine is the cause."""
        if excused := machine.excuse(error, self._disks):
            raise excused from None
        if isinstance(error, NotFetched):
            self._fetches += 1
            self._fetch_at = self._monotonic() + backoff.pause(FETCHES, self._fetches - 1)
        self._record.fail(error, failed_key=key)

    def fetch_is_due(self, spec: PreviewSpec) -> bool:
        """Return whether this version failed because a commit was missing, and the next fetch is due."""
        due = self._fetches > 0 and self._monotonic() >= self._fetch_at
        return due and self._record.kept.failed_key == key_of(spec)

    async def fetch(self, spec: PreviewSpec) -> None:
        """Fetch the commits of a version that lacked one. Let it start again once all of them exist.

        Until then it stays failed, because each new start would edit the comment.
        """
        try:
            await self._trees.fetch(spec)
        except NotFetched as error:
            self.fail(self._record.kept.failed_key, error)
        else:
            self._record.keep(failed_key="")
