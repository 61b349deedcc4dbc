"""What of a comment or description people see as plain lines: what is quoted as code, or hidden, says nothing.

Enough of https://spec.commonmark.org/0.31.2/ and no more: fenced and indented code, HTML comments. In doubt a line is
taken as hidden, so that nothing is commanded that nobody reads as a command. It knows nothing of commands. The time
that it takes is in proportion to what strangers write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r" {0,3}((?:(?:[-*+]|[0-9]{1,9}[.)]) +)*)(`{3,}|~{3,})(.*)", re.DOTALL)  # it may begin in a list
_COMMENT = re.compile(r"<!--.*?(?:-->|$)", re.DOTALL)
_ODD_END = re.compile("[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
CODE = 4  # columns


@dataclass(frozen=True, slots=True)
class _Fence:
    """How code ends: with a line of at least these characters, indented by less than `columns`."""

    characters: str
    columns: int

    def closed_by(self, line: str) -> bool:
        bare = line.strip()
        longer = len(bare) >= len(self.characters) and set(bare) == {self.characters[0]}
        return longer and _indent(line) < self.columns


def plain_lines(text: str) -> list[str]:
    """The lines that are neither code nor within an HTML comment, with a space for each comment that begins in them.

    Only `\\n` ends a line, as on GitHub. Other characters that Python treats as line ends become U+FFFD: they are
    invisible, so they must not count as a space between two words of a command.
    """
    found: list[str] = []
    fence: _Fence | None = None
    hidden = False
    for line in text.split("\n"):
        if hidden:
            _, ended, rest = line.partition("-->")
            hidden = not ended or _begins_hidden(rest)
        elif fence:
            fence = None if fence.closed_by(line) else fence
        elif fence := _opened(line):
            continue
        elif _indent(line) < CODE:
            hidden = _begins_hidden(line)
            found.append(_ODD_END.sub("\N{REPLACEMENT CHARACTER}", _COMMENT.sub(" ", line).rstrip("\r")))
    return found


def _opened(line: str) -> _Fence | None:
    """The fence that begins in this line. What follows backticks may hold none: then they are a span of code."""
    match = _FENCE.match(line)
    if match is None or (match[2][0] == "`" and "`" in match[3]):
        return None
    return _Fence(match[2], match.start(2) + CODE if match[1] else CODE)


def _indent(line: str) -> int:
    whole = line.expandtabs(CODE)
    return len(whole) - len(whole.lstrip(" "))


def _begins_hidden(line: str) -> bool:
    """Whether an HTML comment begins in this line and does not end in it. After an odd backtick it is code."""
    ticks = seen = 0
    at = line.find("<!--")
    while at >= 0:
        ticks += line.count("`", seen, at)
        seen = at
        if ticks % 2:
            at = line.find("<!--", at + 4)
            continue
        ended = line.find("-->", at + 4)
        if ended < 0:
            return True
        seen = ended + 3
        at = line.find("<!--", seen)
    return False
