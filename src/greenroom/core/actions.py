"""What a pass does: frozen values, each with its reason; `explain`, the dry run and the audit log show the same."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.core.model import Cause, Identity, Memory
from greenroom.core.rows import Row
from greenroom.core.status import Reason


@dataclass(frozen=True, slots=True)
class Start:
    """Serve a row for a preview that has none."""

    identity: Identity
    row: Row
    reason: Reason


@dataclass(frozen=True, slots=True)
class Change:
    """Serve another row. `restart` says that pods restart without a new commit, digest, choice or incarnation."""

    identity: Identity
    row: Row
    reason: Reason
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take the row out. Nothing is removed by that."""

    identity: Identity
    cause: Cause
    by: str
    label: str
    reason: Reason
    why: str = ""


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove that one preview, whose row is out, if it still has that uid."""

    identity: Identity
    uid: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class TakeLabelOff:
    """Take the label off a pull request whose preview expired; the row follows from the next read."""

    identity: Identity
    label: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Tell:
    """Write the one comment: the text that people see and what its block remembers."""

    identity: Identity
    text: str
    memory: Memory
    reason: Reason


@dataclass(frozen=True, slots=True)
class Conclude:
    """Look for anything left of a removed preview, tell it, and close its entry in the ledger.

    `final` is False when the pull request has asked for a preview again: then its status is told, not the removal.
    """

    identity: Identity
    reason: Reason
    final: bool


Action = Start | Change | Withdraw | Remove | TakeLabelOff | Tell | Conclude
RowAction = Start | Change | Withdraw
