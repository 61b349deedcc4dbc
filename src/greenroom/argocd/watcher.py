"""The loop that looks at one preview whenever its Application or one of its pods changes, and reports news."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from greenroom.argocd.applicationset import spec_of
from greenroom.argocd.client import Object
from greenroom.argocd.look import Look
from greenroom.argocd.observer import Observer
from greenroom.argocd.packing import Unreadable
from greenroom.argocd.stuck_sync import StuckSync, SyncTerminator
from greenroom.argocd.timing import Timing
from greenroom.core.model.engine import Health
from greenroom.core.model.spec import Identity
from greenroom.core.planning import backoff
from greenroom.errors import GreenroomError

log = structlog.get_logger(__name__)


class Watcher:
    """The observation of one preview for as long as its Application exists.

    `doubt` says why the last look failed. `broken` means that the doubt is about this object itself, not about the
    server that answered.
    """

    def __init__(self, identity: Identity, observer: Observer, terminator: SyncTerminator, timing: Timing) -> None:
        self.identity = identity
        self.name = terminator.name
        self.doubt = ""
        self.broken = False
        self._observer = observer
        self._terminator = terminator
        self._stuck = StuckSync(timing)
        self._pauses = timing.look_pauses
        self._dirty = asyncio.Event()

    @property
    def look(self) -> Look | None:
        """Return the last look that succeeded."""
        return self._observer.last

    @property
    def refused_for(self) -> float | None:
        """Return for how many seconds Argo CD has refused the present spec, None when it does not."""
        return self._observer.refused_for

    def poke(self) -> None:
        """Note that this preview changed, so that `run` looks again."""
        self._dirty.set()

    async def run(self, application: Callable[[], Object | None], changed: Callable[[], None]) -> None:
        """Look until the Application is gone. Call `changed` after each look with news."""
        looks = 0
        while (found := application()) is not None:
            self._dirty.clear()
            if await self._news(found):
                changed()
                looks = 0
            quiet = self.look is not None and not self.doubt and self.look.health in (Health.READY, Health.PREPARED)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if quiet else backoff.pause(self._pauses, looks)):
                    await self._dirty.wait()
            looks += 1

    async def _news(self, application: Object) -> bool:
        """Look once. Return whether the look differs from the last one. A flapping server makes no difference."""
        before, doubt, broken = self.look, "", False
        try:
            await self.observe(application)
        except GreenroomError as error:
            doubt, broken = str(error), isinstance(error, Unreadable)
        except Exception as error:
            log.exception("a preview could not be observed", preview=self.name)
            doubt, broken = f"{self.name} could not be observed ({type(error).__name__}). It stays as it is.", True
        news = self.look != before or broken != self.broken or (self.look is None and doubt != self.doubt)
        self.doubt, self.broken = doubt, broken
        return news

    async def observe(self, application: Object) -> Look:
        """Look once, after ending an operation that is stuck. Raise `Unreadable` when the spec cannot be read."""
        spec = spec_of(application)  # before any write: an Application that cannot be read stays unchanged
        if not application["metadata"].get("deletionTimestamp") and (begun := self._stuck.found(application)):
            await self._terminator.end(application, begun)
        return await self._observer.look(application, spec)
