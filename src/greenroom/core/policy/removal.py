"""Rules for the removal of a preview. The default answer is that it stays.

A removal needs a by-number read that is newer than the list and every earlier read. It must show the pull request as
closed, or as unlabeled by an event later than the last labeling. Everything else (no such event, a 404, a list that
leaves it out) is doubt: the preview is held, with the reason.

Deleting a label in the repository looks like a person who unlabels each of its pull requests: GitHub writes `unlabeled`
events with the deleter as the actor. So an event counts only if its label still exists when it is read after the event.
A label that is missing, or was created after the event, is a different one. One gap remains: if GitHub unlabels the
pull requests before it deletes the label, a pass in between could withdraw as many previews as the breaker allows. Each
of them is confirmed again before its removal, and is held then.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from greenroom.core import messages
from greenroom.core.model.engine import Cause
from greenroom.core.model.facts import PullRequestFacts
from greenroom.core.model.github import UNKNOWN_LABEL, CommentState, Confirmation, Kind, LabelEvent, PullRequest, State
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage
from greenroom.core.model.verdicts import Go, Stay
from greenroom.core.policy import labels
from greenroom.core.policy.gates import last_event

SAME_SECOND = timedelta(hours=1)
"""Time for which a preview is kept if it was requested in the same second as the event that would remove it."""


def removal(identity: Identity, label: str, facts: PullRequestFacts, listed: PullRequest | None) -> Go | Stay:
    """Return whether to remove the preview of a pull request that is not listed as open and labeled.

    `listed` is the pull request in the list, None when the list leaves it out.
    """
    answer = facts.confirmed.get(identity.number)
    if answer is None:
        return Stay(Stage.HELD, messages.unconfirmed("it has not been read yet."))
    if identity.number in facts.hidden:  # no event can confirm this removal, so a person decides
        return Stay(Stage.HELD, messages.not_shown(), hold=HoldKey(HoldKind.NOT_SHOWN))
    if isinstance(answer, str):
        return Stay(Stage.HELD, messages.unconfirmed(answer))
    if not _newer_than_list(answer, facts, listed):
        return Stay(Stage.HELD, messages.stale())
    pull_request = answer.pull_request
    if pull_request.identity != identity:
        return Stay(Stage.HELD, messages.unconfirmed("a different repository responded under this name."))
    if pull_request.state is State.OPEN and labels.carries(pull_request.labels, label):
        return Stay(Stage.HELD, messages.list_disagrees())
    found = _unlabeled(answer, label, facts) if pull_request.state is State.OPEN else _closed(answer)
    if isinstance(found, Go) and (asked_at := _asked_since(found, answer, facts)):
        return _undecided(found, asked_at)
    return found


def _newer_than_list(answer: Confirmation, facts: PullRequestFacts, listed: PullRequest | None) -> bool:
    pull_request = answer.pull_request
    fresh = listed is None or pull_request.updated_at >= listed.updated_at
    return fresh and answer.read_at >= facts.listing.read_at and pull_request.identity.number not in facts.stale


def _asked_since(found: Go, answer: Confirmation, facts: PullRequestFacts) -> datetime | None:
    """Return when the preview was requested if that is as late as the event that would remove it; None otherwise.

    GitHub's times are in whole seconds, and scripts close and reopen within one. The order is then unknown, so the
    preview stays for an hour, longer than any replica lags.
    """
    mark = facts.watermarks.get(answer.pull_request.identity.number)
    if mark is None or mark.asked_at is None or found.since > mark.asked_at:
        return None
    return mark.asked_at if answer.read_at - mark.asked_at < SAME_SECOND else None


def _undecided(found: Go, asked_at: datetime) -> Stay:
    """Hold a preview that was requested in the second of its removal, or later.

    An answer that is older than the request is replaced soon. Answers never show the order within one second, so a
    person may decide before the hour is over.
    """
    if found.since < asked_at:
        return Stay(Stage.HELD, messages.stale())
    hold = HoldKey(HoldKind.SAME_SECOND, since=found.since)
    return Stay(Stage.HELD, messages.same_second(found.reason, asked_at + SAME_SECOND), hold=hold)


def _closed(answer: Confirmation) -> Go:
    pull_request = answer.pull_request
    by = answer.closed_by.login if answer.closed_by else ""
    since = pull_request.closed_at or answer.read_at
    if pull_request.state is State.MERGED:
        return Go(Cause.MERGED, messages.merged(by), by, since)
    return Go(Cause.CLOSED, messages.closed(by), by, since)


def _unlabeled(answer: Confirmation, label: str, facts: PullRequestFacts) -> Go | Stay:
    pull_request = answer.pull_request
    event = last_event(pull_request.label_events, label)
    if event is None or event.added:
        hold = HoldKey(HoldKind.LABEL_GONE, label, event.at if event else None)
        return Stay(Stage.HELD, messages.label_gone(label), hold=hold)
    block = facts.blocks.get(pull_request.identity.number)
    if event.actor.login == facts.listing.me and block and _ours(event, block.memory):
        return Go(Cause.EXPIRED, messages.expired(block.memory.why, label), "", event.at, block.memory.why)
    if event.actor.kind is Kind.PERSON:
        if not _same_label(event, answer) or _followed_by_unknown(event, pull_request):
            hold = HoldKey(HoldKind.LABEL_DELETED, label, event.at)
            return Stay(Stage.HELD, messages.label_deleted(label), hold=hold)
        return Go(Cause.UNLABELED, messages.unlabeled(label, event.actor.login), event.actor.login, event.at)
    hold = HoldKey(HoldKind.LABEL_TAKEN, label, event.at)
    gone = event.actor.kind is Kind.NOBODY
    reason = messages.label_taken_by_ghost(label) if gone else messages.label_taken_by_bot(label, event.actor.login)
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


def _ours(event: LabelEvent, memory: CommentState) -> bool:
    """Return whether we took the label off because the preview expired, according to the signed block."""
    return memory.expired_at is not None and memory.expired_at <= event.at
