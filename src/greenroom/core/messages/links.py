"""Where links lead, and who may call a preview."""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.core.comment.sanitize import plain
from greenroom.core.messages.words import listed
from greenroom.core.model.spec import Link, LinkCause, LinkReason
from greenroom.core.model.status import Reason

LINK_REASONS = {
    LinkCause.STAGING: "staging",
    LinkCause.OWN: "same preview",
    LinkCause.CHOSEN: "{by} chose it",
    LinkCause.SAME_BRANCH: "same branch",
    LinkCause.NAMED: "paired in a description",
    LinkCause.UNTIL_CHOSEN: "until the preview that {by} chose with {commands} exists and may be used",
    LinkCause.UNTIL_NAMED: "until {first}, which the description names, has a preview that may be used",
    LinkCause.UNTIL_CONFIRMED: "until GitHub confirms who has write access",
    LinkCause.UNTIL_BUILT: "until the images of {first} exist",
    LinkCause.AMBIGUOUS: "more than one preview matches this pull request; choose one with {commands}",
    LinkCause.PAIR_GONE: "the paired pull request, {first}, no longer has a preview",
}


def link_reason(target: str, why: LinkReason) -> str:
    """Return why the link to a service leads where it does."""
    first = next(iter(why.previews), "")
    commands = " or ".join(f"/preview use {each}" for each in why.previews)
    said = LINK_REASONS[why.cause].format(by=why.by, first=first, commands=commands)
    return f"{said}, but {target} has no staging address" if why.no_staging else said


def link_required(service: str, why: LinkReason) -> Reason:
    said = "" if why.cause is LinkCause.STAGING else f" ({plain(link_reason(service, why))})"
    leads = "would have no target" if why.no_staging else "would point to staging"
    return Reason(
        "link-required",
        f"This preview needs a preview of `{service}`, but the link to `{service}` {leads}{said}.",
        f"Comment `/preview use {service}#N`, where N is the number of a pull request with a preview of `{service}`.",
    )


def relinked(links: Sequence[tuple[Link, str]]) -> Reason:
    """Return which services come from elsewhere now. Each link is paired with its source: `shop#17` or `staging`."""
    said = "; ".join(f"{k.target} comes from {source} ({plain(link_reason(k.target, k.why))})" for k, source in links)
    return Reason(
        "relinked",
        f"{said}."
        if said
        else "The set of previews that can call this preview changed, so this preview's services are updated.",
    )


def opened(namespaces: Sequence[str]) -> Reason:
    """Return which previews may call this one from now on."""
    who = f"Only previews in these namespaces can call this preview now: {listed(namespaces)}."
    return Reason("opened", f"{who if namespaces else 'No other preview can call this preview now.'} Nothing restarts.")
