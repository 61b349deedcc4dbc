"""Sentences about a preview that exists: starting, ready, asleep, failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from greenroom.core.comment.sanitize import plain
from greenroom.core.comment.serving import NOTHING, Serving
from greenroom.core.messages.words import day, each, listed
from greenroom.core.model.catalog import Login
from greenroom.core.model.status import Reason


def still_running(now: Serving, adjective: str = "current") -> str:
    """Return the sentence about the running services; empty if none run.

    If all services run one version, the sentence names it with `adjective`. Otherwise it lists the services.
    """
    if not now.versions:
        return ""
    if len(now.versions) == 1 and not now.down:
        return f"The {adjective} version, {next(iter(now.versions))[:7]}, keeps running."
    new = {s.service for s in now.current}
    said = []
    for sha, names in now.versions.items():
        if old := [name for name in names if name not in new]:
            said.append(f"{each(old, 'keeps', 'keep')} running version {sha[:7]}")
        if up := [name for name in names if name in new]:
            said.append(f"{each(up, 'runs', 'run')} version {sha[:7]}")
    said += [f"{each(now.down, 'is', 'are')} not ready"] if now.down else []
    return f"{'; '.join(said)}."


def meanwhile(why: Reason, now: Serving, *, promised: bool = False) -> Reason:
    """Return why new commits wait, and what keeps running until then. With `promised`, the fix already says when they
    are deployed.
    """
    keeps = still_running(now)
    if promised:
        return replace(why, text=f"{why.text} {keeps}".rstrip())
    fix = "Mark the pull request ready for review to deploy the new commits." if why.code == "draft" else why.fix
    return Reason(why.code, f"{why.text} {keeps or 'The preview does not change.'} New commits are not deployed.", fix)


def starting(now: Serving = NOTHING) -> Reason:
    """Return that a preview is starting. `now` holds the services that already run, all at the wanted version."""
    said = "The preview is starting."
    if now.current and now.down:
        names = [s.service for s in now.current]
        said = f"{each(now.down, 'is', 'are')} starting; {each(names, 'is', 'are')} running."
        return Reason("starting", said, "Each address works once its service is running.")
    if now.current:
        said = "All services are running, but some processes or addresses are not ready yet."
    return Reason("starting", said, "Each address works once the preview is ready.")


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
        "asleep",
        f"The preview is asleep because of the label `{plain(label)}`.",
        "Remove the label to wake the preview.",
    )


def kept_awake(label: str) -> Reason:
    return Reason(
        "kept-awake",
        f"All services are up. This preview stays awake despite the label `{plain(label)}`, because a preview that is"
        " awake uses this preview.",
        "This preview goes to sleep once no preview that is awake uses this preview.",
    )


def data_renewed(at: datetime) -> Reason:
    return Reason(
        "data-renewed",
        f"All services are up. A database or queue restarted at {day(at)}, so its data was reset."
        " Migrations ran again.",
    )


def data_replaced(at: datetime, by: str, what: Sequence[str]) -> Reason:
    """Return that the data was replaced. `by` is the person who asked, or `a newer seed`."""
    return Reason(
        "data-replaced",
        f"All services are up. At {day(at)}, {plain(by)} replaced the data: {', '.join(what)}."
        " The replaced data has been deleted. Migrations ran again.",
    )


def data_source(need: str, path: str = "", dump: str = "") -> str:
    """Return where the data of a database comes from now."""
    return f"{plain(need)} starts from {plain(path, 100)} ({dump[:7]})" if dump else f"{plain(need)} starts empty"


def login(account: Login) -> str:
    """Return who testers can log in as, and where the password is."""
    user = plain(account.user).replace("`", "'")
    whose = f" ({plain(account.note)})" if account.note else ""
    where = f", password: {plain(account.password)}" if account.password else ""
    return f"Log in as `{user}`{whose}{where}"


def cannot_act(why: str) -> Reason:
    return Reason("cannot-act", plain(why, 600), PLATFORM)


def changed_by_hand(parameters: Sequence[tuple[str, str]]) -> Reason:
    """Return which parameters were changed. Leave out their values, which may be secret or name private things."""
    return Reason(
        "by-hand",
        f"All services are up. These parameters were changed by hand in Argo CD: {listed(n for n, _ in parameters)}.",
    )


def by_hand_gone(target: str, preview: str, application: str) -> Reason:
    return Reason(
        "by-hand-gone",
        f"The link to {plain(target)}, set by hand in Argo CD, points to {plain(preview)}, which does not exist.",
        f"Remove the parameter with `argocd app unset {plain(application)} -p links.{plain(target)}.url`.",
    )


def updating(now: Serving, ending: Sequence[str] = ()) -> Reason:
    """Return that a preview is updating, and what keeps running until then.

    `ending` are the services whose earlier version has not stopped yet, although the new one runs.
    """
    if now.starting:
        shas = [sha[:7] for sha in now.starting]
        new = f"Version {shas[0]} is starting." if len(shas) == 1 else f"Versions {listed(shas)} are starting."
        return Reason("updating", f"{new} {still_running(now, 'previous')}")
    if ending:
        still = f"an earlier version of {listed(ending)} has not stopped yet"
        return Reason("updating", f"The new version is running, but {still}.")
    return Reason("updating", f"Changes to links, settings or data are being applied. {still_running(now)}")


PUSH = "Push a fix and the preview redeploys."
PLATFORM = "The platform team needs to fix the cause. Greenroom retries automatically; no push is needed."
NEED_IMAGE = (
    "The platform team must make sure that the nodes can pull the image. To use another tag, set `version:` for the"
    " database or queue under `needs:`; the change applies immediately. To use another registry, set `images:` in"
    " greenroom.yaml and run `greenroom redeploy` with the name of this preview."
)


def command_not_found(setting: str, service: str, base: str = "") -> str:
    """Return what to do if a command of the configuration does not run in the service's image.

    `base` is the base branch if the image is its image, because the pull request does not change the service.
    """
    if base:
        return (
            f"This pull request does not change `{plain(service)}`, so the preview runs the image from"
            f" `{plain(base)}`, and pushing to this pull request does not help. Either correct `{setting}` in the"
            f" configuration of `{plain(service)}` (services/{plain(service)}.yaml), or fix the problem on"
            f" `{plain(base)}`. After a fix on `{plain(base)}`, the preview deploys the next image of"
            f" `{plain(service)}` automatically."
        )
    return (
        f"Push a commit that adds the command, or correct `{setting}` in the configuration of"
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
