"""Conditions that hold a preview back, each with its reason.

A label is an authorization only together with the write permission of the person who added it, because triage rights
suffice to label.
https://docs.github.com/en/organizations/managing-user-access-to-your-organizations-repositories
"""

from __future__ import annotations

from greenroom.core import messages
from greenroom.core.model.catalog import Platform
from greenroom.core.model.github import Kind, LabelEvent, Permission, Permissions, PullRequest
from greenroom.core.model.status import Stage
from greenroom.core.model.verdicts import Stay
from greenroom.core.policy import labels


def last_event(events: tuple[LabelEvent, ...], label: str) -> LabelEvent | None:
    """Return the last addition or removal of this label, or None when GitHub shows neither."""
    mine = [(e.at, i) for i, e in enumerate(events) if labels.same(e.label, label)]
    return events[max(mine)[1]] if mine else None


def gate(pull_request: PullRequest, label: str, platform: Platform) -> Stay | LabelEvent:
    """Return the first condition that holds a labeled pull request back, or the label event to check its author of."""
    event = last_event(pull_request.label_events, label)
    if event is None or not event.added:
        return Stay(Stage.BLOCKED, messages.label_without_event(label))
    if pull_request.fork:
        return Stay(Stage.BLOCKED, messages.fork())
    if pull_request.author.kind is Kind.BOT and not _listed(pull_request.author.login, platform):
        return Stay(Stage.BLOCKED, messages.bot_author(pull_request.author.login))
    if pull_request.draft and not platform.policy.drafts:
        return Stay(Stage.BLOCKED, messages.draft())
    return _no_person(event, label, platform) or event


def _no_person(event: LabelEvent, label: str, platform: Platform) -> Stay | None:
    """Return the condition that holds a label of a bot or of a deleted account back."""
    login = event.actor.login
    if event.actor.kind is Kind.BOT:
        return None if _listed(login, platform) else Stay(Stage.BLOCKED, messages.bot_labeled(login))
    return Stay(Stage.BLOCKED, messages.labeler_gone(label)) if event.actor.kind is Kind.NOBODY else None


def labeler(event: LabelEvent, label: str, permissions: Permissions) -> Stay | None:
    """Return why the person who added the label may not request a preview; None for one who may, or a listed bot."""
    login = event.actor.login
    if event.actor.kind is Kind.BOT:
        return None
    match permissions.here(login):
        case Permission.ADMIN | Permission.WRITE:
            return None
        case Permission.UNKNOWN:
            return Stay(Stage.WAITING, messages.permission_unknown(login))
        case _:
            return Stay(Stage.BLOCKED, messages.may_not_label(login, label))


def _listed(login: str, platform: Platform) -> bool:
    """Return whether the configuration lists this bot. GitHub's logins are case-insensitive."""
    return any(login.casefold() == bot.casefold() for bot in platform.policy.bots)
