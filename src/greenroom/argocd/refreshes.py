"""The refresh states of all ApplicationSets by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.client import Kube
from greenroom.argocd.refresh import Refresh
from greenroom.argocd.timing import Timing
from greenroom.core.model.engine import PreviewSet


@dataclass(slots=True)
class Refreshes:
    """The refresh states, each created on first use."""

    kube: Kube
    frame: InstallationSpec
    timing: Timing
    _known: dict[str, Refresh] = field(default_factory=dict)

    def named(self, name: str) -> Refresh:
        """Return the refresh state of the ApplicationSet with this name."""
        if name not in self._known:
            self._known[name] = Refresh(self.kube, self.frame.namespace, name, self.timing)
        return self._known[name]

    def of(self, preview_set: PreviewSet) -> Refresh:
        """Return the refresh state of a repository's ApplicationSet."""
        return self.named(self.frame.name(preview_set.repository))

    async def aclose(self) -> None:
        """Stop all refresh requests to Argo CD."""
        for refresh in self._known.values():
            await refresh.aclose()
