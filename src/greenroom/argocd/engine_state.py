"""The state of everything that Argo CD holds, as the loop gets it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from greenroom import logs
from greenroom.argocd.applicationset import INSTALLATION, InstallationSpec, identity_of
from greenroom.argocd.client import Object
from greenroom.argocd.copies import Copies
from greenroom.argocd.known_sets import KnownSets
from greenroom.argocd.lead import Lead
from greenroom.argocd.look import observed
from greenroom.argocd.packing import Unreadable
from greenroom.argocd.receipt import ours
from greenroom.argocd.refusals import Refusals
from greenroom.argocd.seed_builds import SeedBuilds
from greenroom.argocd.watcher import Watcher
from greenroom.argocd.watchers import Watchers
from greenroom.core.model.engine import EngineState, Health, ObservedPreview
from greenroom.core.model.spec import Identity, PreviewSpec


@dataclass(frozen=True, slots=True)
class StateReader:
    """The sources of the state: copies of objects, watchers of previews, preview sets, and Argo CD's errors."""

    frame: InstallationSpec
    copies: Copies
    watchers: Watchers
    sets: KnownSets
    refusals: Refusals
    lead: Lead
    builds: SeedBuilds

    async def read(self) -> EngineState:
        """Return all our objects. Raise `Doubt` unless this instance leads and all is current and observed.

        Objects of another installation count by name only. An unreadable object of ours causes doubt about its preview
        if the spec is known, and otherwise about its repository.
        """
        self.lead.may_read()
        self.lead.lease.check()
        applications = self.copies.applications.whole()
        self.copies.pods.whole()
        previews: dict[Identity, ObservedPreview] = {}
        other_installations: dict[Identity, str] = {}
        doubts = self.sets.doubts()
        for (_, name), application in tuple(applications.items()):  # they may change while a look is awaited
            identity = identity_of(application)
            if identity is None:
                continue
            if not ours(application, self.frame.installation):
                if self._takes_our_name(identity, name, application):
                    other_installations[identity] = application["metadata"]["labels"].get(INSTALLATION, "")
                continue
            try:
                previews[identity] = await self._observed(identity, application)
            except Unreadable as error:
                doubts.setdefault(identity.repository_id, str(error))
        others = {i: owner for i, owner in other_installations.items() if i not in previews}
        sets, refusals = self.sets.for_links(previews), dict(self.refusals.known)
        state = EngineState(previews, sets, self._namespaces(), others, doubts, refusals, self.lead.policy.unable)
        return replace(state, failed_builds=self.builds.failed(), building=self.builds.building())

    def _takes_our_name(self, identity: Identity, name: str, application: Object) -> bool:
        """Return whether another installation's Application has the name that our preview would get."""
        wanted = self.sets.name_of(identity, like=application)
        return name.startswith(f"{self.frame.prefix}-") and wanted in (None, name)

    def _namespaces(self) -> dict[str, Identity | None]:
        """Return the namespaces with our prefix, and the preview that each belongs to; None when it is not ours."""
        return {
            name: identity_of(n) if ours(n, self.frame.installation) else None
            for (_, name), n in self.copies.namespaces.whole().items()
            if name.startswith(f"{self.frame.prefix}-")
        }

    async def _observed(self, identity: Identity, application: Object) -> ObservedPreview:
        watcher = await self.watchers.looked(identity, application["metadata"]["name"])
        preview_set = self.sets.served.get(identity.repository_id)
        served = preview_set.specs.get(identity.number) if preview_set else None
        if watcher.look is None or watcher.broken:
            return _broken(identity, application, watcher, served)
        return observed(identity, watcher.look, served, watcher.refused_for)


def _broken(identity: Identity, application: Object, watcher: Watcher, served: PreviewSpec | None) -> ObservedPreview:
    """Return a preview whose Application cannot be read, with its served or last seen spec.

    Raise `Unreadable` when there is no such spec.
    """
    metadata, look = application["metadata"], watcher.look
    spec = served or (look.spec if look else None)
    if spec is None:
        raise Unreadable(watcher.doubt)
    health = Health.REMOVING if metadata.get("deletionTimestamp") else Health.FAILED
    found = ObservedPreview(identity, metadata["uid"], spec, health, why=logs.scrub(watcher.doubt))
    if look is None:
        return found
    return replace(found, services=look.services, calls=look.calls, manual_overrides=look.manual_overrides)
