"""Times, lists and references in the words of all sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from greenroom.core.comment.sanitize import plain


def day(at: datetime) -> str:
    """Format a time for people, in UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def span(delta: timedelta) -> str:
    """Format a length of time in its largest fitting unit: `3 d`, `12 h`, `5 min`, `30 s`."""
    seconds = int(delta.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}" if seconds % size == 0 else f"{seconds / size:.1f} {unit}"
    return f"{seconds} s"


def listed(words: Iterable[str]) -> str:
    """Join words written by strangers with commas."""
    return ", ".join(plain(w) for w in words)


def shortened(reference: str) -> str:
    """Shorten an image reference for people: a commit's 40 digits become the first seven."""
    return re.sub(r"\b([0-9a-f]{7})[0-9a-f]{33}\b", r"\1…", plain(reference))


def each(names: Sequence[str], one: str, several: str) -> str:
    """Return services with their verb: `web keeps`, `web and api keep`."""
    *first, last = map(plain, names)
    return f"{', '.join(first)} and {last} {several}" if first else f"{last} {one}"
