"""Keys of holds. A person releases exactly one hold of one preview; it stays released while its key is the same.

People and the command line see a key as one word (`label-gone:preview:2026-03-02T11:59:00+00:00`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class HoldKind(StrEnum):
    """Subject of a release."""

    BREAKER = "breaker"
    RESTART = "restart"
    CONFIG_NAMES = "config-names"
    CONFIG_LABEL = "config-label"
    LABEL_GONE = "label-gone"
    LABEL_DELETED = "label-deleted"
    LABEL_TAKEN = "label-taken"
    NOT_SHOWN = "not-shown"
    SAME_SECOND = "same-second"
    NOT_IN_CATALOG = "not-in-catalog"
    REPLACED = "replaced"
    REDEPLOY = "redeploy"
    """Key of the release for `greenroom redeploy`. No preview is held for it, so people never see it as a hold."""


@dataclass(frozen=True, slots=True)
class HoldKey:
    """The key of exactly one hold. `of` is a label, or a digest of the configuration. `since` is the time of the event
    that the hold is about.
    """

    kind: HoldKind
    of: str = ""
    since: datetime | None = None

    def __str__(self) -> str:
        since = self.since.isoformat() if self.since else ""
        return ":".join(part for part in (self.kind.value, self.of, since) if part)
