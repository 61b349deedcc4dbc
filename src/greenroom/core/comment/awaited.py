"""Judgment of a wait: the preview serves the commit, cannot without a person, or may still do so. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from greenroom.core.model.status import Stage, Status

NOT_SEEN = "Greenroom has not seen this pull request yet."
OVER = (Stage.FAILED, Stage.BLOCKED, Stage.HELD, Stage.ASLEEP, Stage.REMOVING, Stage.REMOVED)
"""Waiting longer helps with none of these: a push or a person ends it."""


class Outcome(StrEnum):
    """The state of a wait."""

    SERVING = "serving"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Awaited:
    """The outcome so far, and the reason: one or two sentences."""

    outcome: Outcome
    why: str


def awaited(status: Status | None, commit: str = "") -> Awaited:
    """Return whether a preview serves a commit, or the head of its pull request if none is named.

    `commit` may be shortened. A commit that is not the head is waited for: its push may not have been read yet.
    """
    if status is None:
        return Awaited(Outcome.WAITING, NOT_SEEN)
    if commit and not status.head_sha.startswith(commit.lower()):
        head = f"the newest commit is {status.head_sha[:7]}" if status.head_sha else "its newest commit is unknown"
        return Awaited(Outcome.WAITING, f"{status.name} does not have the commit {commit[:7]}; {head}.")
    if status.serves_head and (ending := [s.service for s in status.services if s.ending]):
        return Awaited(Outcome.WAITING, f"{status.name}: an earlier version of {', '.join(ending)} has not ended yet.")
    if status.serves_head:
        return Awaited(Outcome.SERVING, f"{status.name} serves {status.head_sha[:7]}.")
    outcome = Outcome.FAILED if status.stage in OVER else Outcome.WAITING
    return Awaited(outcome, f"{status.name} is {status.stage.value}: {status.reason}")
