"""The Argo CD engine: the four verbs over ApplicationSets, Applications and the pods that they create.

Greenroom applies no workload and writes nothing into a preview's namespace. It writes one ApplicationSet for each
repository, answers Argo CD's requests for its specs, deletes Applications one by one, and reads.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Any, Self

import httpx2

from greenroom.argocd.clusters import Connect, connected
from greenroom.argocd.kubeconfig import connect
from greenroom.argocd.parts import Surroundings, parts
from greenroom.argocd.settings import ArgoSettings
from greenroom.argocd.sweep import Sweep
from greenroom.argocd.timing import DEFAULT, Timing
from greenroom.background import Tasks
from greenroom.core.model.catalog import Platform
from greenroom.core.model.engine import EngineState, PreviewSet, Receipt
from greenroom.core.model.seeds import SeedBuild
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Status
from greenroom.errors import GreenroomError

PROBE_SECONDS = 5


class ArgoEngine:
    """Previews as Applications of Argo CD.

    The engine calls `wake` with a repository id when an object of that repository changes, and with `parts.EVERY` when
    all repositories need a look.
    """

    def __init__(
        self,
        settings: ArgoSettings,
        wake: Callable[[int], None],
        timing: Timing = DEFAULT,
        connect: Connect = connect,
    ) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._settings = settings
        self._wake = wake
        self._timing = timing
        self._connect = connect
        self._tasks = Tasks(
            lambda error: self._lose(
                f"A task of the Argo CD engine failed ({type(error).__name__}: {error}). This instance is stopping."
            )
        )

    # --- start and stop ---

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            clusters = connected(self._settings, self._connect, stack)
            client = await stack.enter_async_context(httpx2.AsyncClient(timeout=PROBE_SECONDS, trust_env=False))
            surroundings = Surroundings(clusters, client, self._wake, self._lose, self._tasks, self._timing)
            self._parts = parts(self._settings, surroundings)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._tasks.aclose()  # also stops the renewal of the Lease, before its release
        await self._parts.refreshes.aclose()
        if self._parts.lead.loaded:
            with contextlib.suppress(GreenroomError):
                await self._parts.lead.lease.release()
        await self._stack.aclose()

    async def check(self) -> None:
        """Raise `FixConfiguration` if a kubeconfig cannot be used."""
        async with AsyncExitStack() as stack:
            connected(self._settings, self._connect, stack)

    def adapted(self, platform: Platform) -> Platform:
        """Return the platform without a port, because an ingress uses the default one."""
        return replace(platform, port=None)

    async def lead(self) -> None:
        """Wait for the Lease, read the existing objects, and try to prove Argo CD's policy.

        The engine serves nothing before the proof. While the proof fails, the engine repeats it, and `observe` returns
        the reason.
        """
        found = self._parts
        await found.objects.installed()  # before it takes the Lease, so that another instance can lead in the meantime
        await found.lead.lease.acquire()
        self._tasks.start("Lease renewal", self._keep_lease())
        await found.objects.read(self._tasks)
        await found.sets.read()
        found.lead.begin()
        await found.copies.run(self._tasks, found.watchers)
        await found.builds.run(self._tasks)
        await found.lead.policy.check()
        found.upkeep.start(self._tasks)
        self._tasks.keep("Preview objects", found.published.run)

    async def _keep_lease(self) -> None:
        self._lose(await self._parts.lead.lease.keep())

    def _lose(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)

    @property
    def answers(self) -> bool | None:
        """Return whether this instance can answer Argo CD. A standby cannot.

        The instance must hold the Lease and must have read what exists.
        """
        return self._parts.lead.loaded

    # --- the four verbs, and the Lease of the one writer ---

    def writing(self) -> AbstractAsyncContextManager[None]:
        """Return a context that permits any write while the Lease lasts. The context raises `Doubt` otherwise."""
        return self._parts.lead.lease.held()

    async def observe(self) -> EngineState:
        """Return all our objects in Argo CD. Raise `Doubt` when copies are not current or another instance leads."""
        return await self._parts.state.read()

    async def serve(self, preview_set: PreviewSet) -> None:
        """Store the set, serve it from then on, and make Argo CD request it."""
        self._parts.lead.may_write()
        await self._parts.sets.serve(preview_set)
        self._parts.removals.conclude(preview_set)

    async def remove(self, identity: Identity, uid: str) -> None:
        """Delete this Application once Argo CD works without its spec."""
        await self._parts.removals.remove(identity, uid)

    async def build_seed(self, build: SeedBuild) -> None:
        """Create the Jobs that build the image of a seed."""
        self._parts.lead.may_write()
        await self._parts.builds.start(build)

    async def receipt(self, identity: Identity) -> Receipt:
        """Look for remains of a removed preview once Argo CD can no longer recreate it from its spec."""
        return await self._parts.removals.receipt(identity)

    # --- beside the loop ---

    def show(self, statuses: Mapping[Identity, Status], read: Iterable[int], troubles: Mapping[str, str]) -> None:
        """Show these statuses as Preview objects, for `kubectl get previews`."""
        self._parts.published.show(statuses, read, troubles)

    def answer(self, name: str, platform: Platform) -> list[dict[str, Any]] | None:
        """Return the specs of an ApplicationSet for Argo CD; None when it is not ours. Raise `Doubt`: answer 503."""
        return self._parts.answers.answer(name, platform)

    async def sweep(self) -> Sweep:
        """Find orphans. Delete namespaces that have been orphans for long, if the configuration says so."""
        return await self._parts.sweeper.sweep()
