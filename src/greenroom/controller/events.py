"""What a pass leaves in the history: an event for each action and each change of a status, under keys of their own.

Effects come first, then history; an event that is recorded twice is kept once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from greenroom.core.actions import Action, Change, Conclude, Remove, Start, TakeLabelOff, Tell, Withdraw
from greenroom.core.model import Receipt, RowSet
from greenroom.core.status import Stage, Status
from greenroom.store.rows import Deployment, Event

KINDS: dict[type[Action], str] = {
    Start: "started",
    Change: "changed",
    Withdraw: "withdrawn",
    Remove: "removed",
    TakeLabelOff: "label-off",
    Tell: "told",
    Conclude: "concluded",
}
STAGES = frozenset(stage.name.lower() for stage in Stage)


def of_action(action: Action, rows: RowSet, now: datetime) -> Event | None:
    """The event of an action that was performed; comments are no events of their own, nor is what nobody notices."""
    if isinstance(action, Tell) or action.reason.code == "refreshed":
        return None
    kind = KINDS[type(action)]
    data = {"code": action.reason.code}
    if isinstance(action, Start | Change):
        data |= {"sha": action.row.head_sha, "digests": ",".join(v.digest for v in action.row.versions)}
    if isinstance(action, Withdraw):
        data |= {"cause": action.cause.value, "by": action.by}
    key = f"{rows.repository}:{action.identity}:{kind}:{rows.generation}:{action.reason.code}"
    return Event(
        key=key,
        at=now,
        repository_id=action.identity.repository_id,
        repository=rows.repository,
        number=action.identity.number,
        kind=kind,
        text=str(action.reason),
        data=data,
    )


def dated(status: Status, before: Status | None, known: Iterable[Event], now: datetime) -> Status:
    """A status with the time at which it came to its stage for its reason; None when that cannot be known.

    `before` is what was seen last; where nothing was, since a start, `known` is the preview's history, newest first.
    """
    if before is not None:
        same = (before.stage, before.reason.code) == (status.stage, status.reason.code)
        return replace(status, since=before.since if same else now)
    last = next((e for e in known if e.kind in STAGES), None)
    if last is None:
        return replace(status, since=None if status.created else now)  # it may be older than our memory
    return replace(status, since=last.at if _of(last, status) else now)


def of_status(status: Status, before: Status | None, known: Iterable[Event], now: datetime) -> Event | None:
    """The event of a status that is not what it was, or None. `before` and `known` are as in `dated`."""
    if status.stage is Stage.NONE or (before and _same(status, before)):
        return None
    last = next((e for e in known if e.kind in STAGES), None)
    if before is None and last is not None and _of(last, status):
        return None
    sha = next((s.sha for s in status.services), "")
    return Event(
        key=f"{status.name}:{status.identity}:{status.stage.value}:{status.reason.code}:{sha}:{status.hold}:{now}",
        at=now,
        repository_id=status.identity.repository_id,
        repository=status.repository,
        number=status.number,
        kind=status.stage.name.lower(),
        text=str(status.reason),
        data={"code": status.reason.code, "sha": sha},
    )


def _same(status: Status, before: Status) -> bool:
    return (status.stage, status.reason, status.hold) == (before.stage, before.reason, before.hold)


def _of(event: Event, status: Status) -> bool:
    return (event.kind, event.data.get("code")) == (status.stage.name.lower(), status.reason.code)


def of_receipt(receipt: Receipt, repository: str, generation: int, now: datetime) -> Event:
    """The event of a receipt: what was checked, what is left, what cannot be seen from here."""
    text = "Nothing is left." if receipt.clean else f"Left: {', '.join(receipt.left)}."
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
    """Each version that answers now in each preview, as a deployment: recorded once, when it is first seen."""
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
