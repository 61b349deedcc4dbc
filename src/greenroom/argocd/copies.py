"""Local copies of the Applications, pods and namespaces of an installation, which informers keep current."""

from __future__ import annotations

import asyncio
from typing import Protocol

from greenroom.argocd.applicationset import INSTALLATION, MANAGED, InstallationSpec, identity_of
from greenroom.argocd.client import APPLICATIONS, NAMESPACES, PODS, Object
from greenroom.argocd.clusters import Clusters
from greenroom.argocd.informer import Mirror
from greenroom.argocd.receipt import ours
from greenroom.argocd.timing import Timing
from greenroom.background import Tasks
from greenroom.core.model.spec import Identity


class Listener(Protocol):
    """Receiver of the changes that concern our previews."""

    def application_changed(self, identity: Identity, name: str) -> None:
        """Handle a created, changed or deleted Application."""

    def pods_changed(self, namespace: str) -> None:
        """Handle a created, changed or deleted pod in this namespace."""

    def namespace_deleted(self, identity: Identity) -> None:
        """Handle the end of a preview's namespace."""


class Copies:
    """The three copies, and pods by namespace. `listener` receives changes once `run` was called."""

    def __init__(self, clusters: Clusters, frame: InstallationSpec, timing: Timing) -> None:
        managed, mine = f"{MANAGED}=greenroom", f"{INSTALLATION}={frame.installation}"
        self.applications = Mirror(
            clusters.argo, APPLICATIONS, self._application_changed, timing, namespace=frame.namespace, labels=managed
        )
        self.pods = Mirror(clusters.previews, PODS, self._pod_changed, timing, labels=mine)
        self.namespaces = Mirror(clusters.previews, NAMESPACES, self._namespace_changed, timing)
        self._frame = frame
        self._first_copy = timing.first_copy
        self._pods: dict[str, dict[str, Object]] = {}
        self._listener: Listener | None = None

    async def run(self, tasks: Tasks, listener: Listener) -> None:
        """Start the informers, and wait until each copy is complete. Raise `TimeoutError` when that takes too long."""
        self._listener = listener
        mirrors = (self.applications, self.pods, self.namespaces)
        for mirror in mirrors:
            tasks.keep(f"{mirror.plural} watch", mirror.run)
        async with asyncio.timeout(self._first_copy):
            for mirror in mirrors:
                await mirror.ready.wait()

    def application(self, name: str) -> Object | None:
        """Return the copy of an Application, or None when there is none."""
        return self.applications.items.get((self._frame.namespace, name))

    def pods_in(self, namespace: str) -> list[Object]:
        """Return the copies of the pods in a namespace."""
        return list(self._pods.get(namespace, {}).values())

    def name_of(self, identity: Identity) -> str | None:
        """Return the name of the existing Application of one of our previews, or else of its namespace, or None.

        The name may differ from the one that the repository would give today, because it may have been renamed.
        """
        return self.application_of(identity) or self._named(self.namespaces, identity)

    def application_of(self, identity: Identity) -> str | None:
        """Return the name of the existing Application of one of our previews, or None."""
        return self._named(self.applications, identity)

    def _named(self, mirror: Mirror, identity: Identity) -> str | None:
        for (_, name), found in mirror.items.items():
            if self._preview(found) == identity:
                return name
        return None

    def _preview(self, found: Object) -> Identity | None:
        return identity_of(found) if ours(found, self._frame.installation) else None

    # --- changes ---

    def _application_changed(self, found: Object) -> None:
        if (identity := self._preview(found)) and self._listener:
            self._listener.application_changed(identity, found["metadata"]["name"])

    def _pod_changed(self, found: Object) -> None:
        namespace, name = found["metadata"]["namespace"], found["metadata"]["name"]
        current = self.pods.items.get((namespace, name))
        if current is not None:
            self._pods.setdefault(namespace, {})[name] = current
        else:
            self._pods.get(namespace, {}).pop(name, None)
            if not self._pods.get(namespace):
                self._pods.pop(namespace, None)
        if self._listener:
            self._listener.pods_changed(namespace)

    def _namespace_changed(self, found: Object) -> None:
        gone = ("", found["metadata"]["name"]) not in self.namespaces.items
        if (identity := self._preview(found)) and gone and self._listener:
            self._listener.namespace_deleted(identity)
