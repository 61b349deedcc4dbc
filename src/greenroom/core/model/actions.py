"""Actions of a pass: frozen values, each with its reason. `explain`, dry runs and the audit log show the same ones."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.core.model.engine import Cause
from greenroom.core.model.github import CommentState
from greenroom.core.model.seeds import SeedBuild
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.core.model.status import Reason


@dataclass(frozen=True, slots=True)
class Start:
    """Serve a spec for a preview that has none."""

    identity: Identity
    spec: PreviewSpec
    reason: Reason


@dataclass(frozen=True, slots=True)
class Change:
    """Serve another spec. `restart` means that pods restart without a new commit, digest, choice or data generation."""

    identity: Identity
    spec: PreviewSpec
    reason: Reason
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take the spec out. This removes nothing yet."""

    identity: Identity
    cause: Cause
    by: str
    label: str
    reason: Reason
    why: str = ""


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove this preview, whose spec is out, if it still has this uid."""

    identity: Identity
    uid: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class RemoveLabel:
    """Take the label off a pull request whose preview expired. The next read then withdraws the spec."""

    identity: Identity
    label: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class UpdateComment:
    """Write the one comment: the visible text, and the state that its block remembers."""

    identity: Identity
    text: str
    memory: CommentState
    reason: Reason


@dataclass(frozen=True, slots=True)
class VerifyRemoval:
    """Check whether anything is left of a removed preview, report it, and close its entry in the ledger.

    `final` is False when the pull request has requested a preview again. The comment then shows its status instead of
    the removal.
    """

    identity: Identity
    reason: Reason
    final: bool


@dataclass(frozen=True, slots=True)
class DeleteComment:
    """Delete a duplicate of our comment."""

    identity: Identity
    comment_id: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class BuildSeed:
    """Build the image of a seed that a preview waits for. An image that is being built is not built twice."""

    identity: Identity
    build: SeedBuild
    reason: Reason


Action = Start | Change | Withdraw | Remove | RemoveLabel | UpdateComment | VerifyRemoval | DeleteComment | BuildSeed
SetAction = Start | Change | Withdraw
