"""Commands that delete the data of a preview: which of them is followed now.

A command is followed once, soon after it was given, and never again: not after a restart, a restored backup, or a lost
comment. What it deletes cannot be brought back, so in doubt the person has to ask again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from greenroom.core import messages
from greenroom.core.model.engine import PreviewSet
from greenroom.core.model.github import CommentState, DataAction, DataCommand
from greenroom.core.model.spec import PreviewSpec
from greenroom.core.model.status import Reason

WITHIN = timedelta(minutes=30)
"""Time limit for acting on a command. Later, Greenroom ignores the command. Building a seed takes less time."""
SHOWN = timedelta(hours=1)
"""Time for which the comment mentions that a command had no effect."""


def due(
    memory: CommentState | None, spec: PreviewSpec | None, preview_set: PreviewSet | None, now: datetime
) -> DataCommand | None:
    """Return the command to follow, or None. `memory` is the state in our comment; None if it could not be read.

    After stored data was lost, the spec may be older than a command that was followed already.
    """
    command = memory.data if memory else None
    if command is None or spec is None or not _is_newer(command, spec):
        return None
    lost = preview_set is None or preview_set.recovery is not None
    return None if lost or now - command.at > WITHIN else command


def _is_newer(command: DataCommand, spec: PreviewSpec) -> bool:
    """Return whether a command is later than the preview, and than the last command that it followed."""
    followed = spec.data.commanded_at
    void = command.followed or command.at < spec.times.created
    return not void and (followed is None or command.order > (followed, spec.data.command))


def remembered(command: DataCommand | None, spec: PreviewSpec | None) -> DataCommand | None:
    """Return the command as our comment remembers it: a spec may be lost, or restored from an older backup."""
    if command is None or spec is None or spec.data.commanded_at is None:
        return command
    follows = command.order <= (spec.data.commanded_at, spec.data.command)
    return replace(command, followed=command.followed or follows)


def answer(memory: CommentState | None, spec: PreviewSpec | None, now: datetime) -> Reason | None:
    """Return why the last command had no effect; None if it had one, or still may have one."""
    command = memory.data if memory else None
    if command is None or spec is None or now - command.at > SHOWN:
        return None
    if _is_newer(command, spec) and now - command.at > WITHIN:
        return messages.command_too_late(command.by, command.action.value)
    if not _is_newer(command, spec) and not spec.resettable:
        return messages.nothing_to_reset(command.by)
    return None


def renews(command: DataCommand | None) -> bool:
    """Return whether a command asks for the newest seed."""
    return command is not None and command.action is DataAction.RESEED
