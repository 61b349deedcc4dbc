"""Perform actions: rows first and together, then one effect after the other. Decides nothing.

A failed effect is reported and leaves the others to go on; the next pass decides anew from what it then reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from greenroom.controller.engine import Engine
from greenroom.controller.gather import Sources, confirmed
from greenroom.controller.readback import Said
from greenroom.core import reasons, rowsets
from greenroom.core.actions import Action, Change, Conclude, Remove, Start, TakeLabelOff, Tell, Withdraw
from greenroom.core.catalogue import Platform
from greenroom.core.comment import visible
from greenroom.core.desired import remembered
from greenroom.core.model import Block, Comment, Confirmation, Facts, Identity, Memory, PullRequest, Receipt, RowSet
from greenroom.core.plan import Plan
from greenroom.core.status import Stage, Status
from greenroom.core.told import comment_text
from greenroom.errors import Doubt, GreenroomError, Refused

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """The repository that a pass works on, with what was read and seen of it. `name` is its own in the catalog."""

    slug: str
    platform: Platform
    facts: Facts
    rows: RowSet
    now: datetime
    statuses: dict[Identity, Status]
    name: str


@dataclass(frozen=True, slots=True)
class Done:
    """An action that was performed, with the receipt if it asked for one; `error` when it failed.

    `unread` is set while the comment on a removal has not been read back: the seconds until the next check. `shared`
    means that every action would have failed: this instance is not the one writer.
    """

    action: Action
    receipt: Receipt | None = None
    error: GreenroomError | None = None
    unread: float | None = None
    shared: bool = False


async def serve_rows(engine: Engine, rows: RowSet, plan: Plan, now: datetime, *, due: bool = False) -> RowSet:
    """Serve the row set after the plan's row actions; returns it. Nothing is sent when nothing changes or is due."""
    changes = [a for a in plan.actions if isinstance(a, Start | Change | Withdraw)]
    if not changes and not plan.spent and not due:
        return rows
    new = rowsets.applied(rows, changes, now, plan.spent)
    await engine.serve(new)
    return new


async def effect(engine: Engine, sources: Sources, target: Target, action: Action) -> Done:
    """Perform one action that is not about rows, as the one writer. A `GreenroomError` is returned, never raised."""
    try:
        async with engine.writing():
            try:
                return await _effect(engine, sources, target, action)
            except GreenroomError as error:
                return Done(action, error=error)
    except GreenroomError as error:
        return Done(action, error=error, shared=True)


async def _effect(engine: Engine, sources: Sources, target: Target, action: Action) -> Done:
    match action:
        case Remove(identity=identity, uid=uid):
            _still_so(sources, target, identity)
            await engine.remove(identity, uid)
        case TakeLabelOff():
            await _take_label_off(sources, target, action)
        case Tell():
            await _tell(sources, target, action)
        case Conclude():
            return await _conclude(engine, sources, target, action)
        case _:
            raise AssertionError(f"{type(action).__name__} is about rows and is served with them")
    return Done(action)


def _still_so(sources: Sources, target: Target, identity: Identity) -> None:
    """Raises `Doubt` when a webhook spoke of this pull request since it was read: time passes within a pass."""
    answer = target.facts.confirmed.get(identity.number)
    read = [p for p in target.facts.listing.pull_requests if p.identity == identity]
    read += [answer.pull_request] if isinstance(answer, Confirmation) else []
    if read and all(sources.freshness.overtaken(p) for p in read):
        raise Doubt(f"GitHub spoke of {identity} after it was read; it is read again first.")


async def _take_label_off(sources: Sources, target: Target, action: TakeLabelOff) -> None:
    _still_so(sources, target, action.identity)
    await sources.github.remove_label(target.slug, action.identity.number, action.label)
    sources.freshness.took_label_off(action.identity, action.label, target.now)


async def _tell(sources: Sources, target: Target, action: Tell) -> None:
    read = next((p for p in target.facts.listing.pull_requests if p.identity == action.identity), None)
    answer = target.facts.confirmed.get(action.identity.number)
    if read is None and isinstance(answer, Confirmation):
        read = answer.pull_request  # a closed pull request is in no list
    if read is None:
        raise Doubt(f"{action.identity} was not read, so its comment is not written.")
    await _write(sources, target, action.identity, read.comment, (action.text, action.memory))


async def _write(
    sources: Sources, target: Target, identity: Identity, comment: Comment | None, said: tuple[str, Memory]
) -> None:
    """Write the comment with its signed block. A new one is found by its marker first, then signed with its own id."""
    text, memory = said
    signer, github = sources.signer, sources.github
    marker = signer.marker(identity)
    comment_id = comment.id if comment else None
    if comment_id is None:  # the list may lag behind a comment that exists, or a person deleted it
        body, known = f"{signer.unsigned(identity)}\n{text}", sources.freshness.comment_id(identity)
        comment_id = await github.write_comment(target.slug, identity.number, known, body, marker)
        sources.freshness.wrote_comment(identity, comment_id, body)  # before the second write, which may fail
    old = target.facts.blocks.get(identity.number)
    row = target.rows.rows.get(identity.number)
    block = Block(sequence=max(old.sequence if old else 0, row.sequence if row else 0) + 1, memory=memory)
    body = f"{signer.line(identity, comment_id, block)}\n{text}"
    if comment and comment.body == body:  # written as it is already: again and again would not help
        raise Doubt(f"Our comment on {target.slug}#{identity.number} does not read back as it was written.")
    comment_id = await github.write_comment(target.slug, identity.number, comment_id, body, marker)
    sources.freshness.wrote_comment(identity, comment_id, body)
    sources.readback.wrote(identity, said)


async def _conclude(engine: Engine, sources: Sources, target: Target, action: Conclude) -> Done:
    receipt = await engine.receipt(action.identity)
    if not receipt.clean:
        return Done(action, receipt)
    if not action.final or not target.platform.repository(target.name):  # elsewhere nothing is ours to write
        return Done(action, receipt)
    try:
        return Done(action, receipt, unread=await _tell_removal(sources, target, action))
    except Refused as error:  # the preview is gone; a rejected comment must not keep its removal open
        log.warning("the comment on a removal could not be written", of=str(action.identity), why=str(error))
        sources.readback.read([action.identity])
        return Done(action, replace(receipt, comment_error=str(error)))


async def _tell_removal(sources: Sources, target: Target, action: Conclude) -> float | None:
    """Write the comment on a removal. Return None once it reads back, else the seconds until the next check.

    The ledger entry is closed only after the comment was read back, because nothing checks it afterwards. Raises
    `Refused` when GitHub rejects the comment.
    """
    identity, readback = action.identity, sources.readback
    if identity.number in target.facts.hidden:
        raise Refused("GitHub no longer shows the pull request.")
    answer = target.facts.confirmed.get(identity.number)
    if not isinstance(answer, Confirmation):
        answer = await confirmed(sources, target.slug, identity)
    status = removed_status(target.statuses[identity], action)
    text = comment_text(status, target.platform, target.facts.listing.private)
    known = remembered(identity.number, target.facts)
    memory = Memory(choices=known.choices, heard=known.heard)  # what people chose comes back with the preview
    said = (text, memory)
    if _reads(sources, answer.pull_request, said):
        readback.read([identity])
        return None
    if (wait := readback.wait(identity, said)) > 0:
        return wait
    if readback.exhausted(identity, said):
        readback.read([identity])
        raise Refused("GitHub accepted the comment several times and did not save it.")
    await _write(sources, target, identity, answer.pull_request.comment, said)
    return readback.wait(identity, said)


def _reads(sources: Sources, pull_request: PullRequest, said: Said) -> bool:
    """Return whether our comment, as it was read, has this text and this signed state."""
    comment, (text, memory) = pull_request.comment, said
    block = sources.signer.read(pull_request.identity, comment)
    return (
        comment is not None and block is not None and block.memory == memory and visible(comment.body) == text.strip()
    )


def removed_status(status: Status, action: Conclude) -> Status:
    """The status of a preview whose removal is proved."""
    return Status(
        identity=status.identity,
        name=status.name,
        repository=status.repository,
        slug=status.slug,
        title=status.title,
        author=status.author,
        url=status.url,
        stage=Stage.REMOVED,
        reason=reasons.removed(action.reason),
        used_by=status.used_by,
    )
