"""Uses between previews as one graph, which is the same for text, JSON and the drawing. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from greenroom.core.model.status import Stage, Status

_NOT_THERE = (Stage.NONE, Stage.REMOVED)


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """A link: the preview `source` finds the service `target` at `name`.

    `name` is as in `Used`. `preview` is the preview that answers there, and `version` is the full commit that runs in
    it. Both are empty if the target is not a preview that exists; `version` is also empty while nothing runs. Greenroom
    does not judge versions.
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
        """Return the node at its end: a preview, or the service of staging or of an address set by hand."""
        return self.name if "#" in self.name else f"{self.target} ({self.name})"


@dataclass(frozen=True, slots=True)
class Graph:
    """All links that leave a preview, sorted, and the previews that neither use another nor are used."""

    edges: tuple[Edge, ...]
    apart: tuple[str, ...]


def graph(statuses: Iterable[Status]) -> Graph:
    """Return the graph of the previews that exist. The order of the statuses does not matter."""
    alive = [s for s in statuses if s.stage not in _NOT_THERE]
    answers = {(r.service, s.name): (s.name, r.sha) for s in alive for r in s.services}
    edges = {
        Edge(s.name, k.target, k.name, k.why, k.url, *answers.get((k.target, k.name), ("", "")))
        for s in alive
        for k in s.links
        if not k.own
    }
    linked = {e.source for e in edges} | {s.name for s in alive if any(not u.misses for u in s.used_by)}
    return Graph(tuple(sorted(edges)), tuple(sorted(s.name for s in alive if s.services and s.name not in linked)))
