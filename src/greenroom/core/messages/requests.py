"""Why a pull request has no preview: nobody asked, or those who did may not."""

from __future__ import annotations

from greenroom.core.comment.sanitize import plain
from greenroom.core.model.status import Reason


def not_asked(label: str) -> Reason:
    return Reason("not-asked", "No preview was requested.", f"Add the label `{plain(label)}` to get a preview.")


def label_without_event(label: str) -> Reason:
    return Reason(
        "label-without-event",
        f"GitHub does not show who added the label `{plain(label)}`. Another label may have been renamed to this name.",
        "Remove the label and add it again.",
    )


def may_not_label(login: str, label: str) -> Reason:
    return Reason(
        "may-not-label",
        f"{login} added the label `{plain(label)}` but does not have write access to this repository.",
        "Ask someone with write access to remove the label and add it again.",
    )


def bot_labeled(login: str) -> Reason:
    return Reason(
        "bot-labeled",
        f"The label was added by {login}, a bot that is not listed in the configuration.",
        "Ask a person with write access to remove the label and add it again, or ask the platform team to add the bot"
        " to `bots:` in greenroom.yaml.",
    )


def labeler_gone(label: str) -> Reason:
    return Reason(
        "labeler-gone",
        f"The account that added the label `{plain(label)}` no longer exists.",
        "Ask someone with write access to remove the label and add it again.",
    )


def permission_unknown(login: str) -> Reason:
    return Reason(
        "permission-unknown",
        f"Greenroom could not check whether {login} has write access to this repository.",
        "Greenroom will check again shortly.",
    )


def fork() -> Reason:
    return Reason(
        "fork",
        "The branch is in a fork. Only branches in this repository can have previews.",
        "Ask someone with write access to push the branch to this repository and to open a new pull request.",
    )


def bot_author(login: str) -> Reason:
    return Reason(
        "bot-author",
        f"The author, {login}, is a bot that is not listed in the configuration.",
        "Ask the platform team to add the bot to `bots:` in greenroom.yaml.",
    )


def draft() -> Reason:
    return Reason("draft", "The pull request is a draft.", "Mark the pull request ready for review to get a preview.")


def wanted(label: str, login: str) -> Reason:
    return Reason("wanted", f"{login} requested a preview by adding the label `{plain(label)}`.")
