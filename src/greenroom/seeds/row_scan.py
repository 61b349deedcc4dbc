"""Rows of COPY and of INSERT, read in bulk: these are nearly all bytes of a dump."""

from __future__ import annotations

import re
from itertools import accumulate, pairwise

from greenroom.seeds.dialects import Dialect, statements
from greenroom.seeds.events import Event, Rows
from greenroom.seeds.window import Sampling, Window

LONGEST_LINE = 1 << 18
"""Maximum bytes to keep of each line of COPY data. The rest of the line is skipped."""

LONGEST_ROW = 8 << 20
"""Maximum bytes of an INSERT's row to keep in memory. A longer row is read as code."""

AT_ONCE = 1 << 17
"""Maximum bytes to search for rows at once. The bytes that do not match are copied each time."""

_MARKER = b"\\."


def take_lines(window: Window, sampling: Sampling, head: bytes, events: list[Event]) -> tuple[bool, bool]:
    """Consume lines of COPY. Return whether anything was consumed, and whether the end marker was."""
    if length := _marker(window, window.at):
        window.skip(window.at + length)
        return True, True
    stop = _lines_end(window)
    if stop <= window.at:
        return _long_line(window, sampling, head, events), False
    lines = window.data[window.at : stop - 1].split(b"\n")
    kept = [line[:LONGEST_LINE] for line in sampling.chosen(head, lines)]
    window.skip(stop)
    events.append(Rows(head, len(lines), tuple(kept), copied=True))
    return True, False


def _marker(window: Window, at: int) -> int:
    """Return the length of the end marker at this index, or 0."""
    found = window.data[at : at + 4]
    if not found.startswith(_MARKER):
        return 0
    rest = found[2:]
    if rest[:1] == b"\n":
        return 3
    if rest[:2] == b"\r\n":
        return 4
    return len(found) if window.final and rest in (b"", b"\r") else 0


def _lines_end(window: Window) -> int:
    """Return the index after the last whole line that is not the end marker."""
    at = window.at
    while (found := window.data.find(b"\n" + _MARKER, at)) >= 0:
        if _marker(window, found + 1):
            return found + 1
        at = found + 1
    return window.data.rfind(b"\n", window.at) + 1


def _long_line(window: Window, sampling: Sampling, head: bytes, events: list[Event]) -> bool:
    """Consume the part of a long line that is not kept. Its newline follows and ends the row."""
    if window.final:
        window.skip(window.end)
        return False
    if window.left > LONGEST_LINE:
        kept = window.data[window.at : window.at + LONGEST_LINE]
        window.position += window.left - LONGEST_LINE
        window.replace(kept)
    return False


def take_tuples(
    window: Window, sampling: Sampling, dialect: Dialect, head: bytes, events: list[Event]
) -> tuple[bool, str]:
    """Consume rows of INSERT. Return whether anything was consumed, and `all` at the end or `odd` at other code."""
    limit = min(window.end, window.at + LONGEST_ROW)
    code = window.masked if dialect.backslashes else window.data
    if rows := _following(window, code, (dialect.row, dialect.rows), limit):
        samples = tuple(row.rstrip(b" \t\r\n,") for row in sampling.chosen(head, rows))
        events.append(Rows(head, len(rows), samples, copied=False))
        return True, ""
    if found := dialect.last.match(code, window.at, limit):
        row = window.data[found.start(1) : found.end(1)]
        events.append(Rows(head, 1, sampling.chosen(head, [row]), copied=False))
        window.skip(found.end())
        _repeated(window, code, sampling, head, events)
        return True, "all"
    if window.left < LONGEST_ROW and not window.final:
        return False, ""
    return True, "odd"


def _repeated(window: Window, code: bytes, sampling: Sampling, head: bytes, events: list[Event]) -> None:
    """Consume the statements that follow and insert one row each into the same table."""
    newline = 2 if code[window.at : window.at + 2] == b"\r\n" else 1
    if not code.startswith(b"\n", window.at + newline - 1):
        return
    window.skip(window.at + newline)
    if found := _following(window, code, statements(head), min(window.end, window.at + LONGEST_ROW)):
        samples = tuple(text.rstrip()[len(head) : -1] for text in sampling.chosen(head, found))
        events.append(Rows(head, len(found), samples, copied=False))


def _following(
    window: Window, code: bytes, patterns: tuple[re.Pattern[bytes], re.Pattern[bytes]], limit: int
) -> list[bytes]:
    """Consume all items that follow each other, and return them."""
    one, many = patterns
    if (first := one.match(code, window.at, limit)) is None:
        return []
    found = many.findall(code, window.at, max(first.end(), min(limit, window.at + AT_ONCE)))
    if not one.match(found[-1]):
        found.pop()
    ends = list(accumulate(map(len, found), initial=window.at))
    if code is not window.data:
        found = [window.data[start:end] for start, end in pairwise(ends)]
    window.skip(ends[-1])
    return found
