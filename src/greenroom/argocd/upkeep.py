"""The background jobs of the leader: prove Argo CD's policy, repair what is stored, read errors, look for orphans."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from greenroom.argocd.known_sets import KnownSets
from greenroom.argocd.lead import Lead
from greenroom.argocd.refusals import Refusals
from greenroom.argocd.store import PreviewSets
from greenroom.argocd.sweeper import Sweeper
from greenroom.argocd.timing import Timing
from greenroom.argocd.watchers import Watchers
from greenroom.background import Tasks
from greenroom.errors import GreenroomError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The jobs. `wake` is called with the id of each repository that a job found changed."""

    lead: Lead
    known: KnownSets
    sets: PreviewSets
    watchers: Watchers
    refusals: Refusals
    sweeper: Sweeper
    wake: Callable[[int], None]
    timing: Timing

    def start(self, tasks: Tasks) -> None:
        """Repeat each job from now on, with its own pause before each turn."""
        timing, policy = self.timing, self.lead.policy
        self._repeat(tasks, "Argo CD policy check", policy.check, lambda: policy.next_check)
        self._repeat(tasks, "orphan sweep", self._sweep, lambda: timing.sweep_every)
        self._repeat(tasks, "stored preview repair", self._repair, lambda: timing.repair_every, at_once=True)
        self._repeat(tasks, "Argo CD error check", self._hear, lambda: timing.errors_every)

    def _repeat(
        self,
        tasks: Tasks,
        name: str,
        job: Callable[[], Awaitable[None]],
        pause: Callable[[], float],
        *,
        at_once: bool = False,
    ) -> None:
        async def run() -> None:
            if at_once:
                await job()
            while True:
                await self.timing.clock.sleep(pause())
                await job()

        tasks.keep(name, run)

    async def repair(self) -> None:
        """Restore deleted or changed objects, because they are the only source of the specs after a restart."""
        self.lead.may_write()
        for repository_id in await self.sets.repair():
            self.wake(repository_id)

    async def hear(self) -> None:
        """Read why Argo CD cannot process specs that wait for it. Send no request while no spec waits."""
        waiting = {
            i for i, s in self.known.served.items() if not all(map(self.watchers.has_taken_over, s.specs.values()))
        }
        errors = await self.sets.errors() if waiting else {}
        now = self.timing.clock.monotonic()
        for repository_id in self.refusals.heard({i: errors.get(i, "") for i in waiting}, now):
            self.wake(repository_id)

    async def _repair(self) -> None:
        try:
            await self.repair()
        except GreenroomError as error:
            log.warning("what is stored could not be checked", why=str(error))

    async def _hear(self) -> None:
        with contextlib.suppress(GreenroomError):  # the next read of the cluster reports it
            await self.hear()

    async def _sweep(self) -> None:
        try:
            done = await self.sweeper.sweep()
        except GreenroomError as error:
            log.warning("the sweep was skipped", why=str(error))
            return
        if done.orphans:
            log.warning("orphans", found=[str(o) for o in done.orphans], deleted=[str(o) for o in done.deleted])
