"""The receipt of a removal: the remains that Greenroom can see, and a list of what it cannot see."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom import logs
from greenroom.argocd.applicationset import INSTALLATION, InstallationSpec, identity_of
from greenroom.argocd.client import APPLICATIONS, NAMESPACES, VOLUMES, Object
from greenroom.argocd.clusters import Clusters
from greenroom.argocd.namespaces import held_by
from greenroom.core.model.engine import Receipt
from greenroom.core.model.spec import Identity

UNSEEN = ("DNS records", "disks of volumes that are retained")


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a removed preview: its Application and its namespace have the same name."""

    clusters: Clusters
    frame: InstallationSpec
    name: str


async def receipt(place: Place, identity: Identity, cluster_scoped: tuple[str, ...]) -> Receipt:
    """Look for the Application and the namespace of a preview, and for volumes that were claimed in that namespace.

    `cluster_scoped` lists resources that Greenroom may not read; the receipt names them as unverified.
    """
    left, name = [], place.name
    argo, previews = place.clusters.argo, place.clusters.previews
    application = await argo.get(APPLICATIONS, place.frame.namespace, name)
    if application and identity_of(application) == identity:
        left.append(f"Application {name}")
    namespace = await previews.get(NAMESPACES, "", name)
    if namespace and ours(namespace, place.frame.installation) and identity_of(namespace) == identity:
        going = namespace["metadata"].get("deletionTimestamp")
        left.append(logs.scrub(held_by(namespace)) if going else f"namespace {name}")
    volumes, _ = await previews.listed(VOLUMES)
    left += [f"PersistentVolume {v['metadata']['name']}" for v in volumes if claimed_in(v) == name]
    return Receipt(identity, ("Application", "namespace", "volumes"), tuple(left), (*cluster_scoped, *UNSEEN))


def ours(found: Object, installation: str) -> bool:
    """Return whether an object carries our installation's label."""
    return bool((found["metadata"].get("labels") or {}).get(INSTALLATION) == installation)


def claimed_in(volume: Object) -> str:
    """Return the namespace of the claim that a volume belongs to, or belonged to."""
    return str((volume["spec"].get("claimRef") or {}).get("namespace", ""))
