"""The watchers of all previews, by the name of their Application."""

from __future__ import annotations

from collections.abc import Callable

from greenroom.argocd.client import Object
from greenroom.argocd.timing import Timing
from greenroom.argocd.watcher import Watcher
from greenroom.background import Tasks, supervised
from greenroom.clock import wait_until
from greenroom.core.model.spec import Identity, PreviewSpec, same_pods
from greenroom.errors import Doubt


class Watchers:
    """Starts a watcher for each Application, and passes changes on to it.

    `make` returns a watcher, `application` the local copy of an Application. `wake` is called with a repository id when
    a preview of it changes.
    """

    def __init__(
        self,
        make: Callable[[Identity, str], Watcher],
        application: Callable[[str], Object | None],
        wake: Callable[[int], None],
        tasks: Tasks,
        timing: Timing,
    ) -> None:
        self.known: dict[str, Watcher] = {}
        self._make = make
        self._application = application
        self._wake = wake
        self._tasks = tasks
        self._timing = timing

    def has_taken_over(self, spec: PreviewSpec) -> bool:
        """Return whether Argo CD has applied this spec: there is an Application, and it has the same spec."""
        watcher = self.known.get(spec.names.name)
        return watcher is not None and watcher.look is not None and same_pods(watcher.look.spec, spec)

    async def looked(self, identity: Identity, name: str) -> Watcher:
        """Return a watcher that has looked, or that knows that it cannot.

        Wait for the first look. Raise `Doubt` when there is none yet.
        """
        watcher = self._watch(identity, name)

        async def tried() -> bool:
            return watcher.look is not None or watcher.broken or bool(watcher.doubt)

        await wait_until(tried, self._timing.first_look, every=0.02, clock=self._timing.clock)
        if watcher.look is None and not watcher.broken:
            raise Doubt(watcher.doubt or f"{watcher.name} has not been observed yet.")
        return watcher

    # --- changes in the clusters ---

    def application_changed(self, identity: Identity, name: str) -> None:
        """Look again at a preview whose Application was created, changed or deleted."""
        if self._application(name) is not None:
            self._watch(identity, name).poke()
        else:
            self.pods_changed(name)

    def pods_changed(self, namespace: str) -> None:
        """Look again at the preview in this namespace, if there is one. Its Application has the same name."""
        if watcher := self.known.get(namespace):
            watcher.poke()

    def namespace_deleted(self, identity: Identity) -> None:
        """Report that the namespace of a preview is gone."""
        self._wake(identity.repository_id)

    def _watch(self, identity: Identity, name: str) -> Watcher:
        if name not in self.known:
            watcher = self.known[name] = self._make(identity, name)
            self._tasks.start(f"{name} watcher", self._watched(watcher))
        return self.known[name]

    async def _watched(self, watcher: Watcher) -> None:
        def changed() -> None:
            self._wake(watcher.identity.repository_id)

        async def run() -> None:
            await watcher.run(lambda: self._application(watcher.name), changed)

        try:
            await supervised(f"observation of {watcher.name}", run)
        finally:
            self.known.pop(watcher.name, None)
            changed()
