"""Comments and lines for the client, of which the scanner keeps only the beginning."""

from __future__ import annotations

from greenroom.seeds.window import Draft, Window


def take_line(window: Window, draft: Draft) -> bool:
    """Consume the rest of a line. Return whether its end was found."""
    end = window.data.find(b"\n", window.at)
    line = window.line
    draft.notes(window.take(end + 1 if end >= 0 else window.end), line)
    return end >= 0


def skip_comment(window: Window, depth: int, *, nests: bool) -> int:
    """Consume a comment in which `depth` comments are open. Return how many still are; 0 is its end."""
    while (end := window.data.find(b"*/", window.at)) >= 0:
        nested = window.data.find(b"/*", window.at, end + 1) if nests else -1
        depth += 1 if nested >= 0 else -1
        window.take((nested if nested >= 0 else end) + 2)
        if not depth:
            return 0
    while nests and (nested := window.data.find(b"/*", window.at)) >= 0:
        depth += 1
        window.take(nested + 2)
    window.take(window.end if window.final else max(window.at, window.end - 1))
    return depth
