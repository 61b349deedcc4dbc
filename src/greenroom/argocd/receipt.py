"""What is left of a removed preview, as far as it can be seen from here; and what cannot be seen is said."""

from __future__ import annotations

from greenroom import logs
from greenroom.argocd.kube import APPLICATIONS, NAMESPACES, VOLUMES, Kube, Object
from greenroom.argocd.looks import held_by
from greenroom.argocd.sets import INSTALLATION, identity_of
from greenroom.core.model import Identity, Receipt

UNSEEN = ("DNS records", "disks of volumes that are retained")


async def receipt(
    argo: Kube,
    previews: Kube,
    where: str,
    installation: str,
    identity: Identity,
    name: str,
    cluster_scoped: tuple[str, ...],
) -> Receipt:
    """Look for the Application, the namespace and volumes of a preview. `name` is that of all three."""
    left = []
    application = await argo.get(APPLICATIONS, where, name)
    if application and identity_of(application) == identity:
        left.append(f"Application {name}")
    namespace = await previews.get(NAMESPACES, "", name)
    if namespace and ours(namespace, installation) and identity_of(namespace) == identity:
        going = namespace["metadata"].get("deletionTimestamp")
        left.append(logs.scrub(held_by(namespace)) if going else f"namespace {name}")
    volumes, _ = await previews.listed(VOLUMES)
    left += [f"PersistentVolume {v['metadata']['name']}" for v in volumes if claimed_in(v) == name]
    return Receipt(identity, ("Application", "namespace", "volumes"), tuple(left), (*cluster_scoped, *UNSEEN))


def ours(found: Object, installation: str) -> bool:
    """Whether an object carries our installation's label."""
    return bool((found["metadata"].get("labels") or {}).get(INSTALLATION) == installation)


def claimed_in(volume: Object) -> str:
    """The namespace of the claim that a volume belongs to, or belonged to."""
    return str((volume["spec"].get("claimRef") or {}).get("namespace", ""))
