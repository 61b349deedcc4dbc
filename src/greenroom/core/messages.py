"""All sentences that people read about a preview, so that the comment, `explain`, dashboard and log use the same words.

Each function is named for the situation and returns a `Reason`: the situation and its cause, then the next step.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from greenroom.core.comment.sanitize import code, plain
from greenroom.core.comment.serving import NOTHING, Serving
from greenroom.core.linking.handover import PATIENCE
from greenroom.core.model.catalog import Lifetime
from greenroom.core.model.facts import Cause
from greenroom.core.model.spec import Link, LinkCause, LinkReason
from greenroom.core.model.status import Reason


def day(at: datetime) -> str:
    """Format a time for people, in UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def span(delta: timedelta) -> str:
    """Format a length of time in its largest fitting unit: `3 d`, `12 h`, `5 min`, `30 s`."""
    seconds = int(delta.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}" if seconds % size == 0 else f"{seconds / size:.1f} {unit}"
    return f"{seconds} s"


def listed(words: Iterable[str]) -> str:
    """Join words written by strangers with commas."""
    return ", ".join(plain(w) for w in words)


def _short(reference: str) -> str:
    """Shorten an image reference for people: a commit's 40 digits become the first seven."""
    return re.sub(r"\b([0-9a-f]{7})[0-9a-f]{33}\b", r"\1…", plain(reference))


# --- no preview, or not yet --------------------------------------------------------------------------------------


def not_asked(label: str) -> Reason:
    return Reason("not-asked", "No preview was requested.", f"Add the label `{plain(label)}` to get one.")


def label_without_event(label: str) -> Reason:
    return Reason(
        "label-without-event",
        f"GitHub does not show who added the label `{plain(label)}`. Another label may have been renamed to it.",
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
        f"{login} added the label, but it is a bot that is not listed in the configuration.",
        "Ask a person with write access to remove the label and add it again, or ask the platform team to add the bot"
        " to `bots:`.",
    )


def labeller_gone(label: str) -> Reason:
    return Reason(
        "labeller-gone",
        f"The account that added the label `{plain(label)}` no longer exists.",
        "Ask someone with write access to remove the label and add it again.",
    )


def permission_unknown(login: str) -> Reason:
    return Reason(
        "permission-unknown",
        f"Greenroom could not check whether {login} has write access on GitHub.",
        "Greenroom will check again shortly.",
    )


def fork() -> Reason:
    return Reason(
        "fork",
        "The branch is in a fork. Previews only run branches from this repository.",
        "Ask someone with write access to push the branch to this repository.",
    )


def bot_author(login: str) -> Reason:
    return Reason(
        "bot-author",
        f"The author, {login}, is a bot that is not listed in the configuration.",
        "Ask the platform team to add it to `bots:` in greenroom.yaml.",
    )


def draft() -> Reason:
    return Reason("draft", "The pull request is a draft.", "Mark it ready for review to get a preview.")


def still_running(now: Serving, adjective: str = "current") -> str:
    """Return the sentence about the running services; empty if none run.

    If all services run one version, the sentence names it with `adjective`. Otherwise it lists the services.
    """
    if not now.versions:
        return ""
    if len(now.versions) == 1 and not now.down:
        return f"The {adjective} version, {next(iter(now.versions))[:7]}, keeps running."
    said = [f"{_each(names, 'keeps', 'keep')} running version {sha[:7]}" for sha, names in now.versions.items()]
    said += [f"{_each(now.down, 'is', 'are')} not running"] if now.down else []
    return f"{'; '.join(said)}."


def _each(names: Sequence[str], one: str, several: str) -> str:
    """Return services with their verb: `web keeps`, `web and api keep`."""
    *first, last = map(plain, names)
    return f"{', '.join(first)} and {last} {several}" if first else f"{last} {one}"


def meanwhile(why: Reason, now: Serving) -> Reason:
    """Return why new commits wait, and what keeps running until then."""
    keeps = still_running(now)
    if why.code == "image-missing":  # its fix already says that new commits wait
        return replace(why, text=f"{why.text} {keeps}".rstrip())
    fix = "Mark it ready for review to deploy them." if why.code == "draft" else why.fix
    return Reason(why.code, f"{why.text} {keeps or 'The preview does not change.'} New commits are not deployed.", fix)


def waiting_for_image(missing: Sequence[str], *, merged: bool = False, branch: str = "") -> Reason:
    """Return why a preview waits for images.

    With `merged`, CI builds the merge commit of each push, and a re-run of CI builds the same merge commit again.
    `branch` is the base branch if all of the images are its images, because the pull request does not change them.
    """
    names = ", ".join(_short(m) for m in missing)
    moved = (
        " If the base branch moved after CI ran, CI built an earlier merge commit. Update the branch or push a commit."
    )
    whole = " The tag is the full commit hash." if names != ", ".join(missing) else ""
    checks = (
        f"It comes from `{plain(branch)}`, because this pull request does not change that service."
        f" See the checks on `{plain(branch)}`."
        if branch and len(missing) == 1
        else f"They come from `{plain(branch)}`, because this pull request does not change those services."
        f" See the checks on `{plain(branch)}`."
        if branch
        else "See the checks on this pull request."
    )
    return Reason(
        "image-missing",
        f"Waiting for image {names}.",
        f"Greenroom deploys it once CI pushes the image.{whole} {checks}{moved if merged else ''}",
    )


def merge_image_only(missing: str, merge: str) -> Reason:
    return Reason(
        "merge-image-only",
        f"Image {_short(missing)} is missing, but {_short(merge)} exists:"
        " CI builds GitHub's merge commit, not the head commit.",
        "Set `image.from: merge` for this service, or check out `github.event.pull_request.head.sha` in the workflow.",
    )


def no_merge_commit(*, conflicts: bool) -> Reason:
    if not conflicts:
        return Reason(
            "merge-commit-pending",
            "`image.from: merge` needs a merge commit, which GitHub is still computing.",
            "Greenroom will check again shortly.",
        )
    return Reason(
        "no-merge-commit",
        "`image.from: merge` needs a merge commit, but the branch has conflicts with its base branch.",
        "Resolve the conflicts.",
    )


def every_service(files: int) -> Reason:
    return Reason(
        "every-service",
        f"GitHub does not list all {files:,} files that this pull request changes, so every service counts as changed.",
    )


def place(position: int, *, overdue: bool) -> str:
    """Return the sentence about the place in the queue, or about a held preview past its lifetime; else empty."""
    if overdue:
        return "The preview is past its lifetime and needs a decision."
    return f"Number {position} in the queue." if position else ""


def registry_unknown(why: str) -> Reason:
    return Reason("registry-unknown", plain(why, 300), "Greenroom will check again shortly.")


def queued(limit: int, scope: str) -> Reason:
    """Return why a preview is queued, without its place: every removal would otherwise edit the comments of all."""
    return Reason(
        "queued",
        f"The limit of {limit} preview{'s' * (limit != 1)} {scope} has been reached.",
        "It starts automatically when another preview is removed. To free up a slot, remove the label from a preview"
        " that you no longer need.",
    )


def engine_foreign(installation: str) -> Reason:
    return Reason(
        "foreign",
        f"The resources with this preview's name belong to another Greenroom installation, {plain(installation)}.",
        "Give each installation its own `namePrefix:`.",
    )


def name_in_use(previews: Sequence[str]) -> Reason:
    """Return why a preview waits for previews of an earlier repository, which are named as `greenroom release` takes
    them.
    """
    shown = " ".join(previews[:10])
    more = f" ({len(previews)} in all)" if len(previews) > 10 else ""
    return Reason(
        "name-in-use",
        f"Previews of an earlier repository with the same name still use these names and addresses: {shown}{more}.",
        f"It will start once they are removed. The platform team can remove them with `greenroom release {shown}`.",
    )


def namespace_taken(name: str) -> Reason:
    return Reason(
        "namespace-taken",
        f"The namespace {plain(name)} already exists and does not belong to this preview.",
        "Ask the platform team to remove or rename it, or to set another `namePrefix:`.",
    )


# --- a preview runs ----------------------------------------------------------------------------------------------


def wanted(label: str, login: str) -> Reason:
    return Reason("wanted", f"{login} requested a preview by adding the label `{plain(label)}`.")


def starting(now: Serving = NOTHING) -> Reason:
    """Return that a preview is starting. `now` holds the services that already run, all at the wanted version."""
    said = "The preview is starting."
    if now.current and now.down:
        names = [s.service for s in now.current]
        said = f"{_each(now.down, 'is', 'are')} starting; {_each(names, 'is', 'are')} running."
    elif now.current:
        said = "All services are running, but some processes or addresses are not ready yet."
    return Reason("starting", said, "The address will work once the preview is ready.")


def unreachable(why: str) -> Reason:
    return Reason(
        "unreachable",
        plain(why, 300),
        "If the service has no page at that path, ask the platform team to set `probe:`. Otherwise, check the ingress"
        " and DNS.",
    )


def ready() -> Reason:
    return Reason("ready", "All services are up.")


def asleep(label: str) -> Reason:
    return Reason(
        "asleep", f"The preview is asleep because of the label `{plain(label)}`.", "Remove the label to wake it."
    )


def kept_awake(label: str) -> Reason:
    return Reason(
        "kept-awake",
        f"All services are up. An awake preview uses this one, so it stays awake despite the label `{plain(label)}`.",
        "It goes to sleep once no awake preview uses it.",
    )


def data_renewed(at: datetime) -> Reason:
    return Reason(
        "data-renewed",
        f"All services are up. The database restarted at {day(at)}, so its data was reset. Migrations ran again.",
    )


def cannot_act(why: str) -> Reason:
    return Reason("cannot-act", plain(why, 600), PLATFORM)


def no_room() -> Reason:
    return Reason(
        "no-room",
        "This repository's previews use all of the space that the engine has for their specs, so this preview waits.",
        "It continues automatically when another preview of this repository is removed. Smaller manifests also free"
        " up space.",
    )


def changed_by_hand(parameters: Sequence[tuple[str, str]]) -> Reason:
    """Return which parameters were changed. Leave out their values, which may be secret or name private things."""
    return Reason("by-hand", f"All services are up. Changed by hand in Argo CD: {listed(n for n, _ in parameters)}.")


def by_hand_gone(target: str, preview: str, application: str) -> Reason:
    return Reason(
        "by-hand-gone",
        f"The link to {plain(target)}, set by hand in Argo CD, points to {plain(preview)}, which does not exist.",
        f"Remove the parameter with `argocd app unset {plain(application)} -p links.{plain(target)}.url`.",
    )


def updating(now: Serving) -> Reason:
    """Return that a preview is updating, and what keeps running until then."""
    if now.starting:
        shas = [sha[:7] for sha in now.starting]
        new = f"Version {shas[0]} is starting." if len(shas) == 1 else f"Versions {' and '.join(shas)} are starting."
        return Reason("updating", f"{new} {still_running(now, 'previous')}")
    return Reason("updating", f"Changes to links, settings or data are being applied. {still_running(now)}")


PUSH = "Push a fix and the preview redeploys."
PLATFORM = "The platform team needs to fix this. Greenroom retries automatically; no push is needed."
NEED_IMAGE = (
    "The platform team needs to fix this: the nodes must be able to pull the image. `images:` in greenroom.yaml"
    " replaces a stock image, and `greenroom redeploy` applies it to this preview."
)


def command_not_found(setting: str, service: str) -> str:
    """Return what to do if a command of the configuration does not run in the service's image."""
    return (
        f"Push a version that contains the command, or correct `{setting}` in the configuration of"
        f" `{plain(service)}` (services/{plain(service)}.yaml)."
    )


def migration_missing(service: str) -> str:
    """Return what to do if the log complains about missing tables and the service has no migration."""
    return (
        f"`{plain(service)}` has no `migrate` in Greenroom's configuration, so nothing creates its tables. Set"
        f" `migrate` in services/{plain(service)}.yaml, or push a version that creates them when it starts."
    )


def failed(why: str, now: Serving, fix: str = "") -> Reason:
    """Return why a preview failed, and what still runs. `fix` replaces the advice to push a fix."""
    keeps = still_running(now, "previous" if now.starting else "current")
    return Reason("failed", f"{plain(why, 300)} {keeps or 'No version is running.'}", fix or PUSH)


def not_taken_over(error: str) -> str:
    """Return the sentence about specs that the engine could not apply. `error` is Argo CD's own message."""
    return f"Argo CD could not create or update the preview: {error}."


def base_broken(service: str, branch: str) -> str:
    """Return what to do if the failing image belongs to a service that the pull request does not change."""
    return (
        f"This pull request does not change `{plain(service)}`, so the preview runs its image from `{plain(branch)}`,"
        f" and a push here does not help. Fix `{plain(branch)}`: the preview deploys its next image of"
        f" `{plain(service)}` automatically."
    )


def falls_asleep() -> Reason:
    return Reason("sleep", "A person put the preview to sleep.")


def wakes() -> Reason:
    return Reason("wake", "A person woke the preview.")


def data_reset() -> Reason:
    return Reason("data-reset", "The database was reset. Services restart and run their migrations again.")


def tried_again(retry: int) -> Reason:
    return Reason("tried-again", f"Argo CD could not apply the change. This is attempt {retry + 1}.")


def redeployed(version: str) -> Reason:
    return Reason("redeployed", f"The preview switches to chart {plain(version)} and the current settings.")


def tag_moved(reference: str) -> Reason:
    return Reason(
        "tag-moved",
        f"The tag {plain(reference)} now points to a different image than the one that is running.",
        "Push a new commit to get a new version.",
    )


def new_version(sha: str) -> Reason:
    return Reason("new-version", f"Commit {sha[:7]} was pushed and its images are available.")


def new_image(sha: str) -> Reason:
    return Reason("new-image", f"The preview deploys different images of commit {sha[:7]}.")


def image_of(service: str, sha: str) -> Reason:
    """Return why a service gets the image of a commit that is not the head: the base branch's, or a merge commit."""
    return Reason("new-image", f"The preview deploys the image of {plain(service)} from commit {sha[:7]}.")


def new_settings() -> Reason:
    return Reason("new-settings", "The configuration of the service changed.")


def same_version() -> Reason:
    return Reason("refreshed", "The details of the pull request changed. Nothing restarts.")


# --- links and commands ------------------------------------------------------------------------------------------


LINK_REASONS = {
    LinkCause.STAGING: "staging",
    LinkCause.OWN: "same preview",
    LinkCause.CHOSEN: "{by} chose it",
    LinkCause.SAME_BRANCH: "same branch",
    LinkCause.NAMED: "they name each other",
    LinkCause.UNTIL_CHOSEN: "until the preview that {by} chose with {commands} exists and may be used",
    LinkCause.UNTIL_NAMED: "until {first}, which the description names, has a preview that may be used",
    LinkCause.UNTIL_CONFIRMED: "until GitHub confirms who has write access",
    LinkCause.AMBIGUOUS: "several belong to this pull request: choose one with {commands}",
    LinkCause.PAIR_GONE: "pull request {number}, which belongs to this one, has no preview of {target} now",
}


def link_reason(target: str, why: LinkReason) -> str:
    """Return why the link to a service leads where it does."""
    first = next(iter(why.previews), "")
    commands = " or ".join(f"/preview use {each}" for each in why.previews)
    number = first.rpartition("#")[2]
    said = LINK_REASONS[why.cause].format(by=why.by, first=first, commands=commands, number=number, target=target)
    return f"{said}, but {target} has no staging" if why.no_staging else said


def link_required(service: str, why: LinkReason) -> Reason:
    said = "" if why.cause is LinkCause.STAGING else f" ({plain(link_reason(service, why))})"
    return Reason(
        "link-required",
        f"This preview needs a preview of `{service}`, not staging{said}.",
        f"Comment `/preview use {service}#N` with the number of a pull request that has one.",
    )


def relinked(links: Sequence[tuple[Link, str]]) -> Reason:
    """Return which services come from elsewhere now. Each link is paired with its source: `shop#17` or `staging`."""
    said = "; ".join(f"{k.target} comes from {source} ({plain(link_reason(k.target, k.why))})" for k, source in links)
    return Reason(
        "relinked", f"{said}." if said else "The previews that call this one changed, so its services are updated."
    )


def opened(namespaces: Sequence[str]) -> Reason:
    """Return which previews may call this one from now on."""
    who = f"only {listed(namespaces)} can" if namespaces else "no other preview can"
    return Reason("opened", f"From now on, {who} call it. Nothing restarts.")


def command_edited(login: str) -> Reason:
    return Reason(
        "command-edited",
        f"{login}'s last command was edited, so Greenroom ignores it.",
        "Post the command again in a new comment.",
    )


def command_unknown(login: str, line: str) -> Reason:
    fix = (
        "The commands are `/preview use SERVICE#N`, `/preview use SERVICE staging` and `/preview use SERVICE default`,"
        " which undoes a choice. To keep a preview or put it to sleep, use a label."
    )
    odd = next((c for c in line if _looks_otherwise(c)), "")
    why = f": it contains {unicodedata.name(odd, f'U+{ord(odd):04X}')}" if odd else ""
    return Reason("command-unknown", f"{login} wrote `{code(line)}`, which is not a command{why}.", fix)


def _looks_otherwise(character: str) -> bool:
    """Return whether people take a character for another one, or do not see it."""
    if character.isascii():
        return character != " " and unicodedata.category(character)[0] in "CZ"
    category, name = unicodedata.category(character), unicodedata.name(character, "")
    other_installations = category[0] == "L" and not name.startswith("LATIN")  # Cyrillic letters look like Latin ones
    return (
        other_installations
        or category[0] in "CZ"
        or category in ("Pd", "Pi", "Pf")
        or character == "\N{REPLACEMENT CHARACTER}"
        or unicodedata.normalize("NFKC", character) != character
    )


def command_several_services(login: str, repository: str, services: Sequence[str], to: str) -> Reason:
    target = f"#{to}" if to.isdecimal() else f" {to}"
    return Reason(
        "command-several-services",
        f"{login} named the repository `{code(repository)}`, but this preview uses {len(services)} services from it.",
        f"Write {' or '.join(f'`/preview use {s}{target}`' for s in services)}.",
    )


def command_no_service(login: str, service: str, near: str, used: Sequence[str]) -> Reason:
    known = f"It uses {', '.join(used)}." if used else "It uses no other service."
    fix = f"Did you mean `{near}`?" if near else known
    return Reason("command-no-service", f"{login} named `{code(service)}`, which this preview does not use.", fix)


def command_not_allowed(login: str) -> Reason:
    return Reason(
        "command-not-allowed",
        f"Greenroom ignores {login}'s command because it requires write access.",
        "Ask someone with write access to post the same command.",
    )


# --- lifetime ----------------------------------------------------------------------------------------------------


def expiring(at: datetime, why: str, lifetime: Lifetime) -> Reason:
    """Return when a preview expires, and how to keep it."""
    if why == "inactive":
        cause = f"there has been no activity for {span(lifetime.inactive_after)}" if lifetime.inactive_after else ""
        fix = f"A push, comment or review keeps it, and so does the label `{plain(lifetime.keep_label)}`."
    else:
        cause = f"it reaches its maximum age of {span(lifetime.max_age)}" if lifetime.max_age else ""
        fix = "To get a new preview, remove the label and add it again."
    return Reason("expiring", f"The preview will be removed at {day(at)} because {cause}.", fix)


def lifespan(lifetime: Lifetime, *, kept: bool) -> str:
    """Return the sentence about the lifetime for the comment. It has no date, because each activity would change it.

    `kept` means that the keep label is on, which disables the expiry by inactivity but not the one by age.
    """
    aged = f"{span(lifetime.max_age)} after it was created" if lifetime.max_age else ""
    if kept:
        label = f"the label `{plain(lifetime.keep_label)}`"
        return f"Removed {aged}, even with {label}." if aged else f"Stays until {label} is removed."
    if lifetime.inactive_after:
        return f"Removed after {span(lifetime.inactive_after)} without activity{f', or {aged}' if aged else ''}."
    return f"Removed {aged}." if aged else ""


def expires(at: datetime, why: str) -> str:
    """Return when a preview expires, in the words of pages and the command line."""
    if why == "age":
        return f"Expires {day(at)}, when it reaches its maximum age."
    return f"Expires {day(at)} unless there is activity."


def expired(why: str, label: str) -> Reason:
    cause = "it reached its maximum age" if why == "age" else "there was no activity"
    return Reason(
        "expired",
        f"The preview expired because {cause}.",
        f"Add the label `{plain(label)}` again to bring it back.",
    )


def warning_undelivered(why: str) -> Reason:
    return Reason(
        "warning-undelivered",
        f"The preview is due to expire, but the warning could not be posted: {plain(why, 300)}",
        "It keeps running until the warning is posted. To remove it now, remove the label.",
    )


def expiry_refused(why: str) -> Reason:
    return Reason(
        "expiry-refused",
        f"The preview expired, but Greenroom could not update the pull request: {plain(why, 300)}",
        "It keeps running until the update succeeds. To remove it now, remove the label.",
    )


def duplicate_comment() -> Reason:
    return Reason("duplicate-comment", "Greenroom had posted a duplicate comment on the pull request.")


def comment_undelivered(why: str) -> Reason:
    return Reason("comment-undelivered", f"The comment on the pull request is out of date: {plain(why, 300)}")


# --- doubt: nothing changes --------------------------------------------------------------------------------------


def stale() -> Reason:
    return Reason(
        "stale",
        "GitHub returned older data than before.",
        "Greenroom will read it again shortly. Nothing changes until then.",
    )


def unconfirmed(why: str) -> Reason:
    return Reason(
        "unconfirmed",
        f"Greenroom could not read the pull request by its number: {plain(why, 300)}",
        "Nothing is removed until GitHub returns a complete response.",
    )


def not_shown() -> Reason:
    return Reason(
        "not-shown",
        "GitHub no longer shows this pull request, only its repository. Its author's account may be hidden.",
        "The preview keeps running.",
    )


def list_disagrees() -> Reason:
    return Reason(
        "list-disagrees",
        "GitHub's list omits this pull request, but a read by its number shows that it is open and labeled.",
        "Nothing is removed. Greenroom will read the list again shortly.",
    )


def label_gone(label: str) -> Reason:
    return Reason(
        "label-gone",
        f"The label `{plain(label)}` is gone, but no person removed it. It may have been renamed or deleted on GitHub.",
        "Add the label again to keep the preview.",
    )


def label_deleted(label: str) -> Reason:
    return Reason(
        "label-deleted",
        f"The label `{plain(label)}` was deleted in the repository, which removed it from this pull request.",
        "To keep the preview, create the label again and add it to the pull request.",
    )


def label_taken_by_ghost(label: str) -> Reason:
    return Reason(
        "label-taken-by-ghost",
        f"An account that no longer exists removed the label `{plain(label)}`.",
        "Add the label again to keep the preview.",
    )


def label_taken_by_bot(label: str, login: str) -> Reason:
    return Reason(
        "label-taken-by-bot",
        f"{login}, which is not a person, removed the label `{plain(label)}`.",
        "Add the label again to keep the preview.",
    )


def config_label(old: str, new: str) -> Reason:
    return Reason(
        "config-label",
        f"The configuration changed `label:` from `{plain(old)}` to `{plain(new)}`, and this pull request has the old"
        " one.",
        f"Add the label `{plain(new)}` to keep the preview.",
    )


def config_names(services: Sequence[str], data: Sequence[str]) -> Reason:
    """Return the effect that a configuration change would have on a preview: it loses services or data, or else is
    renamed.
    """
    if services:
        what, pushes = f"lose {', '.join(services)}", " New commits are not deployed."
    elif data:
        what, pushes = f"lose the data of {', '.join(data)}", ""
    else:
        what, pushes = "change its names or addresses", ""
    return Reason(
        "config-names",
        f"The new configuration would make this preview {what}, so it is not applied.{pushes}",
        "Ask the platform team to change the configuration back.",
    )


def not_in_catalog(slug: str) -> Reason:
    return Reason(
        "not-in-catalog",
        f"The repository {plain(slug)} is no longer in the catalog.",
        "Ask the platform team to add it back.",
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
        " confirmation, so this one waits.",
        "Add the label again to keep the preview.",
    )


def restart_breaker(limit: int, scope: str) -> Reason:
    return Reason(
        "restart-breaker",
        f"A configuration change would restart more than {limit} previews {scope} within an hour, so this one waits.",
        "Greenroom will apply the change later, as the hourly limit allows. The next push also applies it.",
    )


def its_turn(limit: int) -> Reason:
    return Reason(
        "its-turn",
        f"The preview expired. Greenroom removes at most {limit} expired previews within an hour, so this one waits.",
        "A push, comment or review keeps it.",
    )


RELEASE = {
    "breaker": "If the removal was intended",
    "config-names": "To apply the change",
    "restart-breaker": "To apply it now",
}


def with_release(why: Reason, name: str) -> Reason:
    """Return the reason of a hold, with the command that ends it."""
    step = f"{RELEASE.get(why.code, 'To remove the preview')}, the platform team can run `greenroom release {name}`."
    return replace(why, fix=f"{why.fix} {step}".lstrip())


def with_redeploy(note: Reason, name: str) -> Reason:
    """Return the note on a moved tag, with the command that deploys the image."""
    step = f"To deploy the image now, the platform team can run `greenroom redeploy {name}`."
    return replace(note, fix=f"{note.fix} {step}")


# --- removal -----------------------------------------------------------------------------------------------------


def closed(by: str) -> Reason:
    return Reason("closed", f"The pull request was closed{_by(by)}.", "Reopen it to bring the preview back.")


def merged(by: str) -> Reason:
    return Reason("merged", f"The pull request was merged{_by(by)}.")


def never_started(why: Reason) -> Reason:
    """Return the reason for a pull request that was closed or merged before its preview started."""
    return Reason(why.code, f"{why.text} No preview was started.", "Reopen it to get one." if why.fix else "")


def unlabeled(label: str, by: str) -> Reason:
    return Reason(
        "unlabeled",
        f"The label `{plain(label)}` was removed{_by(by)}.",
        f"Add the label `{plain(label)}` again to bring the preview back.",
    )


def released(by: str) -> Reason:
    return Reason(
        "released", f"{plain(by)} released it with `greenroom release`.", "Add the label again to bring it back."
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
    return Reason("removed", f"{why.text} All of its resources are deleted.", why.fix)


def left(why: Reason, things: Sequence[str]) -> Reason:
    return Reason(
        "left",
        f"{why.text} These resources still exist: {listed(things)}.",
        "Greenroom checks again until they are deleted.",
    )


def users_move(why: Reason, users: Sequence[str]) -> Reason:
    """Return why a preview is being removed, and which users have to switch links first."""
    waits = f"Removal waits up to {span(PATIENCE)} for previews that use it to switch to other links: {listed(users)}."
    return Reason(why.code, f"{why.text} {waits}", why.fix)


def users_stay(why: Reason, users: Sequence[str]) -> Reason:
    """Return why a preview is being removed, and which users still used it when the wait was over."""
    stay = f"Removal continues although these previews did not switch to other links in time: {listed(users)}."
    return Reason(why.code, f"{why.text} {stay}", why.fix)


def does_not_go(why: Reason, sentence: str) -> Reason:
    return Reason(why.code, f"{why.text} {plain(sentence, 300)}", why.fix)


def _by(login: str) -> str:
    return f" by {login}" if login else ""
