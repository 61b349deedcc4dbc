"""The sweep: find orphans, and delete namespaces that have been orphans for long if the configuration says so."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.client import NAMESPACES, VOLUMES, Kube, Object
from greenroom.argocd.copies import Copies
from greenroom.argocd.known_sets import KnownSets
from greenroom.argocd.lead import Lead
from greenroom.argocd.sweep import Orphan, OrphanTracker, Sweep, orphans
from greenroom.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Sweeper:
    """The sweeps of one installation. It deletes only if `deletes`, and only what `tracker` has seen for long."""

    previews: Kube
    frame: InstallationSpec
    sets: KnownSets
    copies: Copies
    lead: Lead
    tracker: OrphanTracker
    clock: SystemClock
    deletes: bool

    async def sweep(self) -> Sweep:
        """Find orphans, and delete the lasting ones. Raise `Doubt` while any preview set is unknown."""
        self.lead.may_write()
        self.sets.all_read()  # unknown specs may explain objects
        volumes, _ = await self.previews.listed(VOLUMES)
        found = self._orphans(volumes)
        deleted = []
        lasting = self.tracker.lasting(found, self.clock.monotonic())
        for orphan in lasting if self.deletes else ():
            if orphan in self._orphans(volumes):  # a spec may have been added meanwhile
                await self.previews.delete(NAMESPACES, "", orphan.name, orphan.uid)
                deleted.append(orphan)
        return Sweep(found, tuple(deleted))

    def _orphans(self, volumes: list[Object]) -> tuple[Orphan, ...]:
        applications, namespaces = self.copies.applications.whole(), self.copies.namespaces.whole()
        return orphans(self.frame.installation, self.sets.served, applications.values(), namespaces.values(), volumes)
