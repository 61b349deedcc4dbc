"""Interpolation of `${NAME}` in a Compose file, with the defaults that apply if nothing outside the file is set.

https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_BEGIN = re.compile(rf"\$\$|\$(?P<bare>{_NAME})|\$\{{(?P<name>{_NAME})(?P<how>:?[-?+]|(?=\}}))")
_DEPTH = 20  # maximum nesting of defaults in defaults


@dataclass(frozen=True, slots=True)
class Interpolated:
    """Text with its defaults filled in. `names` are the variables in it; `missing` are those without a default."""

    text: str
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def interpolated(given: str) -> Interpolated:
    """Return the text with its variables replaced. `$$` becomes a dollar sign. Other text stays as it is."""
    names: list[str] = []
    missing: list[str] = []
    return Interpolated(_until(given, 0, names, missing, 0)[0], tuple(names), tuple(dict.fromkeys(missing)))


def _until(given: str, at: int, names: list[str], missing: list[str], depth: int) -> tuple[str, int]:
    """Return the text up to its end or, inside a default, up to the closing brace, and the position of that end."""
    made: list[str] = []
    braces = 0
    while at < len(given):
        if depth and given[at] == "}" and not braces:
            break
        match = _BEGIN.match(given, at) if given[at] == "$" and depth < _DEPTH else None
        if not match:
            braces += {"{": 1, "}": -1}.get(given[at], 0)
            made.append(given[at])
            at += 1
            continue
        at = match.end()
        if match[0] == "$$":
            made.append("$")
            continue
        names.append(match["bare"] or match["name"])
        how = (match["how"] or "?")[-1]
        if how == "?":  # no default; the text after `?` is the error that Compose shows
            missing.append(names[-1])
        if match["name"]:
            unused = ([], []) if how != "-" else (names, missing)
            text, at = _until(given, at, *unused, depth + 1)
            at += 1
            made += text if how == "-" else ""
    return "".join(made), at
