"""Why nothing changes until GitHub is clear or a person decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from greenroom.core.comment.sanitize import plain
from greenroom.core.messages.words import day, listed
from greenroom.core.model.status import Reason


def stale() -> Reason:
    return Reason(
        "stale",
        "GitHub returned outdated or incomplete data.",
        "Greenroom will check again shortly. Nothing changes until then.",
    )


def same_second(why: Reason, until: datetime) -> Reason:
    """Return why a removal waits if its cause, `why`, has the same second as the request for the preview."""
    return Reason(
        "same-second",
        f"{why.text} The preview was requested in the same second, so GitHub does not show which happened last.",
        f"Greenroom keeps the preview until {day(until)}, and then removes it if nobody has requested it again.",
    )


def unconfirmed(why: str) -> Reason:
    return Reason(
        "unconfirmed",
        f"Greenroom could not read the pull request by its number: {plain(why, 300)}",
        "Nothing is removed until Greenroom can read the pull request.",
    )


def not_shown() -> Reason:
    return Reason(
        "not-shown",
        "GitHub still shows the repository but no longer shows this pull request. The author's account may be hidden.",
        "The preview keeps running.",
    )


def list_disagrees() -> Reason:
    return Reason(
        "list-disagrees",
        "GitHub's list of pull requests does not show this pull request as open and labeled, but GitHub's response for"
        " this pull request alone does.",
        "Nothing is removed. Greenroom will read the list again shortly.",
    )


def label_gone(label: str) -> Reason:
    return Reason(
        "label-gone",
        f"This pull request no longer has the label `{plain(label)}`, but GitHub does not show who removed the label."
        " The label may have been renamed or deleted in the repository.",
        "Add the label again to keep the preview.",
    )


def label_deleted(label: str) -> Reason:
    return Reason(
        "label-deleted",
        f"The label `{plain(label)}` was removed from this pull request, possibly because the label was deleted in the"
        " repository.",
        "To keep the preview, add the label again. If the label no longer exists in the repository, create it first.",
    )


def label_taken_by_ghost(label: str) -> Reason:
    return Reason(
        "label-taken-by-ghost",
        f"The label `{plain(label)}` was removed by an account that no longer exists.",
        "Add the label again to keep the preview.",
    )


def label_taken_by_bot(label: str, login: str) -> Reason:
    return Reason(
        "label-taken-by-bot",
        f"A bot, {login}, removed the label `{plain(label)}`.",
        "Add the label again to keep the preview.",
    )


def config_label(old: str, new: str) -> Reason:
    return Reason(
        "config-label",
        f"In the configuration, `label:` changed from `{plain(old)}` to `{plain(new)}`, but this pull request still has"
        " the old label.",
        f"Add the label `{plain(new)}` to keep the preview.",
    )


def config_names(
    services: Sequence[str], data: Sequence[str], moved: tuple[str, str] = ("", ""), *, replaces: bool = False
) -> Reason:
    """Return the effect that a configuration change would have on a preview: it loses services or data, or else moves
    from one name or host to another. A host is empty if the service is not public before or after the change.

    `replaces` means that the preview under the new name is another one, without the data of this one.
    """
    keeps = ""
    if services:
        what, pushes = f"lose {listed(services)}", " New commits are not deployed."
    elif data:
        what, pushes = f"lose the data of {listed(data)}", ""
    else:
        what, pushes = _moves(*map(plain, moved)), ""
        keeps = (
            " A new preview would replace this one, and this preview's data would be lost."
            if replaces
            else " The data would be kept."
        )
    return Reason(
        "config-names",
        f"The new configuration would make this preview {what}, so Greenroom has not applied it.{keeps}{pushes}",
        "Ask the platform team to change the configuration back.",
    )


def _moves(before: str, after: str) -> str:
    """Return what happens to a name or host; one of the two is empty if there is none before or after."""
    if not after:
        return f"lose the address `{before}`"
    return f"move from `{before}` to `{after}`" if before else f"get the address `{after}`"


def not_in_catalog(slug: str) -> Reason:
    return Reason(
        "not-in-catalog",
        f"The repository {plain(slug)} is no longer in the catalog.",
        "Ask the platform team to add the repository to `repositories:` in greenroom.yaml again.",
    )


def replaced(slug: str) -> Reason:
    return Reason(
        "replaced",
        f"{plain(slug)} is now a different repository on GitHub. This preview's repository was deleted or renamed.",
        "The preview keeps running.",
    )


def breaker(count: int, limit: int, scope: str) -> Reason:
    return Reason(
        "breaker",
        f"{count} previews {scope} lost their label within an hour. Greenroom removes at most {limit} of them without"
        " confirmation, so this preview waits.",
        "Add the label again to keep the preview.",
    )


def records_lost() -> Reason:
    return Reason(
        "records-lost",
        "Some of Greenroom's records about this repository's previews were deleted or restored from a backup, so"
        " Greenroom does not know how many previews were removed or restarted in the last hour.",
        "For an hour, Greenroom keeps expired previews, and it removes unlabeled previews or restarts previews only"
        " after a person confirms.",
    )


def restart_breaker(limit: int, scope: str) -> Reason:
    return Reason(
        "restart-breaker",
        f"Configuration changes would restart more than {limit} previews {scope} within an hour, so this preview"
        " waits.",
        "Greenroom will apply the change later, as the hourly limit allows. The next push also applies it.",
    )


def its_turn(limit: int, why: str, removed_label: str = "") -> Reason:
    """Return why an expired preview is not removed yet. `removed_label` is the label if Greenroom has removed it."""
    if why == "age":  # activity does not change the age
        fix = "Greenroom will remove the preview later, as the hourly limit allows."
    elif removed_label:
        fix = f"Add the label `{plain(removed_label)}` again to keep the preview."
    else:
        fix = "A push, comment or review keeps the preview."
    return Reason(
        "its-turn",
        f"This preview expired. Greenroom removes at most {limit} expired previews within an hour, so this preview"
        " waits.",
        fix,
    )


RELEASE = {
    "breaker": "If the removal was intended",
    "records-lost": "To confirm the removal or restart of this preview now",
    "config-names": "To apply the change",
    "restart-breaker": "To apply the change now",
    "same-second": "To remove the preview now",
}


def with_release(why: Reason, name: str) -> Reason:
    """Return the reason of a hold, with the command that ends it."""
    step = f"{RELEASE.get(why.code, 'To remove the preview')}, the platform team can run `greenroom release {name}`."
    return replace(why, fix=f"{why.fix} {step}".lstrip())
