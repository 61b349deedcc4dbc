"""Which generation of a set Argo CD has fetched, and the annotation that makes it fetch the next one.

Argo CD takes the annotation off after a pass. Set while a pass is between its question and that, it is lost; so it is
set again until the generation that was asked for is the present one.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from greenroom.argocd.kube import APPLICATION_SETS, Kube
from greenroom.argocd.sets import REFRESH
from greenroom.background import supervised
from greenroom.errors import GreenroomError

AGAIN = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(slots=True)
class Refresh:
    """One ApplicationSet's place. `wanted` is the generation that we serve, `fetched` the last that was asked for."""

    kube: Kube
    namespace: str
    name: str
    wanted: int = 0
    fetched: int = -1
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _pushing: asyncio.Task[None] | None = None

    def asked(self) -> None:
        """Argo CD has just been answered with what we serve."""
        self.fetched = self.wanted
        self._news.set()

    def push(self, generation: int) -> None:
        """Serve this generation from now on, and have it fetched; the set was written with its annotation just now."""
        self.wanted = generation
        self._news.set()  # a push that already waits long begins anew
        if self._pushing is None or self._pushing.done():
            self._pushing = asyncio.create_task(
                supervised(f"refresh of {self.name}", self._push), name=f"refresh {self.name}"
            )

    def restored(self, generation: int) -> None:
        """This older generation is served again; what Argo CD has fetched meanwhile is not known."""
        self.wanted, self.fetched = generation, -1

    async def aclose(self) -> None:
        """Stop pushing."""
        if self._pushing:
            self._pushing.cancel()
            await asyncio.gather(self._pushing, return_exceptions=True)

    async def taken_over(self, seconds: float) -> bool:
        """Whether Argo CD has finished a pass over the present generation; waits for it that long."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            if self.fetched >= self.wanted:
                found = await self.kube.get(APPLICATION_SETS, self.namespace, self.name)
                if found and REFRESH not in (found["metadata"].get("annotations") or {}):
                    return self.fetched >= self.wanted
            elif self._pushing is None or self._pushing.done():
                self.push(self.wanted)
            await asyncio.sleep(0.1)
        return False

    async def _push(self) -> None:
        tries = 0
        while self.fetched < self.wanted:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN[min(tries, len(AGAIN) - 1)]):
                    await self._news.wait()
                tries = 0
                continue
            tries += 1
            # Another value each time: what does not change is no event for Argo CD.
            annotations = {REFRESH: f"{self.wanted}.{tries}"}
            with contextlib.suppress(GreenroomError):
                await self.kube.merge(
                    APPLICATION_SETS, self.namespace, self.name, {"metadata": {"annotations": annotations}}
                )
