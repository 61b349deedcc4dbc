"""Why a preview is removed, what the removal waits for, and what is left."""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.core.comment.sanitize import plain
from greenroom.core.linking.handover import PATIENCE
from greenroom.core.messages.lifetime import expired
from greenroom.core.messages.words import listed, span
from greenroom.core.model.engine import Cause
from greenroom.core.model.status import Reason


def closed(by: str) -> Reason:
    return Reason(
        "closed", f"The pull request was closed{_by(by)}.", "Reopen the pull request to bring the preview back."
    )


def merged(by: str) -> Reason:
    return Reason("merged", f"The pull request was merged{_by(by)}.")


def never_started(why: Reason) -> Reason:
    """Return the reason for a pull request that was closed or merged before its preview started."""
    return Reason(
        why.code, f"{why.text} No preview was started.", "Reopen the pull request to get a preview." if why.fix else ""
    )


def unlabeled(label: str, by: str) -> Reason:
    return Reason(
        "unlabeled",
        f"The label `{plain(label)}` was removed{_by(by)}.",
        f"Add the label `{plain(label)}` again to bring the preview back.",
    )


def released(by: str) -> Reason:
    return Reason(
        "released",
        f"{plain(by)} confirmed the removal with `greenroom release`.",
        "If the pull request no longer has the label, add the label again to bring the preview back.",
    )


def gone(cause: Cause, by: str, label: str, why: str) -> Reason:
    """Return why a preview was removed, from its entry in the ledger. `why` is an expiry's cause."""
    match cause:
        case Cause.CLOSED:
            return closed(by)
        case Cause.MERGED:
            return merged(by)
        case Cause.UNLABELED:
            return unlabeled(label, by)
        case Cause.EXPIRED:
            return expired(why, label)
        case Cause.RELEASED:
            return released(by)


def removed(why: Reason) -> Reason:
    return Reason("removed", f"{why.text} All of the preview's resources have been deleted.", why.fix)


def left(why: Reason, things: Sequence[str]) -> Reason:
    return Reason(
        "left",
        f"{why.text} These resources still exist: {listed(things)}.",
        "Greenroom keeps checking until the resources are deleted.",
    )


def users_move(why: Reason, users: Sequence[str]) -> Reason:
    """Return why a preview is being removed, and which users have to switch links first."""
    waits = f"The removal waits up to {span(PATIENCE)} for these previews to switch to another target: {listed(users)}."
    return Reason(why.code, f"{why.text} {waits}", why.fix)


def users_stay(why: Reason, users: Sequence[str]) -> Reason:
    """Return why a preview is being removed, and which users still used it when the wait was over."""
    stay = f"The removal continues although these previews did not switch to another target in time: {listed(users)}."
    return Reason(why.code, f"{why.text} {stay}", why.fix)


def does_not_go(why: Reason, sentence: str) -> Reason:
    return Reason(why.code, f"{why.text} {plain(sentence, 300)}", why.fix)


def _by(login: str) -> str:
    return f" by {login}" if login else ""
