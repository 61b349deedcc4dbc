"""Who may have a preview: conditions that hold it back, each with its reason.

A label is an authorisation only together with the write permission of the person who put it on: triage rights suffice
to label. https://docs.github.com/en/organizations/managing-user-access-to-your-organizations-repositories
"""

from __future__ import annotations

from collections.abc import Mapping

from greenroom.core import labels, reasons
from greenroom.core.catalogue import Platform
from greenroom.core.model import Kind, LabelEvent, Permission, PullRequest
from greenroom.core.status import Stage
from greenroom.core.verdicts import Stay


def last_event(events: tuple[LabelEvent, ...], label: str) -> LabelEvent | None:
    """The last time that this label was put on or taken off, or None when GitHub shows neither."""
    mine = [(e.at, i) for i, e in enumerate(events) if labels.same(e.label, label)]
    return events[max(mine)[1]] if mine else None


def gate(
    pull_request: PullRequest, label: str, platform: Platform, permissions: Mapping[str, Permission]
) -> Stay | LabelEvent:
    """The first condition that holds a labelled pull request back, or the labelling that lets it through."""
    event = last_event(pull_request.label_events, label)
    if event is None or not event.added:
        return Stay(Stage.BLOCKED, reasons.label_without_event(label))
    if pull_request.fork:
        return Stay(Stage.BLOCKED, reasons.fork())
    if pull_request.author.kind is Kind.BOT and not _listed(pull_request.author.login, platform):
        return Stay(Stage.BLOCKED, reasons.bot_author(pull_request.author.login))
    if pull_request.draft and not platform.policy.drafts:
        return Stay(Stage.BLOCKED, reasons.draft())
    return _labeller(event, label, platform, permissions) or event


def _labeller(event: LabelEvent, label: str, platform: Platform, permissions: Mapping[str, Permission]) -> Stay | None:
    login = event.actor.login
    if event.actor.kind is Kind.BOT:
        return None if _listed(login, platform) else Stay(Stage.BLOCKED, reasons.bot_labelled(login))
    if event.actor.kind is Kind.NOBODY:
        return Stay(Stage.BLOCKED, reasons.labeller_gone(label))
    match permissions.get(login, Permission.UNKNOWN):
        case Permission.ADMIN | Permission.WRITE:
            return None
        case Permission.UNKNOWN:
            return Stay(Stage.WAITING, reasons.permission_unknown(login))
        case _:
            return Stay(Stage.BLOCKED, reasons.may_not_label(login, label))


def _listed(login: str, platform: Platform) -> bool:
    """Return whether the configuration lists this bot. GitHub's logins are case-insensitive."""
    return any(login.casefold() == bot.casefold() for bot in platform.policy.bots)
