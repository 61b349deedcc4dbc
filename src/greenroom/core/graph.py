"""Who uses what of whom, as one picture: the same for text, JSON and the drawing. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from greenroom.core.links import SAME
from greenroom.core.status import Stage, Status

_NOT_THERE = (Stage.NONE, Stage.REMOVED)


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """`source`, a preview, finds `target`, a service, at `name`: `payments#17`, `staging` or `by hand`.

    `preview` is the one that answers there, by its own name (`shop#17`), and `version` the commit that runs in it, in
    full; both are empty for what is no preview, and `version` while nothing runs. What a version means is not judged.
    """

    source: str
    target: str
    name: str
    why: str
    url: str
    preview: str = ""
    version: str = ""

    @property
    def end(self) -> str:
        """What is at the end of it: a preview, or the service of staging or of an address set by hand."""
        return self.name if "#" in self.name else f"{self.target} ({self.name})"


@dataclass(frozen=True, slots=True)
class Graph:
    """All links that leave a preview, sorted, and the previews that neither use another nor are used."""

    edges: tuple[Edge, ...]
    apart: tuple[str, ...]


def graph(statuses: Iterable[Status]) -> Graph:
    """The graph of what exists; the same whatever the order."""
    alive = [s for s in statuses if s.stage not in _NOT_THERE]
    answers = {f"{r.service}#{s.number}": (s.name, r.sha) for s in alive for r in s.services}
    edges = {
        Edge(s.name, k.target, k.name, k.why, k.url, *answers.get(k.name, ("", "")))
        for s in alive
        for k in s.links
        if k.why != SAME
    }
    linked = {e.source for e in edges} | {s.name for s in alive if any(not u.misses for u in s.used_by)}
    return Graph(tuple(sorted(edges)), tuple(sorted(s.name for s in alive if s.services and s.name not in linked)))
