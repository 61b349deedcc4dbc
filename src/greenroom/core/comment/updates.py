"""The comments to write: those whose text, memory or signature is out of date. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from greenroom.core.comment.body import comment_text, heading
from greenroom.core.comment.context import DecidedPass
from greenroom.core.comment.signed_block import visible
from greenroom.core.comment.statuses import confirmed, stuck
from greenroom.core.model.actions import UpdateComment
from greenroom.core.model.github import CommentState, PullRequest
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage, Status
from greenroom.core.planning.desired import remembered


def comments_to_write(
    decided: DecidedPass, all_statuses: Mapping[Identity, Status], concluded: frozenset[Identity]
) -> tuple[UpdateComment, ...]:
    """Return the comments to write: those whose text, memory or signature is out of date.

    A pull request for which no person requested a preview gets no comment. A comment that reports a removal stays as it
    is. If a pull request was waiting, its comment reports that the request was withdrawn.
    """
    found = []
    for identity, status in sorted(all_statuses.items()):
        pull_request = decided.desired.pull_requests.get(identity)
        if pull_request is None and _explained_after_closing(identity, decided):
            pull_request = confirmed(identity, decided)  # GitHub's list has open pull requests only
        if pull_request is None or identity in concluded or (status.stage is Stage.NONE and not _waits(pull_request)):
            continue
        text = comment_text(status, decided.context.platform, decided.context.facts.listing.private)
        known = decided.desired.memories.get(identity) or remembered(identity.number, decided.context.facts)
        memory = decided.plan.memories.get(identity, known)
        if identity.number not in decided.context.facts.stale and not _says(pull_request, text, memory, decided):
            found.append(UpdateComment(identity, text, memory, status.reason))
    return tuple(found)


def _explained_after_closing(identity: Identity, decided: DecidedPass) -> bool:
    """Return whether the comment must say why the preview of an unlisted pull request still exists."""
    plan, preview = decided.plan, decided.context.facts.observed.previews.get(identity)
    return identity in plan.leaving or identity in plan.holds or bool(stuck(preview))


def _waits(pull_request: PullRequest) -> bool:
    """Return whether our comment promises or shows a preview. Only the heading of an edited comment counts."""
    comment, settled = pull_request.comment, (heading(Stage.REMOVED), heading(Stage.NONE))
    if comment is None:
        return False
    if not comment.trusted:
        return not any(heading in comment.body for heading in settled)
    shown = visible(comment.body)
    return bool(shown) and not shown.startswith(settled)


def _says(pull_request: PullRequest, text: str, memory: CommentState, decided: DecidedPass) -> bool:
    block = decided.context.facts.blocks.get(pull_request.identity.number)
    return (
        pull_request.comment is not None
        and block is not None
        and not block.stale_key
        and block.memory == memory
        and visible(pull_request.comment.body) == text.strip()
    )
