"""Outcome of a wait: the preview serves the commit, never will, needs a person first, or may still do so. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from greenroom.core import messages
from greenroom.core.model.status import SERVES, Stage, Status

NOT_SEEN = "Greenroom has not seen an open pull request with this number yet."
STALE = messages.stale().code
OVER = (Stage.FAILED, Stage.BLOCKED, Stage.ASLEEP, Stage.REMOVING, Stage.REMOVED)
"""Stages that usually last until a push or until a person acts. A waiting caller must check that the stage persists."""


class Outcome(StrEnum):
    """The state of a wait."""

    SERVING = "serving"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Awaited:
    """The outcome so far, and the reason: one or two sentences."""

    outcome: Outcome
    why: str


def awaited(status: Status | None, commit: str = "", trouble: str = "", superseded: Collection[str] = ()) -> Awaited:
    """Return whether a preview serves a commit, or the head of its pull request if none is named.

    `commit` may be shortened. A commit that is not the head is waited for: its push may not have been read yet.
    `superseded` are commits that are known to have been the head before this one. They are not waited for, unless
    GitHub's last answer was older than an earlier one: it may not show that such a commit was pushed again.
    `trouble` is the reason why the repository cannot be read now: the state of the last read may be out of date.
    """
    if trouble:
        return Awaited(Outcome.WAITING, f"Greenroom cannot read the repository right now: {trouble}")
    if status is None:
        return Awaited(Outcome.WAITING, NOT_SEEN)
    if commit and not status.head_sha.startswith(commit.lower()):
        fresh = status.reason.code != STALE
        if fresh and any(sha.startswith(commit.lower()) for sha in superseded):
            newer = f"{status.head_sha[:7]}. Wait for the newer commit instead."
            why = f"commit {commit[:7].lower()} was superseded by {newer}"
            return Awaited(Outcome.SUPERSEDED, f"{status.name}: {why}")
        head = f"the newest commit is {status.head_sha[:7]}" if status.head_sha else "its newest commit is unknown"
        return Awaited(Outcome.WAITING, f"{status.name} does not have commit {commit[:7]}; {head}.")
    serves = status.serves_head and (status.stage in SERVES or _is_held(status))
    if serves and status.ending:
        ending = ", ".join(status.ending)
        return Awaited(Outcome.WAITING, f"{status.name}: an earlier version of {ending} has not stopped yet.")
    if serves:
        return Awaited(Outcome.SERVING, f"{status.name} serves {status.head_sha[:7]}.")
    over = status.stage in OVER or _is_held(status)
    outcome = Outcome.FAILED if over else Outcome.WAITING
    cause = f"{status.cause.rstrip('.')}. " if status.cause else ""
    return Awaited(outcome, f"{status.name} is {status.stage.value}: {cause}{status.reason}")


def _is_held(status: Status) -> bool:
    """Return whether a person has to decide. Another hold ends automatically: after the next read, or in its turn."""
    return status.stage is Stage.HELD and status.hold is not None
