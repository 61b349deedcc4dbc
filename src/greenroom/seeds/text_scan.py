"""Strings, comments and lines for the client, of which the scanner keeps only the beginning."""

from __future__ import annotations

from greenroom.seeds import dialects
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


def string_ahead(window: Window, quote: bytes, lookahead: int) -> bytes:
    """Return what a string contains, or `*/` if it is too long to be in an executable comment."""
    limit = window.at + lookahead - 2
    found = dialects.ESCAPED.match(window.data, window.at, limit)
    text = found.group() if found and quote == b"'" else window.data[window.at : limit].split(quote, 1)[0]
    return b"*/" if len(text) >= lookahead - 4 else text


def take_string(window: Window, draft: Draft, closing: bytes) -> tuple[bool, bool]:
    """Consume a string or a quoted name. Return whether anything was consumed, and whether it ended."""
    if draft.escapes:
        pattern = dialects.ESCAPED if closing == b"'" else dialects.ESCAPED_DOUBLE
        found = pattern.match(window.data, window.at)
        end = found.end() if found else window.at
        closed = window.data[end : end + 1] == closing
        end = end if closed or not window.final else window.end
    else:
        end = window.data.find(closing, window.at)
        closed = end >= 0
        end = end if closed else window.end
    draft.content(window.take(end))
    if closed and draft.escapes:  # a doubled quote is content, and not the end of one string before another
        following = window.data[window.at + 1 : window.at + 2]
        if not following and not window.final:
            return False, False
        if following == closing:
            draft.content(window.take(window.at + 2))
            return True, False
    if closed:
        draft.content(window.take(window.at + 1))
        draft.string_ends(closing)
    return closed, closed
