"""Permission to read, to answer Argo CD and to act: the Lease, the specs that were read, and Argo CD's policy."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.argocd.lease import Lease
from greenroom.argocd.policy import Policy
from greenroom.errors import Doubt


@dataclass(slots=True)
class Lead:
    """The lead of one instance. `loaded` is true once it holds the Lease and has read what exists."""

    lease: Lease
    policy: Policy
    loaded: bool = False

    def begin(self) -> None:
        """Note that everything that exists was read."""
        self.loaded = True

    def may_read(self) -> None:
        """Raise `Doubt` unless this instance is the leader."""
        if not self.loaded:
            raise Doubt("This instance is on standby, or has not finished reading the existing specs.")

    def may_act(self) -> None:
        """Raise `Doubt` unless this instance is the leader and Argo CD's policy is verified."""
        self.may_read()
        if self.policy.unable:
            raise Doubt(self.policy.unable)

    def may_write(self) -> None:
        """Raise `Doubt` unless this instance may act and holds the Lease now."""
        self.may_act()
        self.lease.check()
