"""Removal of previews, one Application at a time, and the check of what is left of them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from greenroom.argocd import receipt as receipts
from greenroom.argocd.applicationset import InstallationSpec, identity_of
from greenroom.argocd.client import APPLICATIONS, Conflict, Object
from greenroom.argocd.clusters import Clusters
from greenroom.argocd.copies import Copies
from greenroom.argocd.known_sets import KnownSets
from greenroom.argocd.lead import Lead
from greenroom.argocd.refreshes import Refreshes
from greenroom.argocd.set_writer import TRIES
from greenroom.core.model.engine import PreviewSet, Receipt
from greenroom.core.model.spec import Identity
from greenroom.errors import Doubt, RetryLater


@dataclass(frozen=True, slots=True)
class _Removed:
    """A removal that is not concluded yet: the preview's name, and its resources outside any namespace."""

    name: str
    cluster_scoped: tuple[str, ...]


@dataclass(slots=True)
class Removals:
    """The removals of one running instance. `seconds` is how long each waits for Argo CD."""

    clusters: Clusters
    frame: InstallationSpec
    sets: KnownSets
    refreshes: Refreshes
    copies: Copies
    lead: Lead
    seconds: float
    _removed: dict[Identity, _Removed] = field(default_factory=dict)

    async def remove(self, identity: Identity, uid: str) -> None:
        """Delete this Application once Argo CD works without its spec."""
        preview_set = self._may_go(identity)
        name = self.copies.application_of(identity)
        if name is None:
            return
        if preview_set and not await self._taken_over(preview_set):
            raise RetryLater(
                f"Argo CD has not yet processed the removal of {name}'s spec. The Application was not deleted.",
                after=1.0,
            )
        for _ in range(TRIES):
            with contextlib.suppress(Conflict):  # Argo CD changed the Application meanwhile
                await self._delete(identity, name, uid)
                return
        raise RetryLater(f"The Application {name} keeps changing. Greenroom will retry shortly.", after=1.0)

    async def _delete(self, identity: Identity, name: str, uid: str) -> None:
        """Delete the Application in its current version. A late request finds another version and removes nothing."""
        found = await self.clusters.argo.get(APPLICATIONS, self.frame.namespace, name)
        if found is None:
            return
        metadata = found["metadata"]
        if metadata["uid"] != uid:
            raise Doubt(f"The Application {name} has been replaced by another one. Nothing was removed.")
        if identity_of(found) != identity or not receipts.ours(found, self.frame.installation):
            raise Doubt(
                f"The Application {name} no longer has the labels of the preview {identity}. Nothing was removed."
                " Restore the labels, or delete the Application."
            )
        self._removed[identity] = _Removed(name, _cluster_scoped(found))
        self._may_go(identity)  # check again after the read
        await self.clusters.argo.delete(APPLICATIONS, self.frame.namespace, name, uid, metadata["resourceVersion"])

    def _may_go(self, identity: Identity) -> PreviewSet | None:
        self.lead.may_write()
        preview_set = self.sets.certain(identity.repository_id)
        if preview_set and identity.number in preview_set.specs:
            raise Doubt(f"The spec of {identity} still exists. Nothing was removed.")
        return preview_set

    async def receipt(self, identity: Identity) -> Receipt:
        """Look for remains of a removed preview once Argo CD can no longer recreate it from its spec."""
        self.lead.may_act()
        preview_set = self.sets.certain(identity.repository_id)
        if preview_set and not await self._taken_over(preview_set):
            raise RetryLater(
                f"Argo CD has not yet processed the removal of {identity}'s spec. Greenroom will verify later that the"
                " preview is removed.",
                after=1.0,
            )
        removed = self._removed.get(identity)
        name = self.copies.name_of(identity) or (removed.name if removed else self.sets.name_of(identity))
        if name is None:
            raise Doubt(f"Greenroom no longer knows the name of {identity}'s Application.")
        others = removed.cluster_scoped if removed else ()
        where = receipts.Place(self.clusters, self.frame, name)
        return await receipts.receipt(where, identity, others)

    def conclude(self, preview_set: PreviewSet) -> None:
        """Forget the removals of a repository whose ledger says that they are over and reported."""
        waiting = {w.identity for w in preview_set.ledger.withdrawals if not w.told}
        for identity in [i for i in self._removed if i.repository_id == preview_set.repository_id and i not in waiting]:
            del self._removed[identity]

    async def _taken_over(self, preview_set: PreviewSet) -> bool:
        return await self.refreshes.of(preview_set).taken_over(self.seconds)


def _cluster_scoped(application: Object) -> tuple[str, ...]:
    """Return the resources outside any namespace that Argo CD created for an Application."""
    resources = (application.get("status") or {}).get("resources") or ()
    unseen = (r for r in resources if not r.get("namespace") and r.get("kind") != "Namespace")
    return tuple(f"{r.get('kind')} {r.get('name')}" for r in unseen)
