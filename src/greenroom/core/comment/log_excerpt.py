"""Choice of the log line that explains why a process exited. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

LENGTH = 200
TRACEBACK = "Traceback (most recent call last):"
_PATTERNS = (
    # An exception as Python, Node.js, Java and .NET print it (`ValueError: …`), or as Ruby does (`… (LoadError)`).
    re.compile(
        r"(?:Caused by: |Uncaught |Unhandled exception\. )?(?:[A-Za-z_][\w$]*[.:]+)*[A-Z]\w*(?:Error|Exception)\b.*"
    ),
    re.compile(r".*\([A-Z]\w*(?:::\w+)*(?:Error|Exception)\)"),
    re.compile(r"(?:Error|panic|fatal error|fatal|thread '[^']*' panicked at)\b.*", re.IGNORECASE),
    re.compile(r".*\b(?:fatal|panic|error)\b.*", re.IGNORECASE),
    re.compile(r".*(?:not found|no such file|permission denied|cannot |could not |refused).*", re.IGNORECASE),
)


def telling_line(lines: Sequence[str]) -> str:
    """Return the line that names the cause, or an empty text. More than `LENGTH` characters are cut at a word.

    An exception ranks above a line that contains the word error. Among equal matches, the last one counts: it ended the
    process, and Python prints the cause of an exception before the exception. If a line ends with a colon, as in Rust,
    the next line is appended. After a Python traceback, the first line that is not indented is the exception, whatever
    its name.
    """
    at = _telling(lines)
    if at is None:
        return ""
    line = lines[at].strip()
    rest = lines[at + 1].strip() if line.endswith(":") and at + 1 < len(lines) else ""
    return _cut(f"{line} {rest}".rstrip())


def excerpt(lines: Sequence[str], length: int) -> tuple[str, ...]:
    """Return the last lines of a log, at most `length` of them. If none of them names the cause, put the earlier line
    that does first: Node.js prints a stack after the message, and database drivers a dozen properties.
    """
    last = tuple(lines[-length:])
    at = _telling(lines) if _telling(last) is None else None
    return last if at is None else (lines[at], "...", *last[2:])


def _cut(line: str) -> str:
    """Return the line, or its beginning with an ellipsis, so that nobody takes half a sentence for the whole."""
    if len(line) <= LENGTH:
        return line
    head = line[: LENGTH - 2]
    words = head.rpartition(" ")[0]
    return f"{words if len(words) > LENGTH // 2 else head} …"


def _telling(lines: Sequence[str]) -> int | None:
    """Return the index of the line that names the cause."""
    if TRACEBACK in lines:
        last = max(at for at, line in enumerate(lines) if line == TRACEBACK)
        if (found := next((at for at, line in enumerate(lines) if at > last and line[:1].strip()), None)) is not None:
            return found
    for pattern in _PATTERNS:
        for at in reversed(range(len(lines))):
            if pattern.fullmatch(lines[at].strip()):
                return at
    return None
