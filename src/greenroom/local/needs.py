"""The needs of a spec's services, and the local server for each."""

from __future__ import annotations

from greenroom.core.model.catalog import Need, Service
from greenroom.core.model.kinds import KINDS, LocalServer, local
from greenroom.core.model.spec import PreviewSpec
from greenroom.errors import Failed


def needs_of(spec: PreviewSpec) -> list[tuple[Service, Need]]:
    """Return all needs of a spec, each with the service that owns it."""
    return [(service, need) for service in spec.services for need in service.needs]


def data_of(spec: PreviewSpec, service: Service) -> list[tuple[Service, Need, tuple[tuple[str, str], ...]]]:
    """Return the needs of a service, its own and shared ones, each with its owner and the service's variables."""
    found = [(service, need, need.variables) for need in service.needs]
    for shared in service.shared_needs:
        owner, need = next((s, n) for s, n in needs_of(spec) if (s.name, n.name) == (shared.service, shared.name))
        found.append((owner, need, shared.variables))
    return found


def server_of(need: Need, owner: Service) -> LocalServer:
    """Return the local server for a need. Raise `Failed` for a kind that the local engine does not offer."""
    if (kind := KINDS.get(need.kind)) and kind.local:
        return kind.local
    offered = ", ".join(local(KINDS))
    raise Failed(f"The local engine does not offer {need.kind}, which {owner.name} needs. It offers {offered}.")
