"""Routes from hosts to previews. A route belongs to one preview, and only that preview changes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from greenroom.core.model.spec import Identity


class Routes:
    """Claims of previews on hosts. When two claim one host, the first keeps it until it releases it.

    Two previews can claim one host when a repository was deleted and created again, or when another one took its name:
    the address must not change hands while the older preview still runs.
    """

    def __init__(self) -> None:
        self._claims: dict[str, dict[Identity, int]] = {}

    def claim(self, owner: Identity, ports: Mapping[str, int]) -> None:
        """Replace the routes of a preview: host to loopback port, 0 while nothing serves."""
        for host in set(self.hosts(owner)) - ports.keys():  # after a rename the old address must stop answering
            del self._claims[host][owner]
            if not self._claims[host]:
                del self._claims[host]
        for host, port in ports.items():
            self._claims.setdefault(host, {})[owner] = port

    def release(self, owner: Identity) -> None:
        """Remove every route of a preview. Routes of other previews stay, even for the same host."""
        self.claim(owner, {})

    def port(self, host: str) -> int | None:
        """Return the port for a host: 0 while nothing serves, None for an unknown host."""
        return next(iter(self._claims.get(host, {}).values()), None)

    def holder(self, host: str) -> Identity | None:
        """Return the preview that a host belongs to; None for an unknown host."""
        return next(iter(self._claims.get(host, {})), None)

    def hosts(self, owner: Identity) -> tuple[str, ...]:
        """Return every host that a preview claims."""
        return tuple(host for host, claims in self._claims.items() if owner in claims)

    def taken(self, owner: Identity, hosts: Iterable[str]) -> tuple[str, Identity] | None:
        """Return the first of these hosts that another preview holds, and that preview."""
        for host in hosts:
            holder = self.holder(host) or owner
            if holder != owner:
                return host, holder
        return None
