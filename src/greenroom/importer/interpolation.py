"""`${NAME}` in a Compose file: each with its default, as where nothing outside the file is set.

https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_BEGIN = re.compile(rf"\$\$|\$(?P<bare>{_NAME})|\$\{{(?P<name>{_NAME})(?P<how>:?[-?+]|(?=\}}))")
_DEPTH = 20  # of defaults in defaults


@dataclass(frozen=True, slots=True)
class Interpolated:
    """`text` with defaults in place, `names` of the variables in it, and of those `missing` that have no default."""

    text: str
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def interpolated(given: str) -> Interpolated:
    """The text without variables. `$$` is a dollar; what is no variable stays as it is."""
    names: list[str] = []
    missing: list[str] = []
    return Interpolated(_until(given, 0, names, missing, 0)[0], tuple(names), tuple(dict.fromkeys(missing)))


def _until(given: str, at: int, names: list[str], missing: list[str], depth: int) -> tuple[str, int]:
    """The text up to its end or, inside a default, up to the brace that closes it; and where that was."""
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
        if how == "?":  # without a default; what follows `?` says so to whoever starts Compose
            missing.append(names[-1])
        if match["name"]:
            unused = ([], []) if how != "-" else (names, missing)
            text, at = _until(given, at, *unused, depth + 1)
            at += 1
            made += text if how == "-" else ""
    return "".join(made), at
