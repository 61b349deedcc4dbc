"""Faults on demand. Each one counts how often it fired, so that a test can check that its fault occurred."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

REQUEST_FAULTS = (
    "server-error",  # 500
    "secondary-limit",  # 403 with Retry-After
    "unauthorized",  # 401
    "forbidden",  # 403: the token lacks a permission
    "not-found",  # 404: hidden from the token
    "html",  # a page with status 200
    "truncated",  # fewer items than there are, and no error
    "graphql-errors",  # a partial answer with `errors` and nulls
    "empty-list",  # a well-formed empty list
    "stale",  # the world as it was when the fault began
    "lagging-replica",  # every read shows the world as it was some seconds ago; see `Simulator.lag`
    "dropped-write",  # the write is applied, but its answer is lost
    "bad-gateway",  # 502: GitHub ended the query after ten seconds; `path` is a repository's slug
    "gateway-timeout",  # 504: the same, from another server
    "resource-limits",  # 200 with RESOURCE_LIMITS_EXCEEDED for that repository
    "ignored-write",  # the write is not applied, but its answer reports success
    "wrong-date",  # a good answer from a server whose clock is a day ahead
)
WEBHOOK_FAULTS = ("webhook-lost", "webhook-duplicated", "webhook-late", "webhook-reordered")
ALL = REQUEST_FAULTS + WEBHOOK_FAULTS


@dataclass(slots=True)
class Active:
    """An active fault: for `times` more requests (None = until cleared), on paths that contain `path`.

    Faults of heavy queries apply only above `nodes` nodes of a repository.
    """

    times: int | None = None
    path: str = ""
    nodes: int = 0


@dataclass(slots=True)
class Faults:
    """The faults of a simulator. `fired` counts them by name, over the life of the simulator."""

    active: dict[str, Active] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)

    def on(self, name: str, times: int | None = None, path: str = "", nodes: int = 0) -> None:
        """Switch a fault on. Raise `ValueError` for an unknown name."""
        if name not in ALL:
            raise ValueError(f"{name!r} is not a known fault; known: {', '.join(ALL)}")
        self.active[name] = Active(times, path, nodes)

    def off(self, *names: str) -> None:
        """Switch these faults off, or all faults if there are no names."""
        for name in names or tuple(self.active):
            self.active.pop(name, None)

    def fires(self, name: str, path: str = "", nodes: int = 1) -> bool:
        """Return whether a fault applies now. If it does, count it and use up one of its times."""
        found = self.active.get(name)
        if found is None or found.path not in path or nodes <= found.nodes:
            return False
        self.fired[name] += 1
        if found.times is not None:
            found.times -= 1
            if found.times <= 0:
                del self.active[name]
        return True
