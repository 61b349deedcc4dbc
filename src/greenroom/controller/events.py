"""History entries of a pass: an event for each action and each change of a status, under unique keys.

Effects come first, then history. An event that is recorded twice is stored once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

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
from greenroom.core.model.engine import PreviewSet, Receipt
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage, Status
from greenroom.store.rows import Deployment, Event

KINDS: dict[type[Action], str] = {
    Start: "started",
    Change: "changed",
    Withdraw: "withdrawn",
    Remove: "removed",
    RemoveLabel: "label-off",
    UpdateComment: "told",
    VerifyRemoval: "concluded",
    DeleteComment: "comment-deleted",
    BuildSeed: "seed-build",
}
STAGES = frozenset(stage.name.lower() for stage in Stage)


@dataclass(frozen=True, slots=True)
class Past:
    """State that people saw before a pass at `now`: the last statuses, and the history of previews that had none."""

    before: Mapping[Identity, Status]
    known: Mapping[Identity, tuple[Event, ...]]
    now: datetime

    def dated(self, status: Status) -> Status:
        """Return a status with the time since when it lasts."""
        return dated(status, self.before.get(status.identity), self.known.get(status.identity, ()), self.now)

    def event(self, status: Status) -> Event | None:
        """Return the event of a status that has changed, or None."""
        return of_status(status, self.before.get(status.identity), self.known.get(status.identity, ()), self.now)


def of_action(action: Action, preview_set: PreviewSet, now: datetime) -> Event | None:
    """Return the event of a performed action. Return None for comments and for changes that have no visible effect."""
    if isinstance(action, UpdateComment | DeleteComment) or action.reason.code == "refreshed":
        return None
    kind = KINDS[type(action)]
    data = {"code": action.reason.code}
    if isinstance(action, Start | Change):
        data |= {"sha": action.spec.build.head_sha, "digests": ",".join(v.digest for v in action.spec.build.versions)}
    if isinstance(action, Withdraw):
        data |= {"cause": action.cause.value, "by": action.by}
    key = f"{preview_set.repository}:{action.identity}:{kind}:{preview_set.generation}:{action.reason.code}"
    return Event(
        key=key,
        at=now,
        repository_id=action.identity.repository_id,
        repository=preview_set.repository,
        number=action.identity.number,
        kind=kind,
        text=str(action.reason),
        data=data,
    )


def dated(status: Status, before: Status | None, known: Iterable[Event], now: datetime) -> Status:
    """Return a status with the time when it entered its stage for its reason; None when that is unknown.

    `before` is the last known status. If there is none since a start, `known` is the preview's history, newest first.
    """
    if before is not None:
        same = (before.stage, before.reason.code) == (status.stage, status.reason.code)
        return replace(status, since=before.since if same else now)
    last = next((e for e in known if e.kind in STAGES), None)
    if last is None:
        return replace(status, since=None if status.created else now)  # it may be older than the history
    return replace(status, since=last.at if _of(last, status) else now)


def of_status(status: Status, before: Status | None, known: Iterable[Event], now: datetime) -> Event | None:
    """Return the event of a status that has changed, or None. `before` and `known` are as in `dated`."""
    if status.stage is Stage.NONE or (before and _same(status, before)):
        return None
    last = next((e for e in known if e.kind in STAGES), None)
    if before is None and last is not None and _of(last, status):
        return None
    sha = next((s.sha for s in status.services), "")
    state = f"{status.stage.value}:{status.reason.code}:{sha}:{status.hold or ''}"
    return Event(
        key=f"{status.name}:{status.identity}:{state}:{now}",
        at=now,
        repository_id=status.identity.repository_id,
        repository=status.repository,
        number=status.number,
        kind=status.stage.name.lower(),
        text=f"{status.cause.rstrip('.')}. {status.reason}" if status.cause else str(status.reason),
        data={"code": status.reason.code, "sha": sha},
    )


def _same(status: Status, before: Status) -> bool:
    return (status.stage, status.reason, status.hold) == (before.stage, before.reason, before.hold)


def _of(event: Event, status: Status) -> bool:
    return (event.kind, event.data.get("code")) == (status.stage.name.lower(), status.reason.code)


def of_receipt(receipt: Receipt, repository: str, generation: int, now: datetime) -> Event:
    """Return the event of a receipt: the objects that were checked, those that are left, and those that cannot be
    checked from here.
    """
    text = (
        "All of the preview's resources have been deleted."
        if receipt.clean
        else f"These resources still exist: {', '.join(receipt.left)}."
    )
    if receipt.comment_error:
        text += f" The comment could not be updated: {receipt.comment_error}"
    return Event(
        key=f"{repository}:{receipt.identity}:receipt:{generation}:{receipt.clean}:{','.join(receipt.left)}"
        f"{receipt.comment_error}",
        at=now,
        repository_id=receipt.identity.repository_id,
        repository=repository,
        number=receipt.identity.number,
        kind="receipt",
        text=text,
        data={
            "clean": receipt.clean,
            "checked": list(receipt.checked),
            "left": list(receipt.left),
            "unverified": list(receipt.unverified),
            "comment_error": receipt.comment_error,
        },
    )


def deployments(statuses: Iterable[Status], now: datetime) -> list[Deployment]:
    """Return each version that answers now in each preview, as a deployment. It is recorded once, when it is first
    seen.
    """
    return [
        Deployment(
            key=f"{s.identity}:{r.service}:{r.sha}:{r.digest}:{r.since}",
            at=r.since or now,
            repository_id=s.identity.repository_id,
            repository=s.repository,
            number=s.number,
            environment=f"preview/pr-{s.number}",
            sha=r.sha,
            digest=r.digest,
            state="success",
            url=r.url,
            source="greenroom",
            data={"service": r.service},
        )
        for s in statuses
        for r in s.services
        if r.ready
    ]
