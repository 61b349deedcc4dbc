"""Status of previews whose comment, label or removal fails. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from greenroom.core import messages
from greenroom.core.model.github import CommentState
from greenroom.core.model.status import Reason, Stage, Status


def undelivered(status: Status, memory: CommentState | None, comment: str, label: str) -> Status:
    """Return the status of a preview while writes to its pull request fail.

    `memory` is the new signed state of its comment, None when that does not change. `comment` and `label` say why our
    comment, or the label of an expired preview, could not be changed; they are empty when that succeeded. A warning
    that was not posted does not count, and neither does an expiry that was not stored, so the preview stays.
    """
    if label:
        return _held(status, messages.expiry_refused(label))
    if comment and memory and memory.expired_at:
        return _held(status, messages.expiry_refused(comment))
    if comment and memory and memory.warned_at:
        return _held(status, messages.warning_undelivered(comment))
    if comment and status.warning is None:
        return replace(status, warning=messages.comment_undelivered(comment))
    return status


def unremoved(status: Status, left: Sequence[str], why: str) -> Status:
    """Return the status of a preview that is being removed, with its leftovers or the reason why the removal failed."""
    if status.stage is not Stage.REMOVING or not (left or why):
        return status
    reason = messages.left(status.reason, left) if left else messages.does_not_go(status.reason, why)
    return replace(status, reason=reason)


def _held(status: Status, reason: Reason) -> Status:
    return replace(status, stage=Stage.HELD, reason=reason, warning=None, expires=None)
