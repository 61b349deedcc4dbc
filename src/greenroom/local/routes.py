"""Which preview answers at which host. A route belongs to one preview, and only that preview changes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from greenroom.core.model import Identity


class Routes:
    """The claims of previews on hosts. Of two that claim one host, the first keeps it until it lets go.

    Two previews can claim one host when a repository was deleted and made again, or when another one took its name:
    the address must not change hands while the older preview still runs.
    """

    def __init__(self) -> None:
        self._claims: dict[str, dict[Identity, int]] = {}

    def claim(self, owner: Identity, ports: Mapping[str, int]) -> None:
        """Make these the only routes of a preview: host to loopback port, 0 where nothing serves yet."""
        for host in set(self.hosts(owner)) - ports.keys():  # after a rename the old address must end
            del self._claims[host][owner]
            if not self._claims[host]:
                del self._claims[host]
        for host, port in ports.items():
            self._claims.setdefault(host, {})[owner] = port

    def release(self, owner: Identity) -> None:
        """End every route of a preview. Routes of others stay, for the same host too."""
        self.claim(owner, {})

    def port(self, host: str) -> int | None:
        """Return the port that answers for a host, 0 where nothing serves yet, None where the host is unknown."""
        return next(iter(self._claims.get(host, {}).values()), None)

    def hosts(self, owner: Identity) -> tuple[str, ...]:
        """Return every host that a preview claims."""
        return tuple(host for host, claims in self._claims.items() if owner in claims)

    def taken(self, owner: Identity, hosts: Iterable[str]) -> tuple[str, Identity] | None:
        """Return the first of these hosts that another preview holds, and that preview."""
        for host in hosts:
            holder = next(iter(self._claims.get(host, {})), owner)
            if holder != owner:
                return host, holder
        return None
