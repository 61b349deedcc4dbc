"""What this machine lacks is not the commit's fault: no push mends it, and it is tried again at the next start."""

from __future__ import annotations

from greenroom.errors import Failed

AT_THE_NEXT_START = "Nothing needs to be pushed; it is tried again when Greenroom starts again."


class Lacks(Failed):
    """Something that a person installs or configures is missing here. The message says what, and how to get it."""
