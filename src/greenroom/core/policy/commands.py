"""Commands in comments, such as `/preview use payments#17`. A command is a value, identified by its comment's id.

A command that is read twice, late or out of order therefore has no second effect. Of two commands about one service,
the later comment counts. Edited comments and comments by bots have no effect. A command takes effect once our own
comment holds it.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from greenroom.core import messages
from greenroom.core.linking.links import DEFAULT, STAGING, WRITERS
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.github import (
    CommandComment,
    CommentState,
    DataAction,
    DataCommand,
    Kind,
    Permission,
    Permissions,
    later_command,
)
from greenroom.core.model.spec import LinkOverride
from greenroom.core.model.status import Reason

_BLANK = " \t\r"  # str.strip() would also remove invisible control characters
_LINE = re.compile(r"(?i)/preview(?:(?:[ \t]+|(?=\uFFFD))(.*))?", re.ASCII)
_USE = re.compile(
    r"(?i)use[ \t]+([a-z0-9][\w.-]*(?:/[\w.-]+)?)[ \t]*(?:#[ \t\u200b]*([1-9][0-9]{0,8})|[ \t](staging|default))",
    re.ASCII,
)
"""The command `use`. Names copied from Greenroom's comments contain a zero-width space after the `#`."""
_ADDRESS = re.compile(r"(?i)use[ \t]+https?://[^/\s]+/([\w.-]+/[\w.-]+)/pull/([1-9][0-9]{0,8})(?:[/?#]\S*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class UseCommand:
    """Point `service` to a pull request's number, `staging` or `default`.

    Before `Targets.named`, `service` is what the person wrote: the name of a service or of its repository, or
    `owner/name` as GitHub autocompletes it.
    """

    service: str
    to: str


@dataclass(frozen=True, slots=True)
class DataWish:
    """Delete the data of the preview, and start again from the same seed or from the newest one."""

    action: DataAction


Command = UseCommand | DataWish


@dataclass(frozen=True, slots=True)
class Targets:
    """The services that a repository uses.

    `by_repository` groups them by their repository, under its `owner/name` and its short name in lower case.
    """

    used: tuple[str, ...]
    by_repository: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def of(repository: Repository, platform: Platform) -> Targets:
        """Return the targets of the commands on a repository's pull requests."""
        used = {u.service for s in repository.services for u in s.uses}
        found = {}
        for other in platform.repositories:
            theirs = tuple(s.name for s in other.services if s.name in used)
            found[other.slug.lower()] = found[other.name.lower()] = theirs
        return Targets(tuple(sorted(used)), found)

    def named(self, wish: UseCommand) -> UseCommand | None:
        """Return the wish with the name of a used service; None if it matches no used service, or several."""
        if wish.service in self.used:
            return wish
        theirs = self.by_repository.get(wish.service, ())
        return replace(wish, service=theirs[0]) if len(theirs) == 1 else None

    def nearest(self, service: str) -> str:
        """Return the used service that was probably meant, or an empty string."""
        near = difflib.get_close_matches(service.rpartition("/")[2], self.used, 1)
        return near[0] if near else ""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Result of the comments: the current choices, the answer to the last command that had no effect, and the last
    comment that was decided. `data` is the last command about the data.
    """

    choices: tuple[LinkOverride, ...] = ()
    answer: Reason | None = None
    last: int = 0
    data: DataCommand | None = None


def wishes(text: str) -> list[Command | str]:
    """Return the commands in a comment, one per line. A string is a line that starts like a command but is invalid."""
    found: list[Command | str] = []
    for line in text.split("\n"):
        typed = _typed(line).strip(_BLANK)
        match = _LINE.fullmatch(typed)
        if match:
            found.append(_wish(match[1] or "") or typed[:100])
    return found


def _typed(text: str) -> str:
    """Replace Unicode spaces and dashes with ASCII ones. Phones and chats insert lookalikes.

    Keep invisible characters: people do not see them, so the answer has to name them.
    """
    kinds = {"Zs": " ", "Pd": "-"}
    return "".join("-" if c == "\N{MINUS SIGN}" else kinds.get(unicodedata.category(c), c) for c in text)


def wish(text: str) -> UseCommand | None:
    """Parse `payments#17`, `payments staging` or `payments default` as people type it. Return None if it is invalid."""
    found = _wish(f"use {_typed(text)}")
    return found if isinstance(found, UseCommand) else None


def _wish(words: str) -> Command | None:
    if (word := words.strip(_BLANK).lower()) in tuple(DataAction):
        return DataWish(DataAction(word))
    if match := _ADDRESS.fullmatch(words.strip(_BLANK)):
        return UseCommand(match[1].lower(), match[2])
    match = _USE.fullmatch(words.strip(_BLANK))
    return UseCommand(match[1].lower(), match[2] or match[3].lower()) if match else None


def _undecided(one: CommandComment, last: int) -> bool:
    return one.by.kind is Kind.PERSON and not one.edited and one.comment > last


def pending(
    said: Iterable[CommandComment], choices: Iterable[LinkOverride], targets: Targets, last: int = 0
) -> list[tuple[CommandComment, UseCommand]]:
    """Return the wishes that are not decided yet for used services, oldest first.

    `last` is the last comment that was decided.
    """
    known = {c.service: c.comment for c in choices}
    return [
        (one, each)
        for one in sorted(said, key=lambda s: s.comment)
        if _undecided(one, last)
        for written in wishes(one.text)
        if isinstance(written, UseCommand) and (each := targets.named(written))
        if one.comment > known.get(each.service, 0)
    ]


def pending_data(said: Iterable[CommandComment], last: int) -> list[tuple[CommandComment, DataWish]]:
    """Return the commands about the data that are not decided yet, oldest first."""
    return [
        (one, each)
        for one in sorted(said, key=lambda s: s.comment)
        if _undecided(one, last)
        for each in wishes(one.text)
        if isinstance(each, DataWish)
    ]


def heard(
    said: Iterable[CommandComment],
    memory: CommentState,
    targets: Targets,
    permissions: Permissions,
    now: datetime,
) -> CommandResult:
    """Return the choices after these comments.

    A command is decided once, by its author's permissions at that time. If they cannot be read, the command waits;
    later commands do not.
    """
    said = sorted(said, key=lambda s: s.comment)
    found = {c.service: c for c in memory.choices}
    last = max((s.comment for s in said), default=0)
    for one, each in pending(said, memory.choices, targets, memory.heard):
        choice = _choice(one, each, permissions)
        if choice is None:
            last = min(last, one.comment - 1)
            continue
        if choice.by:
            found[each.service] = choice
    data = memory.data
    for one, wanted in pending_data(said, memory.heard):
        may = permissions.here(one.by.login)
        if may is Permission.UNKNOWN:
            last = min(last, one.comment - 1)
        elif may in WRITERS:
            data = later_command(data, DataCommand(wanted.action, one.by.login, one.comment, min(one.at, now)))
    kept = tuple(found[name] for name in sorted(found))
    last = max(last, memory.heard)
    return CommandResult(kept, _answer(said, kept, targets, last, data), last, data)


def _choice(
    one: CommandComment,
    wish: UseCommand,
    permissions: Permissions,
) -> LinkOverride | None:
    """Return the choice that a command makes. Its `by` is empty if the author may not command. Return None if the
    permissions are unknown.
    """
    login = one.by.login
    may = permissions.here(login)
    if may is Permission.UNKNOWN:
        return None
    if may not in WRITERS:
        return LinkOverride(wish.service, wish.to, "", one.comment)
    reads = Permission.READ if wish.to in (STAGING, DEFAULT) else permissions.to_use(wish.service, login)
    if reads is Permission.UNKNOWN:
        return None
    return LinkOverride(wish.service, wish.to, login, one.comment, refused=reads is Permission.NONE)


def later(choices: Iterable[LinkOverride], asked: Iterable[LinkOverride]) -> tuple[LinkOverride, ...]:
    """Return the choices together with those made outside of comments. If two concern one service, the later one
    counts.
    """
    found = {c.service: c for c in choices}
    for each in asked:
        known = found.get(each.service)
        if known is None or each.comment >= known.comment:
            found[each.service] = each
    return tuple(found[name] for name in sorted(found))


def _answer(
    said: list[CommandComment],
    choices: tuple[LinkOverride, ...],
    targets: Targets,
    decided: int,
    data: DataCommand | None,
) -> Reason | None:
    """Return why the newest command had no effect; None if it had one, or if there is no command. `decided` is the last
    decided comment.
    """
    newest = next((s for s in reversed(said) if s.by.kind is Kind.PERSON and wishes(s.text)), None)
    if newest is None or newest.comment < max((c.comment for c in choices), default=0):
        return None
    said_so = wishes(newest.text)
    last, login = next((w for w in said_so if isinstance(w, str)), said_so[-1]), newest.by.login
    if newest.edited:
        return messages.command_edited(login)
    if isinstance(last, str):
        return messages.command_unknown(login, last)
    if isinstance(last, DataWish):
        followed = data is not None and data.comment >= newest.comment
        return None if followed or newest.comment > decided else messages.command_not_allowed(login)
    wanted = targets.named(last)
    if wanted is None:
        several = targets.by_repository.get(last.service, ())
        if len(several) > 1:
            return messages.command_several_services(login, last.service, several, last.to)
        return messages.command_no_service(login, last.service, targets.nearest(last.service), targets.used)
    chosen = next((c.comment for c in choices if c.service == wanted.service), 0)
    if chosen < newest.comment <= decided:
        return messages.command_not_allowed(login)
    return None
