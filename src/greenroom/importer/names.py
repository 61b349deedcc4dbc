"""Names that `greenroom check` takes, distinct for distinct things, for whatever another file calls them."""

from __future__ import annotations

import re
from collections.abc import Collection

LONGEST = 40  # characters of any name: of a need at most 40, of a service 54, of a process 60


def slug(text: str, otherwise: str = "service") -> str:
    """A name of lower-case letters, digits and `-`; `otherwise` where nothing of the text can stand in one."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("0123456789-")
    return plain[:LONGEST].strip("-") or otherwise


def distinct(wanted: str, taken: Collection[str], joint: str = "-") -> str:
    """The name, or the first of `name-2`, `name-3` ... that is not taken."""
    number, found = 1, wanted
    while found in taken:
        number += 1
        tail = f"{joint}{number}"
        found = f"{wanted[: LONGEST - len(tail)].rstrip(joint)}{tail}"
    return found


def variable(text: str) -> str:
    """The name of a variable: upper-case letters, digits and `_`."""
    plain = re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")
    return plain.lstrip("_0123456789") or "NEED"
