"""The longest time that one comment or description keeps the event loop: texts made to be slow, at the limits."""

from __future__ import annotations

import time
from statistics import median

from greenroom.github.markdown import LINKS, READ, plain_lines
from greenroom.github.translate import DESCRIPTION

PATTERNS = (
    "[*",
    "![[](",
    "[![a](",
    "*a **a ",
    "`",
    "<a ",
    "- > ",
    "|" * 100 + "\n",
    "a\n\n",
    "\\",
    "[^1]: ",
    "_a ",
    "&#35;",
)


def main(times: int = 5) -> None:
    """Print the figures."""
    for what, limit in (("comment", READ), ("description", DESCRIPTION)):
        slowest = []
        for pattern in PATTERNS:
            text = (pattern * limit)[: limit - 1]
            few = text if text.count("[") <= LINKS else pattern * (LINKS // pattern.count("[")) + "\n\n" + "a " * limit
            slowest.append((median(_taken(few, limit, n) for n in range(times)), pattern.strip()))
        seconds, pattern = max(slowest)
        print(
            f"Markdown of a {what} that is made to be slow: {seconds * 1000:.0f} ms at most (of {len(PATTERNS)}"
            f" patterns, median of {times}; the slowest repeats {pattern[:10]!r})"
        )


def _taken(text: str, limit: int, number: int) -> float:
    begun = time.perf_counter()
    plain_lines(f"{number}{text}"[:limit], limit)  # another text each time, because results are kept
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
