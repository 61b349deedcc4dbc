"""The generation of a set that Argo CD has fetched, and the annotation that makes it fetch the next one.

Argo CD removes the annotation after a pass. An annotation that is set between the request of a pass and that removal is
lost. So it is set again until Argo CD has requested the current generation.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from greenroom.argocd.applicationset import REFRESH
from greenroom.argocd.client import APPLICATION_SETS, Kube
from greenroom.argocd.timing import DEFAULT, Timing
from greenroom.background import Tasks
from greenroom.clock import wait_until
from greenroom.core.planning import backoff
from greenroom.errors import GreenroomError


@dataclass(slots=True)
class Refresh:
    """The refresh state of one ApplicationSet.

    `wanted` is the generation that we serve. `fetched` is the last generation that Argo CD requested.
    """

    kube: Kube
    namespace: str
    name: str
    timing: Timing = DEFAULT
    wanted: int = 0
    fetched: int = -1
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: Tasks = field(default_factory=Tasks)

    def asked(self) -> None:
        """Record that Argo CD has just received the generation that we serve."""
        self.fetched = self.wanted
        self._news.set()

    def serves(self, generation: int) -> None:
        """Serve this generation from now on. The caller then writes the set with an annotation, and calls `push`."""
        self.wanted = generation

    def push(self, generation: int) -> None:
        """Serve this generation from now on, and repeat the annotation until Argo CD fetches it.

        The caller has just written the set with its first annotation.
        """
        self.wanted = generation
        self._news.set()  # a push that is already waiting starts over with the shortest wait
        if not self._tasks.running:
            self._tasks.keep(f"{self.name} refresh", self._push)

    def restored(self, generation: int) -> None:
        """Serve this older generation again. Treat what Argo CD has fetched meanwhile as unknown."""
        self.wanted, self.fetched = generation, -1

    async def aclose(self) -> None:
        """Stop pushing."""
        await self._tasks.aclose()

    async def taken_over(self, seconds: float) -> bool:
        """Return whether Argo CD has finished a pass over the current generation. Wait up to `seconds` for it."""
        return await wait_until(self._passed, seconds, every=self.timing.poll, clock=self.timing.clock)

    async def _passed(self) -> bool:
        """Return whether the pass is over. Argo CD removes the annotation at its end."""
        if self.fetched >= self.wanted:
            found = await self.kube.get(APPLICATION_SETS, self.namespace, self.name)
            over = found is not None and REFRESH not in (found["metadata"].get("annotations") or {})
            return over and self.fetched >= self.wanted  # the generation may have changed during the read
        if not self._tasks.running:
            self.push(self.wanted)
        return False

    async def _push(self) -> None:
        tries = 0
        while self.fetched < self.wanted:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff.pause(self.timing.refresh_pauses, tries)):
                    await self._news.wait()
                tries = 0
                continue
            tries += 1
            # Use a new value each time: an annotation that stays the same causes no event for Argo CD.
            annotations = {REFRESH: f"{self.wanted}.{tries}"}
            with contextlib.suppress(GreenroomError):
                await self.kube.merge(
                    APPLICATION_SETS, self.namespace, self.name, {"metadata": {"annotations": annotations}}
                )
