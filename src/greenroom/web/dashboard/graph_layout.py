"""Drawing of the graph of links: previews on the left, their targets on the right, a line for each link."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.core.linking.graph import Edge
from greenroom.web.dashboard.views import page

ROW, WIDE, LEFT, RIGHT = 30, 900, 300, 600


@dataclass(frozen=True, slots=True)
class Node:
    """A name at a height; `href` leads to its page, if it has one."""

    text: str
    y: int
    href: str


@dataclass(frozen=True, slots=True)
class Line:
    """One link: an SVG path with its reason."""

    path: str
    title: str
    staging: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing with the place of each part, in SVG units."""

    left: tuple[Node, ...]
    right: tuple[Node, ...]
    lines: tuple[Line, ...]
    height: int
    width: int = WIDE
    x_left: int = LEFT
    x_right: int = RIGHT


def drawn(edges: tuple[Edge, ...]) -> Drawing:
    """Lay out the drawing. A target is near the middle of the previews that use it, so that few lines cross."""
    sources = sorted({e.source for e in edges})
    at = {name: ROW * (i + 1) for i, name in enumerate(sources)}
    users: dict[str, list[int]] = {}
    for edge in edges:
        users.setdefault(edge.end, []).append(at[edge.source])
    ends = sorted(users, key=lambda end: (sum(users[end]) / len(users[end]), end))
    to = {name: ROW * (i + 1) for i, name in enumerate(ends)}
    pages = {e.end: e.preview for e in edges}
    half = (LEFT + RIGHT) // 2
    lines = [
        Line(
            f"M{LEFT + 8},{at[e.source]} C{half},{at[e.source]} {half},{to[e.end]} {RIGHT - 8},{to[e.end]}",
            f"{e.source} uses {e.target} from {e.name}: {e.why}",
            "#" not in e.name,
        )
        for e in edges
    ]
    lines.sort(key=lambda line: not line.staging)  # links that were chosen are drawn over default ones
    return Drawing(
        tuple(Node(name, at[name], page(name)) for name in sources),
        tuple(Node(name, to[name], page(pages[name])) for name in ends),
        tuple(lines),
        ROW * (max(len(sources), len(ends)) + 1),
    )
