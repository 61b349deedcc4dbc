"""Perform actions: all specs first, in one write, then one effect after the other. This module decides nothing.

A failed effect is reported and does not stop the others. The next pass decides again from its own reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from greenroom.controller.engine import Engine
from greenroom.controller.gather import Sources, confirmed
from greenroom.controller.readback import Written
from greenroom.core import messages
from greenroom.core.comment.body import comment_text
from greenroom.core.comment.signed_block import visible
from greenroom.core.model.actions import (
    Action,
    BuildSeed,
    Change,
    DeleteComment,
    Remove,
    RemoveLabel,
    Start,
    UpdateComment,
    VerifyRemoval,
    Withdraw,
)
from greenroom.core.model.catalog import Repository
from greenroom.core.model.engine import PreviewSet, Receipt
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import Comment, CommentState, Confirmation, PullRequest, SignedState
from greenroom.core.model.records import keeping
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage, Status
from greenroom.core.planning import preview_sets
from greenroom.core.planning.context import PassContext
from greenroom.core.planning.desired import remembered
from greenroom.core.planning.plan import Plan
from greenroom.errors import Doubt, FixCredentials, GreenroomError, Refused

log = structlog.get_logger(__name__)

HIDDEN_TRIES = 3
"""Number of reads without a trace of a pull request after which Greenroom stops trying to update its comment.

`readback.WAITS` has the pauses between them.
"""


@dataclass(frozen=True, slots=True)
class ServedPass:
    """A pass whose specs are served: its context, the preview set, and the statuses to report."""

    context: PassContext[Facts]
    preview_set: PreviewSet
    statuses: Mapping[Identity, Status]

    @property
    def repository(self) -> Repository:
        """Return the repository that the pass works on."""
        return self.context.repository

    @property
    def facts(self) -> Facts:
        """Return the facts of the pass."""
        return self.context.facts


@dataclass(frozen=True, slots=True)
class ActionResult:
    """An action that was performed, with the receipt if it requested one; `error` is set when it failed.

    `unread` is set while the comment on a removal has not been read back: the seconds until the next check. `shared`
    means that every action would have failed, because this instance is not the only writer.
    """

    action: Action
    receipt: Receipt | None = None
    error: GreenroomError | None = None
    unread: float | None = None
    shared: bool = False


async def serve_set(
    engine: Engine,
    preview_set: PreviewSet,
    plan: Plan,
    now: datetime,
    *,
    due: bool = False,
    unstored: frozenset[int] = frozenset(),
) -> PreviewSet:
    """Serve the preview set after the plan's spec actions, and return it. Send nothing if there is no change and no
    write is due. The data of `unstored` stays as it is.
    """
    changes = [a for a in plan.actions if isinstance(a, Start | Change | Withdraw)]
    if not changes and not plan.spent and not due:
        return preview_set
    new = keeping(preview_set, preview_sets.applied(preview_set, changes, now, plan.spent), unstored)
    await engine.serve(new)
    return new


async def effect(engine: Engine, sources: Sources, served: ServedPass, action: Action) -> ActionResult:
    """Perform one action that is not about specs, as the only writer. Return a `GreenroomError`, never raise it."""
    try:
        async with engine.writing():
            try:
                return await _effect(engine, sources, served, action)
            except GreenroomError as error:
                return ActionResult(action, error=error)
    except GreenroomError as error:
        return ActionResult(action, error=error, shared=True)


async def _effect(engine: Engine, sources: Sources, served: ServedPass, action: Action) -> ActionResult:
    match action:
        case Remove(identity=identity, uid=uid):
            _still_so(sources, served, identity)
            await engine.remove(identity, uid)
        case RemoveLabel():
            await _take_label_off(sources, served, action)
        case UpdateComment():
            await _tell(sources, served, action)
        case DeleteComment(comment_id=comment_id):
            sources.freshness.deletes_comment(comment_id)
            try:
                await sources.github.delete_comment(served.repository.slug, comment_id)
            except FixCredentials as error:  # the other comment is right, so nothing else fails
                raise Refused(str(error)) from None
        case BuildSeed(build=build):
            await engine.build_seed(build)
        case VerifyRemoval():
            return await _conclude(engine, sources, served, action)
        case _:
            raise AssertionError(f"{type(action).__name__} changes specs and is served with them")
    return ActionResult(action)


def _still_so(sources: Sources, served: ServedPass, identity: Identity) -> None:
    """Raise `Doubt` when a webhook named this pull request since it was read, because time passes within a pass."""
    answer = served.facts.confirmed.get(identity.number)
    read = [p for p in served.facts.listing.pull_requests if p.identity == identity]
    read += [answer.pull_request] if isinstance(answer, Confirmation) else []
    if read and all(sources.freshness.overtaken(p) for p in read):
        raise Doubt(
            f"GitHub reported a change to the pull request {served.repository.slug}#{identity.number} after Greenroom"
            " read the pull request. Greenroom will read the pull request again before acting."
        )


async def _take_label_off(sources: Sources, served: ServedPass, action: RemoveLabel) -> None:
    _still_so(sources, served, action.identity)
    await sources.github.remove_label(served.repository.slug, action.identity.number, action.label)
    sources.freshness.took_label_off(action.identity, action.label, served.context.now)


async def _tell(sources: Sources, served: ServedPass, action: UpdateComment) -> None:
    read = next((p for p in served.facts.listing.pull_requests if p.identity == action.identity), None)
    answer = served.facts.confirmed.get(action.identity.number)
    if read is None and isinstance(answer, Confirmation):
        read = answer.pull_request  # the list contains only open pull requests
    if read is None:
        raise Doubt(
            f"Greenroom has not read the pull request {served.repository.slug}#{action.identity.number}, so the comment"
            " there is not updated."
        )
    await _write(sources, served, action.identity, read.comment, (action.text, action.memory))


async def _write(
    sources: Sources, served: ServedPass, identity: Identity, comment: Comment | None, said: tuple[str, CommentState]
) -> None:
    """Write the comment with its signed block. Find a new one by its marker first, then sign it with its own id."""
    text, memory = said
    signer, github = sources.signer, sources.github
    marker = signer.marker(identity)
    comment_id = comment.id if comment else None
    if comment_id is None:  # the list may lag behind a comment that exists, or a person deleted it
        body, known = f"{signer.unsigned(identity)}\n{text}", sources.freshness.comment_id(identity)
        create = known is None or not sources.freshness.wrote_recently(identity)
        comment_id = await github.write_comment(
            served.repository.slug, identity.number, known, body, marker, create=create
        )
        sources.freshness.wrote_comment(identity, comment_id, body)  # before the second write, which may fail
    old = served.facts.blocks.get(identity.number)
    spec = served.preview_set.specs.get(identity.number)
    block = SignedState(
        sequence=max(old.sequence if old else 0, spec.choices.comment_version if spec else 0) + 1, memory=memory
    )
    body = f"{signer.line(identity, comment_id, block)}\n{text}"
    if comment and comment.body == body:  # it was written like this already, so another write would not help
        raise Doubt(
            f"The comment on {served.repository.slug}#{identity.number} already contains what Greenroom would write,"
            " but Greenroom cannot verify the comment."
        )
    create = not sources.freshness.wrote_recently(identity)
    comment_id = await github.write_comment(
        served.repository.slug, identity.number, comment_id, body, marker, create=create
    )
    sources.freshness.wrote_comment(identity, comment_id, body)
    sources.readback.wrote(identity, said)


async def _conclude(engine: Engine, sources: Sources, served: ServedPass, action: VerifyRemoval) -> ActionResult:
    receipt = await engine.receipt(action.identity)
    if not receipt.clean:
        return ActionResult(action, receipt)
    here = served.context.platform.repository(served.repository.name)
    if not action.final or not here:  # do not write outside the catalog
        return ActionResult(action, receipt)
    try:
        return ActionResult(action, receipt, unread=await _tell_removal(sources, served, action))
    except Refused as error:  # the preview is gone; a rejected comment must not keep its removal open
        log.warning("the comment on a removal could not be written", of=str(action.identity), why=str(error))
        sources.readback.read([action.identity])
        return ActionResult(action, replace(receipt, comment_error=str(error)))


async def _tell_removal(sources: Sources, served: ServedPass, action: VerifyRemoval) -> float | None:
    """Write the comment on a removal. Return None once it reads back, else the seconds until the next check.

    The ledger entry is closed only after the comment was read back, because nothing checks it afterwards. Raise
    `Refused` when GitHub rejects the comment.
    """
    identity, readback = action.identity, sources.readback
    status = removed_status(served.statuses[identity], action)
    text = comment_text(status, served.context.platform, served.facts.listing.private)
    known = remembered(identity.number, served.facts)
    memory = replace(known, warned_at=None, expired_at=None, why="")  # a new preview uses people's choices again
    said = (text, memory)
    if identity.number in served.facts.hidden:  # often only for a moment
        unseen = ("", memory)  # counted apart from the writes of the comment
        if readback.exhausted(identity, unseen, HIDDEN_TRIES):
            raise Refused("GitHub no longer shows the pull request.")
        if not (wait := readback.wait(identity, unseen)):
            readback.wrote(identity, unseen)
        return wait or readback.wait(identity, unseen)
    answer = served.facts.confirmed.get(identity.number)
    if not isinstance(answer, Confirmation):
        answer = await confirmed(sources, served.repository.slug, identity)
    if _reads(sources, answer.pull_request, said):
        readback.read([identity])
        return None
    if (wait := readback.wait(identity, said)) > 0:
        return wait
    if readback.exhausted(identity, said):
        readback.read([identity])
        raise Refused("GitHub accepted the comment several times but did not return the new text.")
    await _write(sources, served, identity, answer.pull_request.comment, said)
    return readback.wait(identity, said)


def _reads(sources: Sources, pull_request: PullRequest, said: Written) -> bool:
    """Return whether our comment, as it was read, has this text and this signed state."""
    comment, (text, memory) = pull_request.comment, said
    block = sources.signer.read(pull_request.identity, comment)
    return (
        comment is not None and block is not None and block.memory == memory and visible(comment.body) == text.strip()
    )


def removed_status(status: Status, action: VerifyRemoval) -> Status:
    """Return the status of a preview whose removal is proven."""
    return Status(
        identity=status.identity,
        name=status.name,
        repository=status.repository,
        slug=status.slug,
        title=status.title,
        author=status.author,
        url=status.url,
        stage=Stage.REMOVED,
        reason=messages.removed(action.reason),
        used_by=status.used_by,
    )
