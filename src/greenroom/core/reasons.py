"""Every sentence that people read about a preview, in one place: comment, `explain`, dashboard, log say the same.

Each function is named for what is the case and returns a `Reason`: what and why, then the next step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from greenroom.core.catalogue import Lifetime
from greenroom.core.model import Cause
from greenroom.core.rows import Link
from greenroom.core.status import Reason
from greenroom.core.text import code, plain


def day(at: datetime) -> str:
    """A time that people read, in UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def span(delta: timedelta) -> str:
    """A length of time in its largest fitting unit: `3 d`, `12 h`, `5 min`, `30 s`."""
    seconds = int(delta.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}" if seconds % size == 0 else f"{seconds / size:.1f} {unit}"
    return f"{seconds} s"


def listed(words: Iterable[str]) -> str:
    """Words of strangers, one after the other."""
    return ", ".join(plain(w) for w in words)


def _short(reference: str) -> str:
    """An image as people say it: of a commit's 40 digits, the first seven."""
    return re.sub(r"\b([0-9a-f]{7})[0-9a-f]{33}\b", r"\1…", plain(reference))


# --- no preview, or not yet --------------------------------------------------------------------------------------


def not_asked(label: str) -> Reason:
    return Reason("not-asked", "Nobody has asked for a preview.", f"Put the label `{plain(label)}` on to get one.")


def label_without_event(label: str) -> Reason:
    return Reason(
        "label-without-event",
        f"GitHub does not show who put the label `{plain(label)}` on (was another label renamed to it?).",
        "Take it off and put it on again.",
    )


def may_not_label(login: str, label: str) -> Reason:
    return Reason(
        "may-not-label",
        f"{login} put the label `{plain(label)}` on but has no write access to this repository.",
        "Somebody with write access takes it off and puts it on again.",
    )


def bot_labelled(login: str) -> Reason:
    return Reason(
        "bot-labelled",
        f"The label was put on by {login}, a bot that the configuration does not list.",
        "A person with write access puts it on, or the platform team adds the bot to `bots:`.",
    )


def labeller_gone(label: str) -> Reason:
    return Reason(
        "labeller-gone",
        f"The account that put the label `{plain(label)}` on does not exist any more.",
        "Somebody with write access takes it off and puts it on again.",
    )


def permission_unknown(login: str) -> Reason:
    return Reason("permission-unknown", f"GitHub did not say whether {login} has write access.", "Asked again soon.")


def fork() -> Reason:
    return Reason(
        "fork",
        "The branch is in a fork, and previews run branches of this repository only.",
        "Somebody with write access can push it here.",
    )


def bot_author(login: str) -> Reason:
    return Reason(
        "bot-author",
        f"The author {login} is a bot that the configuration does not list.",
        "The platform team adds it to `bots:` in greenroom.yaml.",
    )


def draft() -> Reason:
    return Reason("draft", "The pull request is a draft.", "Mark it ready for review to get a preview.")


def meanwhile(why: Reason, serving: str) -> Reason:
    """Return why new commits wait, and what keeps running until then. `serving` is the commit that answers requests."""
    keeps = f"The current version, {serving[:7]}, keeps running." if serving else "The preview stays as it is."
    fix = "Mark it ready for review to deploy them." if why.code == "draft" else why.fix
    return Reason(why.code, f"{why.text} {keeps} New commits are not deployed.", fix)


def waiting_for_image(missing: Sequence[str], last_good: str = "", *, merged: bool = False) -> Reason:
    """Return why a preview waits for images. With `merged`, CI builds the merge commit of each push, and a re-run of CI
    builds the same merge commit again.
    """
    names = ", ".join(_short(m) for m in missing)
    keeps = f" The last good version, {last_good}, keeps serving." if last_good else ""
    moved = (
        " If the base branch moved after CI ran, CI built an earlier merge commit: update the branch, or push a commit."
    )
    return Reason(
        "image-missing",
        f"Waiting for image {names}.{keeps}",
        f"It starts once CI has pushed the image; see the checks of this pull request.{moved if merged else ''}",
    )


def merge_image_only(missing: str, merge: str) -> Reason:
    return Reason(
        "merge-image-only",
        f"Image {_short(missing)} is missing, but {_short(merge)} exists:"
        " CI builds GitHub's merge commit, not the head.",
        "Set `image.from: merge` for this service, or check out `github.event.pull_request.head.sha` in the workflow.",
    )


def no_merge_commit(*, conflicts: bool) -> Reason:
    if not conflicts:
        return Reason(
            "merge-commit-pending",
            "GitHub is still computing the merge commit of this pull request, which `image.from: merge` needs.",
            "Greenroom checks again soon.",
        )
    return Reason(
        "no-merge-commit",
        "The branch conflicts with its base branch, so GitHub has no merge commit, which `image.from: merge` needs.",
        "Resolve the conflicts with the base branch.",
    )


def every_service(files: int) -> Reason:
    return Reason(
        "every-service",
        f"GitHub does not list all {files:,} files that this pull request changes, so every service counts as changed.",
    )


def place(position: int, *, overdue: bool) -> str:
    """Return the sentence about the place in the queue, or about a held preview past its lifetime; else empty."""
    if overdue:
        return "Past its lifetime; needs a decision."
    return f"Number {position} in the queue." if position else ""


def registry_unknown(why: str) -> Reason:
    return Reason("registry-unknown", plain(why, 300), "Greenroom asks again soon.")


def queued(limit: int, scope: str) -> Reason:
    """Return why a preview is queued, without its place: every removal would otherwise edit the comments of all."""
    return Reason(
        "queued",
        f"The limit of {limit} previews {scope} is reached.",
        "It starts by itself when another preview goes: take the label off one that you are done with.",
    )


def engine_foreign(installation: str) -> Reason:
    return Reason(
        "foreign",
        f"What runs under this preview's name belongs to another Greenroom installation, {plain(installation)}.",
        "Give the two installations different values of `namePrefix:`.",
    )


def name_in_use(previews: Sequence[str]) -> Reason:
    """Return why a preview waits for those of an earlier repository, named as `greenroom release` takes them."""
    shown = " ".join(previews[:10])
    more = f" ({len(previews)} in all)" if len(previews) > 10 else ""
    return Reason(
        "name-in-use",
        f"Previews of an earlier repository with this name still use its names and addresses: {shown}{more}.",
        f"It starts once they are removed. The platform team can remove them with `greenroom release {shown}`.",
    )


def namespace_taken(name: str) -> Reason:
    return Reason(
        "namespace-taken",
        f"The namespace {plain(name)} exists already and is not this preview's.",
        "The platform team removes or renames it, or sets another `namePrefix:`.",
    )


# --- a preview runs ----------------------------------------------------------------------------------------------


def wanted(label: str, login: str) -> Reason:
    return Reason("wanted", f"{login} asked for it with the label `{plain(label)}`.")


def starting() -> Reason:
    return Reason("starting", "The preview is starting.", "The address answers when it says ready.")


def unreachable(why: str) -> Reason:
    return Reason(
        "unreachable",
        plain(why, 300),
        "If the service has no page at that path, the platform team sets `probe:`; else see the ingress and DNS.",
    )


def ready() -> Reason:
    return Reason("ready", "Everything answers.")


def asleep(label: str) -> Reason:
    return Reason("asleep", f"Asleep while the label `{plain(label)}` is on.", "Take it off to wake the preview.")


def data_renewed(at: datetime) -> Reason:
    return Reason(
        "data-renewed",
        f"Everything answers. The database restarted at {day(at)}: its data began anew, and was migrated.",
    )


def no_room() -> Reason:
    return Reason(
        "no-room",
        "The rows of this repository's previews fill what the engine can keep, so this one waits as it is.",
        "It goes on by itself when another preview of this repository goes; smaller manifests make room too.",
    )


def changed_by_hand(parameters: Sequence[tuple[str, str]]) -> Reason:
    """What they were set to is not said: it may be a secret, or name what is private."""
    return Reason("by-hand", f"Everything answers. Changed in Argo CD by hand: {listed(n for n, _ in parameters)}.")


def updating(sha: str, old: str) -> Reason:
    if old == sha:
        return Reason("updating", f"Version {sha[:7]} takes another link or setting over; its address keeps answering.")
    keeps = f" {old[:7]} keeps serving until then." if old else ""
    return Reason("updating", f"Version {sha[:7]} is starting.{keeps}")


PUSH = "Push a fix; it is tried at once."
PLATFORM = "This is for the platform team; it is tried again by itself, and nothing needs to be pushed."


def failed(why: str, serving: str, fix: str = "") -> Reason:
    """`fix` is what helps where it is not a push."""
    keeps = f" The last good version, {serving[:7]}, keeps serving." if serving else " Nothing serves."
    return Reason("failed", f"{plain(why, 300)}{keeps}", fix or PUSH)


def falls_asleep() -> Reason:
    return Reason("sleep", "A person put the preview to sleep.")


def wakes() -> Reason:
    return Reason("wake", "A person woke the preview.")


def new_incarnation() -> Reason:
    return Reason("new-incarnation", "The data of the database began anew; services restart and migrate.")


def tried_again(nonce: int) -> Reason:
    return Reason("tried-again", f"Argo CD could not apply it; this is try {nonce + 1}.")


def rolled(version: str) -> Reason:
    return Reason("rolled", f"The preview takes chart {plain(version)} and the current settings.")


def tag_moved(reference: str) -> Reason:
    return Reason(
        "tag-moved",
        f"The tag {plain(reference)} now points to another image than the one that is running.",
        "Push a new commit to get a new version, or deploy the image with",
    )


def new_version(sha: str) -> Reason:
    return Reason("new-version", f"Commit {sha[:7]} was pushed and its images exist.")


def new_image(sha: str) -> Reason:
    return Reason("new-image", f"The preview deploys other images of commit {sha[:7]}.")


def new_settings() -> Reason:
    return Reason("new-settings", "The configuration of the service changed.")


def same_version() -> Reason:
    return Reason("refreshed", "What is known of the pull request changed; nothing restarts.")


# --- links and commands ------------------------------------------------------------------------------------------


def link_required(service: str, why: str) -> Reason:
    said = "" if why == "staging" else f" ({plain(why)})"
    return Reason(
        "link-required",
        f"This preview needs a preview of `{service}`, not staging{said}.",
        f"Comment `/preview use {service}#N` with the number of a pull request that has one.",
    )


def relinked(links: Sequence[Link]) -> Reason:
    said = "; ".join(f"{k.target} comes from {k.name} ({plain(k.why)})" for k in links)
    return Reason("relinked", f"{said}." if said else "Others call this preview now, and its services are told so.")


def opened(namespaces: Sequence[str]) -> Reason:
    """Who may call this preview from now on."""
    who = f"Only {listed(namespaces)} may" if namespaces else "No other preview may"
    return Reason("opened", f"{who} call it from now on; nothing restarts.")


def command_edited(login: str) -> Reason:
    return Reason("command-edited", f"{login}'s last command was edited, so it counts for nothing.", "Write it again.")


def command_unknown(login: str, line: str) -> Reason:
    fix = (
        "There are `/preview use SERVICE#N`, `/preview use SERVICE staging` and `/preview use SERVICE default`;"
        " labels keep a preview or put it to sleep."
    )
    return Reason("command-unknown", f"{login} wrote `{code(line)}`, which is no command.", fix)


def command_no_service(login: str, service: str, near: str, used: Sequence[str]) -> Reason:
    known = f"It uses {', '.join(used)}." if used else "It uses no other service."
    fix = f"Did you mean `{near}`?" if near else known
    return Reason("command-no-service", f"{login} named `{code(service)}`, which this preview does not use.", fix)


def command_not_allowed(login: str) -> Reason:
    return Reason(
        "command-not-allowed",
        f"{login}'s command counts for nothing: that needs write access.",
        "Somebody who has it comments the same.",
    )


# --- lifetime ----------------------------------------------------------------------------------------------------


def expiring(at: datetime, why: str, lifetime: Lifetime) -> Reason:
    """When a preview goes, and what keeps it."""
    if why == "inactive":
        cause = f"nobody has worked on it for {span(lifetime.inactive_after)}" if lifetime.inactive_after else ""
        fix = f"A push, comment or review keeps it, and so does the label `{plain(lifetime.keep_label)}`."
    else:
        cause = f"no preview lives for longer than {span(lifetime.max_age)}" if lifetime.max_age else ""
        fix = "Take the label off and put it on again for a new one."
    return Reason("expiring", f"The preview will be removed at {day(at)}: {cause}.", fix)


def lifespan(lifetime: Lifetime, *, kept: bool) -> str:
    """Return the sentence about the lifetime for the comment. It has no date, which each activity would change.

    `kept` says that the keep label is on, which ends the expiry by inactivity and not that by age.
    """
    aged = f"{span(lifetime.max_age)} after it was created" if lifetime.max_age else ""
    if kept:
        until = f"Removed {aged}" if aged else "Stays until the label is taken off"
        return f"{until}: `{plain(lifetime.keep_label)}` is on."
    if lifetime.inactive_after:
        return f"Removed after {span(lifetime.inactive_after)} without activity{f', or {aged}' if aged else ''}."
    return f"Removed {aged}." if aged else ""


def expires(at: datetime, why: str) -> str:
    """When a preview expires, as pages and the command line say it."""
    if why == "age":
        return f"Expires {day(at)}, when it reaches its maximum age."
    return f"Expires {day(at)} unless there is activity."


def expired(why: str, label: str) -> Reason:
    cause = "it reached its greatest age" if why == "age" else "nobody worked on it"
    return Reason(
        "expired",
        f"The preview expired: {cause}.",
        f"Put the label `{plain(label)}` on again to bring it back.",
    )


def warning_undelivered(why: str) -> Reason:
    return Reason(
        "warning-undelivered",
        f"The preview is due to expire, but the warning could not be posted: {plain(why, 300)}",
        "It keeps running until the warning is posted. Take the label off to remove it now.",
    )


def expiry_refused(why: str) -> Reason:
    return Reason(
        "expiry-refused",
        f"The preview expired, but Greenroom could not update the pull request: {plain(why, 300)}",
        "It keeps running until that succeeds. Take the label off to remove it now.",
    )


def comment_undelivered(why: str) -> Reason:
    return Reason("comment-undelivered", f"The comment on the pull request is out of date: {plain(why, 300)}")


# --- doubt: nothing changes --------------------------------------------------------------------------------------


def stale() -> Reason:
    return Reason("stale", "GitHub's answer is older than what it told us before.", "Read again soon; nothing changes.")


def unconfirmed(why: str) -> Reason:
    return Reason(
        "unconfirmed",
        f"The pull request could not be read by its number: {plain(why, 300)}",
        "Nothing is removed until GitHub gives a whole answer.",
    )


def not_shown() -> Reason:
    return Reason(
        "not-shown",
        "GitHub no longer shows this pull request, only its repository. Its author's account may be hidden.",
        "The preview keeps running. If it should be removed, the platform team can do so with",
    )


def list_disagrees() -> Reason:
    return Reason(
        "list-disagrees",
        "GitHub's list leaves this pull request out, but by its number it is open and labelled.",
        "Nothing is removed; read again soon.",
    )


def label_gone(label: str) -> Reason:
    return Reason(
        "label-gone",
        f"The label `{plain(label)}` is gone, but no person took it off (was it renamed or deleted on GitHub?).",
        "Put it on again to keep the preview; the platform team can remove it with",
    )


def label_deleted(label: str) -> Reason:
    return Reason(
        "label-deleted",
        f"The label `{plain(label)}` was deleted in the repository, which took it off this pull request.",
        "Create the label again and put it on to keep the preview; the platform team can remove it with",
    )


def label_taken_by_ghost(label: str) -> Reason:
    return Reason(
        "label-taken-by-ghost",
        f"The label `{plain(label)}` was taken off by an account that no longer exists.",
        "Put it on again to keep the preview; the platform team can remove it with",
    )


def label_taken_by_bot(label: str, login: str) -> Reason:
    return Reason(
        "label-taken-by-bot",
        f"{login}, not a person, took the label `{plain(label)}` off.",
        "Put it on again to keep the preview; the platform team can remove it with",
    )


def config_label(old: str, new: str) -> Reason:
    return Reason(
        "config-label",
        f"The configuration changed `label:` from `{plain(old)}` to `{plain(new)}`, and only the old one is on.",
        f"Put `{plain(new)}` on to keep the preview; the platform team can remove it with",
    )


def config_names(services: Sequence[str], data: Sequence[str]) -> Reason:
    """What a change of the configuration would do to a preview: take services or data away, or else rename it."""
    if services:
        what, pushes = f"lose {', '.join(services)}", " New commits wait for that too."
    elif data:
        what, pushes = f"lose the data of {', '.join(data)}", ""
    else:
        what, pushes = "get other names or addresses", ""
    return Reason(
        "config-names",
        f"The configuration changed so that this preview would {what}; it keeps what it has.{pushes}",
        "The platform team changes it back, or lets the change through with",
    )


def not_in_catalogue(slug: str) -> Reason:
    return Reason(
        "not-in-catalogue",
        f"The repository {plain(slug)} is no longer in the catalogue.",
        "The platform team puts it back, or lets the preview go with",
    )


def replaced(slug: str) -> Reason:
    return Reason(
        "replaced",
        f"{plain(slug)} is now another repository on GitHub: the one of this preview was deleted or renamed.",
        "The preview keeps running. If it should be removed, the platform team can do so with",
    )


def breaker(count: int, limit: int, scope: str) -> Reason:
    return Reason(
        "breaker",
        f"{count} previews {scope} lost their label within an hour, and {limit} go without a question; this one waits.",
        "Put the label on again to keep it; if it was meant, the platform team can remove it with",
    )


def restart_breaker(limit: int, scope: str) -> Reason:
    return Reason(
        "restart-breaker",
        f"A change of the configuration would restart more than {limit} previews {scope} in an hour; this one waits.",
        "It takes the change with its next push; the platform team lets it through now with",
    )


def its_turn(limit: int) -> Reason:
    return Reason(
        "its-turn",
        f"The preview expired, and at most {limit} go in an hour, so this one runs for a while longer.",
        "A push, comment or review keeps it.",
    )


# --- removal -----------------------------------------------------------------------------------------------------


def closed(by: str) -> Reason:
    return Reason("closed", f"The pull request was closed{_by(by)}.", "Reopen it to bring the preview back.")


def merged(by: str) -> Reason:
    return Reason("merged", f"The pull request was merged{_by(by)}.")


def never_started(why: Reason) -> Reason:
    """Return the reason for a pull request that was closed or merged before its preview started."""
    return Reason(why.code, f"{why.text} No preview was started.", "Reopen it to get one." if why.fix else "")


def unlabelled(label: str, by: str) -> Reason:
    return Reason(
        "unlabelled",
        f"The label `{plain(label)}` was taken off{_by(by)}.",
        f"Put `{plain(label)}` on again to bring the preview back.",
    )


def released(by: str) -> Reason:
    return Reason("released", f"{plain(by)} released it with `greenroom release`.", "Put the label on again.")


def gone(cause: Cause, by: str, label: str, why: str) -> Reason:
    """Why a preview went, from its entry in the ledger. `why` is an expiry's cause."""
    match cause:
        case Cause.CLOSED:
            return closed(by)
        case Cause.MERGED:
            return merged(by)
        case Cause.UNLABELLED:
            return unlabelled(label, by)
        case Cause.EXPIRED:
            return expired(why, label)
        case Cause.RELEASED:
            return released(by)


def removed(why: Reason) -> Reason:
    return Reason("removed", f"{why.text} Nothing is left of it.", why.fix)


def left(why: Reason, things: Sequence[str]) -> Reason:
    return Reason("left", f"{why.text} Still there: {listed(things)}.", "It is looked at again until nothing is left.")


def does_not_go(why: Reason, sentence: str) -> Reason:
    return Reason(why.code, f"{why.text} {plain(sentence, 300)}", why.fix)


def _by(login: str) -> str:
    return f" by {login}" if login else ""
