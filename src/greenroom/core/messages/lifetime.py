"""When a preview expires, and why it has not."""

from __future__ import annotations

from datetime import datetime

from greenroom.core.comment.sanitize import plain
from greenroom.core.messages.words import day, span
from greenroom.core.model.catalog import Lifetime
from greenroom.core.model.status import Reason


def expiring(at: datetime, why: str, lifetime: Lifetime) -> Reason:
    """Return when a preview expires, and how to keep it."""
    if why == "inactive":
        cause = f", after {span(lifetime.inactive_after)} without activity" if lifetime.inactive_after else ""
        fix = f"A push, comment or review keeps the preview, and so does the label `{plain(lifetime.keep_label)}`."
    else:
        cause = f" because it will have reached its maximum age of {span(lifetime.max_age)}" if lifetime.max_age else ""
        fix = "To get a new preview, remove the label and add it again."
    return Reason("expiring", f"The preview will be removed at {day(at)}{cause}.", fix)


def lifespan(lifetime: Lifetime, *, kept: bool) -> str:
    """Return the sentence about the lifetime for the comment. It has no date, because each activity would change it.

    `kept` means that the keep label is on, which disables the expiry by inactivity but not the one by age.
    """
    aged = f"{span(lifetime.max_age)} after its creation" if lifetime.max_age else ""
    if kept:
        label = f"the label `{plain(lifetime.keep_label)}`"
        if aged:
            return f"The preview is removed {aged}, even with {label}."
        return f"The preview does not expire while the pull request has {label}." if lifetime.inactive_after else ""
    if lifetime.inactive_after:
        quiet = span(lifetime.inactive_after)
        return f"The preview is removed after {quiet} without activity{f', or {aged}' if aged else ''}."
    return f"The preview is removed {aged}." if aged else ""


def expires(at: datetime, why: str) -> str:
    """Return when a preview expires, in the words of pages and the command line."""
    if why == "age":
        return f"Expires {day(at)}, when the preview reaches its maximum age."
    return f"Expires {day(at)} unless there is activity."


def expired(why: str, label: str) -> Reason:
    cause = "it reached its maximum age" if why == "age" else "there was no activity"
    return Reason(
        "expired",
        f"The preview expired because {cause}.",
        f"Add the label `{plain(label)}` again to bring the preview back.",
    )


def warning_undelivered(why: str) -> Reason:
    return Reason(
        "warning-undelivered",
        f"The preview is due to expire, but the warning could not be posted: {plain(why, 300)}",
        "The preview is not removed before the warning is posted. To remove the preview now, remove the preview's"
        " label.",
    )


def expiry_refused(why: str) -> Reason:
    return Reason(
        "expiry-refused",
        f"The preview expired, but Greenroom could not update the pull request: {plain(why, 300)}",
        "The preview keeps running until the update succeeds. To remove the preview now, remove the preview's label.",
    )
