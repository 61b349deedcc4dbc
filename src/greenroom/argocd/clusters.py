"""The two clusters of an installation: Argo CD's, and the one in which previews run. They may be the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from greenroom.argocd.client import Kube, Writing
from greenroom.argocd.settings import ArgoSettings

Connect = Callable[[str], Kube]


@dataclass(frozen=True, slots=True)
class Clusters:
    """Connections to both clusters."""

    argo: Kube
    previews: Kube

    def within(self, writing: Writing) -> Clusters:
        """Return the same connections, with each write in this `writing` context."""
        return Clusters(self.argo.within(writing), self.previews.within(writing))


def connected(settings: ArgoSettings, connect: Connect, stack: AsyncExitStack) -> Clusters:
    """Open the connections, which `stack` closes. Raise `FixConfiguration` if a kubeconfig cannot be used."""
    argo = previews = connect(settings.kubeconfig)
    stack.push_async_callback(argo.aclose)
    if settings.previews_kubeconfig:
        previews = connect(settings.previews_kubeconfig)
        stack.push_async_callback(previews.aclose)
    return Clusters(argo, previews)
