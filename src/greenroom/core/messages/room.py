"""Why a preview waits for room, for its name or for another installation."""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.core.comment.sanitize import plain
from greenroom.core.model.status import Reason


def place(position: int, *, overdue: bool) -> str:
    """Return the sentence about the place in the queue, or about a held preview past its lifetime; else empty."""
    if overdue:
        return "The preview is past its lifetime but is kept until a person decides."
    return f"Number {position} in the queue." if position else ""


def queued(limit: int, scope: str) -> Reason:
    """Return why a preview is queued, without its place: every removal would otherwise edit the comments of all."""
    return Reason(
        "queued",
        f"The limit of {limit} preview{'s' * (limit != 1)} {scope} has been reached.",
        "This preview starts automatically once a slot is free. To free a slot, remove the label from a pull request"
        " whose preview is no longer needed.",
    )


def too_large() -> Reason:
    return Reason(
        "too-large",
        "The manifests and variables of this preview's services are too large for Argo CD to store, so the preview"
        " waits.",
        "Make the manifests or variables smaller. Greenroom's log shows the current size.",
    )


def not_stored() -> Reason:
    return Reason(
        "not-stored",
        "The cluster rejected this preview's Preview object, so the preview does not start or change.",
        "Ask the platform team to fix the cause. Greenroom's log contains the cluster's response.",
    )


def engine_foreign(installation: str) -> Reason:
    return Reason(
        "foreign",
        f"The resources with this preview's name belong to another Greenroom installation, {plain(installation)}.",
        "Ask the platform team to give each installation its own `namePrefix:`.",
    )


def name_in_use(previews: Sequence[str]) -> Reason:
    """Return why a preview waits for previews of an earlier repository, which are named as `greenroom release` takes
    them.
    """
    shown = " ".join(previews[:10])
    more = f", {len(previews)} in all" if len(previews) > 10 else ""
    return Reason(
        "name-in-use",
        f"Another repository had the same name before, and its previews ({shown}{more}) still use names and addresses"
        " that this repository's previews need.",
        "This preview starts once those previews are removed."
        f" The platform team can remove those previews with `greenroom release {shown}`.",
    )


def namespace_taken(name: str) -> Reason:
    return Reason(
        "namespace-taken",
        f"The namespace {plain(name)} already exists and does not belong to this preview.",
        "Ask the platform team to delete the namespace or to set another `namePrefix:`.",
    )
