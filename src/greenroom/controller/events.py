"""What a pass leaves in the history: an event for each action and each change of a status, under keys of their own.

Effects come first, then history; an event that is recorded twice is kept once.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def of_action(action: Action, rows: RowSet, now: datetime) -> Event | None:
    """The event of an action that was performed; comments are no events of their own."""
    if isinstance(action, Tell):
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


def of_status(status: Status, before: Status | None, now: datetime) -> Event | None:
    """The event of a status that is not what it was, or None."""
    if status.stage is Stage.NONE or (before and _same(status, before)):
        return None
    sha = next((s.sha for s in status.services), "")
    at = status.since or now
    key = (
        f"{status.name}:{status.identity}:{status.stage.value}:{status.reason.code}:{sha}:{status.hold}:{status.since}"
    )
    return Event(
        key=key,
        at=at,
        repository_id=status.identity.repository_id,
        repository=status.repository,
        number=status.number,
        kind=status.stage.name.lower(),
        text=str(status.reason),
        data={"code": status.reason.code, "sha": sha},
    )


def _same(status: Status, before: Status) -> bool:
    return (status.stage, status.reason, status.since, status.hold) == (
        before.stage,
        before.reason,
        before.since,
        before.hold,
    )


def of_receipt(receipt: Receipt, repository: str, generation: int, now: datetime) -> Event:
    """The event of a receipt: what was checked, what is left, what cannot be seen from here."""
    text = "Nothing is left." if receipt.clean else f"Left: {', '.join(receipt.left)}."
    return Event(
        key=f"{repository}:{receipt.identity}:receipt:{generation}:{receipt.clean}:{','.join(receipt.left)}",
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
