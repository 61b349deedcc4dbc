"""Values of one row, from a line of COPY or a tuple of INSERT."""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPED = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_PG_FIELD = re.compile(rb"[\s,]*(?:'((?:[^']|'')*+)'|([^,']++))")
_MY_FIELD = re.compile(rb"[\s,]*(?:_\w+\s*)?(?:'((?:[^'\\]|\\[\s\S]|'')*+)'|([^,']++))")


def copied(line: bytes) -> list[bytes]:
    """Return the fields of a line of COPY in text format. NULL is an empty value."""
    fields = line.split(b"\t")
    if b"\\" not in line:
        return fields
    return [b"" if field == b"\\N" else _unescaped(field) for field in fields]


def inserted(row: bytes, *, backslashes: bool) -> list[bytes]:
    """Return the values of one tuple of literals, with its parentheses. Other values than strings are as written."""
    pattern = _MY_FIELD if backslashes else _PG_FIELD
    values = []
    for text, other in pattern.findall(row[1:-1]):
        value = text.replace(b"''", b"'") or other.strip()
        values.append(_unescaped(value) if backslashes and b"\\" in value else value)
    return values


def _unescaped(field: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), field) if b"\\" in field else field
