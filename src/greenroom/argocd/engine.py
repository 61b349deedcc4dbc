"""The Argo CD engine: the four verbs over ApplicationSets, Applications and the pods that come of them.

Greenroom applies no workload and writes nothing into a preview's namespace. It writes one ApplicationSet for each
repository, answers Argo CD's question for its rows, deletes Applications one by one, and reads.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from time import monotonic
from typing import Any, Self

import httpx2
import structlog

from greenroom import logs
from greenroom.argocd import canary as birds
from greenroom.argocd import receipt as receipts
from greenroom.argocd import sets
from greenroom.argocd.canary import Canary
from greenroom.argocd.keeping import TRIES, RowSets
from greenroom.argocd.kube import APPLICATIONS, NAMESPACES, PODS, VOLUMES, Conflict, Kube, Object
from greenroom.argocd.lease import Lease
from greenroom.argocd.looks import Ground, Watcher
from greenroom.argocd.mirror import Mirror
from greenroom.argocd.sets import Frame, Unreadable
from greenroom.argocd.sweep import Orphan, Sightings, Sweep, orphans
from greenroom.background import supervised
from greenroom.core import names
from greenroom.core.catalogue import Platform
from greenroom.core.model import Health, Identity, Observed, ObservedPreview, Receipt, RowSet
from greenroom.core.rows import Row, alike, parameters
from greenroom.errors import Doubt, GreenroomError, RetryLater

log = structlog.get_logger(__name__)

FIRST_COPY = 30.0
TAKEN_OVER = 5.0
CANARY_EVERY = 3600.0
CANARY_AGAIN = 10.0
SWEEP_EVERY = 3600.0
SETS_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class ArgoSettings:
    """How this process runs as the engine. `holder` names it in the Lease; `probe` is as in the configuration."""

    frame: Frame
    chart_version: str
    scheme: str
    probe: str
    kubeconfig: str
    previews_kubeconfig: str
    holder: str
    logs: bool
    delete_orphans: bool = False


@dataclass(frozen=True, slots=True)
class _Removed:
    """What was removed and is not concluded yet: its name, and what of it was in no namespace."""

    name: str
    cluster_scoped: tuple[str, ...]


class ArgoEngine:
    """Previews as Applications of Argo CD. `wake` is called with a repository id when something of it changes."""

    proxy_port: int | None = None

    def __init__(self, settings: ArgoSettings, wake: Callable[[int], None]) -> None:
        self._settings = settings
        self._frame = settings.frame
        self._wake = wake
        self._stack = AsyncExitStack()
        self._watchers: dict[str, Watcher] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pods: dict[str, dict[str, Object]] = {}
        self._removed: dict[Identity, _Removed] = {}
        self._sightings = Sightings()
        self._loaded = False
        self._proved: bool | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    # --- life ---

    async def __aenter__(self) -> Self:
        settings, stack = self._settings, self._stack
        stack.push_async_callback(self._end_tasks)
        argo = previews = Kube.open(settings.kubeconfig)
        stack.push_async_callback(argo.aclose)
        if settings.previews_kubeconfig:
            previews = Kube.open(settings.previews_kubeconfig)
            stack.push_async_callback(previews.aclose)
        client = await stack.enter_async_context(httpx2.AsyncClient(timeout=5, trust_env=False))
        # Beside the sets that it is about, so that whoever may write them asks for the same one.
        self._lease = Lease(argo, self._frame.namespace, f"greenroom-{self._frame.installation}", settings.holder)
        self._argo, self._previews = argo.within(self._lease.held), previews.within(self._lease.held)
        self._sets = RowSets(self._argo, self._frame, self._lose)
        managed = f"{sets.MANAGED}=greenroom"
        self._applications = Mirror(
            self._argo, APPLICATIONS, self._application_changed, namespace=self._frame.namespace, labels=managed
        )
        mine = f"{sets.INSTALLATION}={self._frame.installation}"
        self._pod_mirror = Mirror(self._previews, PODS, self._pod_changed, labels=mine)
        self._namespaces = Mirror(self._previews, NAMESPACES, self._namespace_changed)
        self._ground = Ground(
            argo=self._argo,
            previews=self._previews,
            namespace=self._frame.namespace,
            application=lambda name: self._applications.items.get((self._frame.namespace, name)),
            pods=lambda namespace: list(self._pods.get(namespace, {}).values()),
            client=client,
            scheme=settings.scheme,
            probe=settings.probe,
            logs=settings.logs,
            changed=lambda identity: self._wake(identity.repository_id),
        )
        self._canary = Canary(self._argo, self._frame, settings.chart_version, self._sets.refresh(self._frame.canary))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._end_tasks()  # also what renews the Lease, before it is given up
        await self._sets.aclose()
        if self._loaded:
            with contextlib.suppress(GreenroomError):
                await self._lease.release()
        await self._stack.aclose()

    async def lead(self) -> None:
        """Wait for the Lease; then read what exists, and prove Argo CD's policy. Only then anything is served."""
        await self._lease.acquire()
        self._spawn(self._keep_lease())
        await self._sets.read()
        self._loaded = True
        for mirror in (self._applications, self._pod_mirror, self._namespaces):
            self._spawn(supervised(f"watch of {mirror.plural}", mirror.run))
        async with asyncio.timeout(FIRST_COPY):
            for mirror in (self._applications, self._pod_mirror, self._namespaces):
                await mirror.ready.wait()
        await self._prove()
        self._spawn(supervised("proof of Argo CD's policy", self._prove_again))
        self._spawn(supervised("search for orphans", self._sweep_again))
        self._spawn(supervised("repair of ApplicationSets", self._mend_again))
        for rows in self._sets.known.values():
            self._sets.refresh_of(rows).push(rows.generation)

    @property
    def answers(self) -> bool:
        """Whether Argo CD can be answered: this instance holds the Lease and has read what exists. A standby is not."""
        return self._loaded

    # --- what Argo CD asks ---

    def answer(self, name: str, platform: Platform) -> list[dict[str, Any]] | None:
        """The rows of an ApplicationSet for Argo CD, or None for one that is not ours. Raises `Doubt`: answer 503."""
        if not self._loaded:
            raise Doubt("This instance does not lead, or has not read everything yet.")
        self._lease.check()
        if name == self._frame.canary:
            self._sets.refresh(name).asked()
            return list(self._canary.served)
        if self._proved is not True:
            raise Doubt(birds.DELETES if self._proved is False else "Argo CD's policy is not proved yet.")
        found = self._sets.named(name)
        if found is None:
            return None
        rows = [self._parameters(row, platform) for row in found.rows.values()]
        self._sets.refresh(name).asked()
        return rows

    def _parameters(self, row: Row, platform: Platform) -> dict[str, Any]:
        # As the sets and their Applications are labelled: the configuration may say another one by now.
        same = replace(platform, installation=self._frame.installation)
        return {**parameters(row, same), "row": sets.packed(row)}

    # --- the four verbs, and the place of the one writer ---

    def writing(self) -> AbstractAsyncContextManager[None]:
        """Within it may be written, whatever it is, while the Lease lasts. Raises `Doubt`."""
        return self._lease.held()

    async def observe(self) -> Observed:
        """Everything that Argo CD holds of ours. Raises `Doubt` when copies are not current or another leads.

        Of what is another installation's only the name counts. What of ours cannot be read is doubt about its preview,
        whose row is known, or about its repository.
        """
        self._ensure()
        applications = self._applications.whole()
        self._pod_mirror.whole()
        self._lease.check()
        previews: dict[Identity, ObservedPreview] = {}
        foreign: dict[Identity, str] = {}
        doubts = self._sets.doubts()
        for (_, name), application in tuple(applications.items()):  # looks are waited for meanwhile
            identity = sets.identity_of(application)
            if identity is None:
                continue
            owner = application["metadata"]["labels"].get(sets.INSTALLATION, "")
            if owner != self._frame.installation:
                ours = self._wanted_name(identity, application)
                if name.startswith(f"{self._frame.prefix}-") and ours in (None, name):
                    foreign[identity] = owner
                continue
            try:
                previews[identity] = await self._observed(identity, application)
            except Unreadable as error:
                doubts.setdefault(identity.repository_id, str(error))
        namespaces = {
            name: sets.identity_of(n) if receipts.ours(n, self._frame.installation) else None
            for (_, name), n in self._namespaces.whole().items()
            if name.startswith(f"{self._frame.prefix}-")
        }
        others = {i: owner for i, owner in foreign.items() if i not in previews}
        return Observed(previews, self._sets.around(previews), namespaces, others, doubts)

    async def serve(self, rows: RowSet) -> None:
        """Keep the set in its ApplicationSet, answer with it from then on, and have Argo CD ask."""
        self._ensure()
        self._lease.check()
        await self._sets.serve(rows)
        waiting = {w.identity for w in rows.ledger.withdrawals if not w.told}
        for identity in [i for i in self._removed if i.repository_id == rows.repository_id and i not in waiting]:
            del self._removed[identity]

    async def remove(self, identity: Identity, uid: str) -> None:
        """Delete that Application, once Argo CD works without its row."""
        rows = self._may_go(identity)
        name = self._name(identity)
        if name is None:
            return
        if rows and not await self._sets.refresh_of(rows).taken_over(TAKEN_OVER):
            raise RetryLater(f"Argo CD has not yet worked without the row of {name}; nothing was removed.", after=1.0)
        for _ in range(TRIES):
            with contextlib.suppress(Conflict):  # Argo CD told something of it meanwhile
                await self._delete(identity, name, uid)
                return
        raise RetryLater(f"The Application {name} changes all the time; it is removed a little later.", after=1.0)

    async def _delete(self, identity: Identity, name: str, uid: str) -> None:
        """Delete it as it is now: a request that comes late finds another version, and removes nothing."""
        found = await self._argo.get(APPLICATIONS, self._frame.namespace, name)
        if found is None:
            return
        metadata = found["metadata"]
        if (
            metadata["uid"] != uid
            or sets.identity_of(found) != identity
            or not receipts.ours(found, self._frame.installation)
        ):
            raise Doubt(f"What is called {name} is another one than was meant; nothing was removed.")
        resources = (found.get("status") or {}).get("resources") or ()
        unseen = (r for r in resources if not r.get("namespace") and r.get("kind") != "Namespace")
        self._removed[identity] = _Removed(name, tuple(f"{r.get('kind')} {r.get('name')}" for r in unseen))
        self._may_go(identity)  # time has passed
        await self._argo.delete(APPLICATIONS, self._frame.namespace, name, uid, metadata["resourceVersion"])

    def _may_go(self, identity: Identity) -> RowSet | None:
        self._ensure()
        self._lease.check()
        rows = self._sets.certain(identity.repository_id)
        if rows and identity.number in rows.rows:
            raise Doubt(f"The row of {identity} is still served; nothing was removed.")
        return rows

    async def receipt(self, identity: Identity) -> Receipt:
        """Look for anything that is left of a removed preview, once Argo CD makes no new one of its row."""
        self._ensure()
        rows = self._sets.certain(identity.repository_id)
        if rows and not await self._sets.refresh_of(rows).taken_over(TAKEN_OVER):
            raise RetryLater(
                f"Argo CD has not yet worked without the row of {identity}; nothing is said of it.", after=1.0
            )
        removed = self._removed.get(identity)
        name = self._name(identity) or self._namespace(identity) or (removed.name if removed else None)
        name = name or self._wanted_name(identity)
        if name is None:
            raise Doubt(f"The name of what ran as {identity} is not known any more.")
        others = removed.cluster_scoped if removed else ()
        where, installation = self._frame.namespace, self._frame.installation
        return await receipts.receipt(self._argo, self._previews, where, installation, identity, name, others)

    # --- the sweep ---

    async def sweep(self) -> Sweep:
        """Find what belongs to nothing; delete what has for long, where the configuration says so."""
        self._ensure()
        self._lease.check()
        for unread in self._sets.unread.values():
            raise Doubt(unread.why)  # what its rows would explain is not known
        volumes, _ = await self._previews.listed(VOLUMES)
        found = self._orphans(volumes)
        deleted = []
        lasting = self._sightings.lasting(found, monotonic())
        for orphan in lasting if self._settings.delete_orphans else ():
            if orphan in self._orphans(volumes):  # a row may have come meanwhile
                await self._previews.delete(NAMESPACES, "", orphan.name, orphan.uid)
                deleted.append(orphan)
        return Sweep(found, tuple(deleted))

    def _orphans(self, volumes: list[Object]) -> tuple[Orphan, ...]:
        applications, namespaces = self._applications.whole().values(), self._namespaces.whole().values()
        return orphans(self._frame.installation, self._sets.known, applications, namespaces, volumes)

    async def _sweep_again(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            try:
                done = await self.sweep()
            except GreenroomError as error:
                log.warning("the sweep was left out", why=str(error))
                continue
            if done.orphans:
                log.warning("orphans", found=[str(o) for o in done.orphans], deleted=[str(o) for o in done.deleted])

    # --- within ---

    def _ensure(self) -> None:
        if not self._loaded:
            raise Doubt("This instance does not lead yet.")
        if self._proved is False:
            raise Doubt(birds.DELETES)
        if self._proved is None:
            raise Doubt("Argo CD's policy is not proved yet; nothing is started or removed.")

    async def _mend_again(self) -> None:
        while True:
            await asyncio.sleep(SETS_EVERY)
            try:
                await self.mend()
            except GreenroomError as error:
                log.warning("the ApplicationSets were not looked at", why=str(error))

    async def mend(self) -> None:
        """Write again what somebody deleted or changed: nothing else holds the rows for the next start."""
        self._ensure()
        self._lease.check()
        for repository_id in await self._sets.mend():
            self._wake(repository_id)

    async def _observed(self, identity: Identity, application: Object) -> ObservedPreview:
        watcher = self._watch(identity, application["metadata"]["name"])
        await self._looked(watcher)
        rows = self._sets.known.get(identity.repository_id)
        served = rows.rows.get(identity.number) if rows else None
        look = watcher.look
        if look is None or watcher.broken:
            return _broken(identity, application, watcher, served)
        health = look.health
        if health is not Health.REMOVING and served is not None and not alike(look.row, served):
            health = Health.UPDATING if any(s.ready for s in look.services) else Health.STARTING
        refused = monotonic() - watcher.refused_since if look.refused and watcher.refused_since else None
        return ObservedPreview(
            identity=identity,
            uid=look.uid,
            row=look.row,
            health=health,
            services=look.services,
            since=look.since,
            why=look.why if health is look.health else "",
            fix=look.fix if health is look.health else "",
            log=look.log if health is look.health else (),
            lives=look.lives,
            by_hand=look.by_hand,
            refused_for=timedelta(seconds=refused) if refused is not None else None,
        )

    async def _looked(self, watcher: Watcher) -> None:
        """Wait until there was a first look, or until it is known that there can be none."""
        for _ in range(50):
            if watcher.look is not None or watcher.broken:
                return
            if watcher.doubt:
                break
            await asyncio.sleep(0.02)
        raise Doubt(watcher.doubt or f"{watcher.name} was not looked at yet.")

    def _name(self, identity: Identity) -> str | None:
        """The name of the Application that exists for a preview of ours."""
        for (_, name), found in self._applications.items.items():
            if sets.identity_of(found) == identity and receipts.ours(found, self._frame.installation):
                return name
        return None

    def _namespace(self, identity: Identity) -> str | None:
        """The namespace that exists for a preview of ours, whatever its repository is called by now."""
        for (_, name), found in self._namespaces.items.items():
            if sets.identity_of(found) == identity and receipts.ours(found, self._frame.installation):
                return name
        return None

    def _wanted_name(self, identity: Identity, like: Object | None = None) -> str | None:
        """The name that a preview of ours has: as its repository's set says, or else as an Application does."""
        rows = self._sets.known.get(identity.repository_id)
        repository = rows.repository if rows else sets.repository_of(like or {})
        return names.namespace(self._frame.prefix, repository, identity.number) if repository else None

    def _watch(self, identity: Identity, name: str) -> Watcher:
        watcher = self._watchers.get(name)
        if watcher is None:
            watcher = self._watchers[name] = Watcher(self._ground, identity, name)
            self._spawn(self._watched(watcher))
        return watcher

    async def _watched(self, watcher: Watcher) -> None:
        try:
            await supervised(f"observation of {watcher.name}", watcher.run)
        finally:
            self._watchers.pop(watcher.name, None)
            self._wake(watcher.identity.repository_id)

    # --- changes in the clusters ---

    def _application_changed(self, found: Object) -> None:
        identity, name = sets.identity_of(found), found["metadata"]["name"]
        if identity is None or not receipts.ours(found, self._frame.installation):
            return
        if (self._frame.namespace, name) in self._applications.items:
            self._watch(identity, name).poke()
        elif name in self._watchers:
            self._watchers[name].poke()

    def _pod_changed(self, found: Object) -> None:
        metadata = found["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        current = self._pod_mirror.items.get((namespace, name))
        if current is None:
            self._pods.get(namespace, {}).pop(name, None)
            if not self._pods.get(namespace):
                self._pods.pop(namespace, None)
        else:
            self._pods.setdefault(namespace, {})[name] = current
        if namespace in self._watchers:
            self._watchers[namespace].poke()

    def _namespace_changed(self, found: Object) -> None:
        identity = sets.identity_of(found) if receipts.ours(found, self._frame.installation) else None
        if identity and ("", found["metadata"]["name"]) not in self._namespaces.items:
            self._wake(identity.repository_id)

    # --- the canary and the Lease ---

    async def _prove(self) -> None:
        """Prove Argo CD's policy now; tried again until Argo CD takes part."""
        while self._proved is None:
            try:
                self._proved = await self._canary.prove()
            except GreenroomError as error:
                log.warning("Argo CD's policy is not proved yet", why=str(error))
                await asyncio.sleep(CANARY_AGAIN)
        if not self._proved:
            log.error(birds.DELETES)

    async def _prove_again(self) -> None:
        while True:
            await asyncio.sleep(CANARY_EVERY if self._proved else CANARY_AGAIN)
            try:
                self._proved = await self._canary.prove()
            except GreenroomError as error:
                log.warning("Argo CD's policy could not be proved again; what was proved stands", why=str(error))
            if not self._proved:
                log.error(birds.DELETES)

    async def _keep_lease(self) -> None:
        self._lose(await self._lease.keep())

    def _lose(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._lose(f"A part of the engine ended ({type(error).__name__}: {error}).")

    async def _end_tasks(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _broken(identity: Identity, application: Object, watcher: Watcher, served: Row | None) -> ObservedPreview:
    """A preview whose Application cannot be read, with the row that is served or was last seen. Raises `Unreadable`."""
    metadata, look = application["metadata"], watcher.look
    row = served or (look.row if look else None)
    if row is None:
        raise Unreadable(watcher.doubt)
    health = Health.REMOVING if metadata.get("deletionTimestamp") else Health.FAILED
    services = look.services if look else ()
    return ObservedPreview(identity, metadata["uid"], row, health, services, why=logs.scrub(watcher.doubt))
