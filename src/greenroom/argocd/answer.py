"""Greenroom's answer when Argo CD requests the specs of an ApplicationSet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.canary import Canary
from greenroom.argocd.known_sets import KnownSets
from greenroom.argocd.lead import Lead
from greenroom.argocd.packing import packed
from greenroom.argocd.refreshes import Refreshes
from greenroom.core.model.catalog import Platform
from greenroom.core.model.spec import PreviewSpec
from greenroom.core.planning.chart_values import parameters
from greenroom.errors import Doubt


@dataclass(frozen=True, slots=True)
class Answers:
    """The sources of an answer. Each answer records that Argo CD has received the specs."""

    frame: InstallationSpec
    lead: Lead
    canary: Canary
    sets: KnownSets
    refreshes: Refreshes

    def answer(self, name: str, platform: Platform) -> list[dict[str, Any]] | None:
        """Return the specs of an ApplicationSet for Argo CD; None when it is not ours. Raise `Doubt`: answer 503."""
        if not self.lead.loaded:
            raise Doubt("This instance is on standby, or has not finished reading the existing specs.")
        self.lead.lease.check()
        if name == self.frame.canary:
            self.refreshes.named(name).asked()
            return list(self.canary.served)
        self.lead.may_act()
        found = self.sets.named(name)
        if found is None:
            return None
        entries = [self._parameters(spec, platform) for spec in found.specs.values()]
        self.refreshes.named(name).asked()
        return entries

    def _parameters(self, spec: PreviewSpec, platform: Platform) -> dict[str, Any]:
        # Use the installation that labels the sets and Applications. The configuration may name another one by now.
        same = replace(platform, installation=self.frame.installation)
        return {**parameters(spec, same), "row": packed(spec)}
