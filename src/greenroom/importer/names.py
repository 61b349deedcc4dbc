"""Names that `greenroom check` accepts, made from any names in another file. Distinct things get distinct names."""

from __future__ import annotations

import re
from collections.abc import Collection

LONGEST = 40  # maximum characters of any name; a need may have 40, a service 54, a process 60


def slug(text: str, otherwise: str = "service") -> str:
    """Return a name of lower-case letters, digits and `-`, or `otherwise` if the text has no usable characters."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("0123456789-")
    return plain[:LONGEST].strip("-") or otherwise


def distinct(wanted: str, taken: Collection[str], joint: str = "-") -> str:
    """Return the name, or the first of `name-2`, `name-3` ... that is not taken."""
    number, found = 1, wanted
    while found in taken:
        number += 1
        tail = f"{joint}{number}"
        found = f"{wanted[: LONGEST - len(tail)].rstrip(joint)}{tail}"
    return found


def variable(text: str) -> str:
    """Return the name of a variable: upper-case letters, digits and `_`."""
    plain = re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")
    return plain.lstrip("_0123456789") or "NEED"
