"""When a preview may go. The default answer is that it stays.

A removal needs a by-number read, newer than the list and than every earlier read, that says closed, or unlabeled by an
event later than the last labeling. Everything else (no such event, a 404, a list that leaves it out) is doubt: held
and explained.

Deleting a label in the repository looks like a person who unlabels each of its pull requests: GitHub writes `unlabeled`
events with the deleter as the actor. So an event counts only if its label still exists when it is read after the event.
A label that is missing, or was created after the event, is a different one. One gap remains: if GitHub unlabels the
pull requests before it deletes the label, a pass in between could withdraw as many previews as the breaker allows. Each
of them is confirmed again before its removal, and is held then.
"""

from __future__ import annotations

from datetime import timedelta

from greenroom.core import labels, reasons
from greenroom.core.gates import last_event
from greenroom.core.model import (
    UNKNOWN_LABEL,
    Cause,
    Confirmation,
    Facts,
    Identity,
    Kind,
    LabelEvent,
    Memory,
    PullRequest,
    State,
)
from greenroom.core.status import Stage
from greenroom.core.verdicts import Go, Stay

SAME_SECOND = timedelta(hours=1)
"""Time for which a request for the preview takes precedence over a removal in the same second."""


def removal(identity: Identity, label: str, facts: Facts, listed: PullRequest | None) -> Go | Stay:
    """Whether the preview of a pull request that is not listed as open and labelled may go.

    `listed` is what the list says of it, None when the list leaves it out.
    """
    answer = facts.confirmed.get(identity.number)
    if answer is None:
        return Stay(Stage.HELD, reasons.unconfirmed("it was not read yet."))
    if identity.number in facts.hidden:  # no event can confirm this removal, so a person decides
        return Stay(Stage.HELD, reasons.not_shown(), hold="not-shown")
    if isinstance(answer, str):
        return Stay(Stage.HELD, reasons.unconfirmed(answer))
    if not _newer_than_list(answer, facts, listed):
        return Stay(Stage.HELD, reasons.stale())
    pull_request = answer.pull_request
    if pull_request.identity != identity:
        return Stay(Stage.HELD, reasons.unconfirmed("another repository answered under this name."))
    if pull_request.state is State.OPEN and labels.carries(pull_request.labels, label):
        return Stay(Stage.HELD, reasons.list_disagrees())
    found = _unlabelled(answer, label, facts) if pull_request.state is State.OPEN else _closed(answer)
    if isinstance(found, Go) and _asked_since(found, answer, facts):
        return Stay(Stage.HELD, reasons.stale())
    return found


def _newer_than_list(answer: Confirmation, facts: Facts, listed: PullRequest | None) -> bool:
    pull_request = answer.pull_request
    fresh = listed is None or pull_request.updated_at >= listed.updated_at
    return fresh and answer.read_at >= facts.listing.read_at and pull_request.identity.number not in facts.stale


def _asked_since(found: Go, answer: Confirmation, facts: Facts) -> bool:
    """Return whether an event that asked for the preview is as late as the one that would remove it.

    GitHub's times are in whole seconds, and scripts close and reopen within one. The order is unknown then, so the
    preview stays for an hour, longer than any replica lags.
    """
    mark = facts.watermarks.get(answer.pull_request.identity.number)
    if mark is None or mark.asked_at is None or found.since > mark.asked_at:
        return False
    return answer.read_at - mark.asked_at < SAME_SECOND


def _closed(answer: Confirmation) -> Go:
    pull_request = answer.pull_request
    by = answer.closed_by.login if answer.closed_by else ""
    since = pull_request.closed_at or answer.read_at
    if pull_request.state is State.MERGED:
        return Go(Cause.MERGED, reasons.merged(by), by, since)
    return Go(Cause.CLOSED, reasons.closed(by), by, since)


def _unlabelled(answer: Confirmation, label: str, facts: Facts) -> Go | Stay:
    pull_request = answer.pull_request
    event = last_event(pull_request.label_events, label)
    if event is None or event.added:
        since = event.at.isoformat() if event else "never"
        return Stay(Stage.HELD, reasons.label_gone(label), hold=f"label-gone:{label}:{since}")
    block = facts.blocks.get(pull_request.identity.number)
    if event.actor.login == facts.listing.me and block and _ours(event, block.memory):
        return Go(Cause.EXPIRED, reasons.expired(block.memory.why, label), "", event.at, block.memory.why)
    if event.actor.kind is Kind.PERSON:
        if not _same_label(event, answer) or _followed_by_unknown(event, pull_request):
            hold = f"label-deleted:{label}:{event.at.isoformat()}"
            return Stay(Stage.HELD, reasons.label_deleted(label), hold=hold)
        return Go(Cause.UNLABELLED, reasons.unlabelled(label, event.actor.login), event.actor.login, event.at)
    hold = f"label-taken:{label}:{event.at.isoformat()}"
    gone = event.actor.kind is Kind.NOBODY
    reason = reasons.label_taken_by_ghost(label) if gone else reasons.label_taken_by_bot(label, event.actor.login)
    return Stay(Stage.HELD, reason, hold=hold)


def _same_label(event: LabelEvent, answer: Confirmation) -> bool:
    """Return whether the label that was taken off is the one that the repository has now.

    GitHub's times are in whole seconds, so a label created in the same second may be a new one.
    """
    return answer.label_since is not None and answer.label_since < event.at


def _followed_by_unknown(event: LabelEvent, pull_request: PullRequest) -> bool:
    """Return whether a later event concerns a label that GitHub no longer names.

    That may be the preview's label, put on again after this event and then deleted in the repository.
    """
    later = pull_request.label_events[pull_request.label_events.index(event) + 1 :]
    return any(e.label == UNKNOWN_LABEL and e.at >= event.at for e in later)


def _ours(event: LabelEvent, memory: Memory) -> bool:
    """Whether we took the label off because the preview expired, as the signed block says."""
    return memory.expired_at is not None and memory.expired_at <= event.at
