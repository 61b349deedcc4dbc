"""What people say in comments: `/preview use payments#17`. A command is a value, named by its comment's id.

So a command that is read twice, late or out of order does nothing twice: of two about one thing the later comment
counts. Edited comments and those of bots command nothing. A command takes effect once our own comment holds it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from greenroom.core import reasons
from greenroom.core.catalogue import Repository
from greenroom.core.links import DEFAULT, STAGING, WRITERS
from greenroom.core.model import Kind, Memory, Permission, Said
from greenroom.core.rows import Choice
from greenroom.core.status import Reason

_BLANK = " \t\r"  # str.strip() would also remove invisible control characters
_LINE = re.compile(r"(?i)/preview(?:(?:[ \t]+|(?=\uFFFD))(.*))?", re.ASCII)
_USE = re.compile(r"(?i)use[ \t]+([a-z][a-z0-9-]*)[ \t]*(?:#[ \t]*([1-9][0-9]{0,8})|[ \t](staging|default))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """Point `service` to a pull request's number, `staging` or `default`."""

    service: str
    to: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What the comments come to: the choices from now on, the answer to the last command that did not work, and the
    last comment that is decided.
    """

    choices: tuple[Choice, ...] = ()
    answer: Reason | None = None
    last: int = 0


def wishes(text: str) -> list[Wish | str]:
    """The commands in a comment, one a line; a string is a line that is none."""
    found: list[Wish | str] = []
    for line in text.split("\n"):
        match = _LINE.fullmatch(line.strip(_BLANK))
        if match:
            found.append(_wish(match[1] or "") or line.strip(_BLANK)[:100])
    return found


def wish(text: str) -> Wish | None:
    """`payments#17`, `payments staging` or `payments default` as people type it; None when it is none."""
    return _wish(f"use {text}")


def _wish(words: str) -> Wish | None:
    match = _USE.fullmatch(words.strip(_BLANK))
    return Wish(match[1].lower(), match[2] or match[3].lower()) if match else None


def pending(
    said: Iterable[Said], choices: Iterable[Choice], repository: Repository, last: int = 0
) -> list[tuple[Said, Wish]]:
    """The wishes that are not decided yet, oldest first, of services that this repository uses.

    `last` is the last comment that was decided.
    """
    known = {c.service: c.comment for c in choices}
    used = _used(repository)
    return [
        (one, each)
        for one in sorted(said, key=lambda s: s.comment)
        if one.by.kind is Kind.PERSON and not one.edited and one.comment > last
        for each in wishes(one.text)
        if isinstance(each, Wish) and each.service in used and one.comment > known.get(each.service, 0)
    ]


def heard(
    said: Iterable[Said],
    memory: Memory,
    repository: Repository,
    permissions: Mapping[str, Permission],
    readers: Mapping[tuple[str, str], Permission],
) -> Heard:
    """The choices after these comments. `readers` are permissions by (service, login) on that service's repository.

    A command is decided once, by what its author might do then. One whose author's permission could not be read waits;
    what was said after it does not.
    """
    said = sorted(said, key=lambda s: s.comment)
    found = {c.service: c for c in memory.choices}
    last = max((s.comment for s in said), default=0)
    for one, each in pending(said, memory.choices, repository, memory.heard):
        choice = _choice(one, each, permissions, readers)
        if choice is None:
            last = min(last, one.comment - 1)
            continue
        if choice.by:
            found[each.service] = choice
    kept = tuple(found[name] for name in sorted(found))
    last = max(last, memory.heard)
    return Heard(kept, _answer(said, kept, repository, last), last)


def _choice(
    one: Said, wish: Wish, permissions: Mapping[str, Permission], readers: Mapping[tuple[str, str], Permission]
) -> Choice | None:
    """The choice that a command is; by nobody when its author may not command; None when that is not known."""
    login = one.by.login
    may = permissions.get(login, Permission.UNKNOWN)
    if may is Permission.UNKNOWN:
        return None
    if may not in WRITERS:
        return Choice(wish.service, wish.to, "", one.comment)
    reads = Permission.READ if wish.to in (STAGING, DEFAULT) else readers.get((wish.service, login), Permission.UNKNOWN)
    if reads is Permission.UNKNOWN:
        return None
    return Choice(wish.service, wish.to, login, one.comment, refused=reads is Permission.NONE)


def later(choices: Iterable[Choice], asked: Iterable[Choice]) -> tuple[Choice, ...]:
    """The choices with those that were asked for otherwise; of two about one service the later one counts."""
    found = {c.service: c for c in choices}
    for each in asked:
        known = found.get(each.service)
        if known is None or each.comment >= known.comment:
            found[each.service] = each
    return tuple(found[name] for name in sorted(found))


def _answer(said: list[Said], choices: tuple[Choice, ...], repository: Repository, decided: int) -> Reason | None:
    """Why the newest command changed nothing; None when it did, or there is none. `decided` is the last decided one."""
    newest = next((s for s in reversed(said) if s.by.kind is Kind.PERSON and wishes(s.text)), None)
    if newest is None or newest.comment < max((c.comment for c in choices), default=0):
        return None
    said_so = wishes(newest.text)
    last, login = next((w for w in said_so if isinstance(w, str)), said_so[-1]), newest.by.login
    if newest.edited:
        return reasons.command_edited(login)
    if isinstance(last, str):
        return reasons.command_unknown(login, last)
    used = sorted(_used(repository))
    if last.service not in used:
        return reasons.command_no_service(login, last.service, nearest(last.service, repository), used)
    chosen = next((c.comment for c in choices if c.service == last.service), 0)
    if chosen < newest.comment <= decided:
        return reasons.command_not_allowed(login)
    return None


def nearest(service: str, repository: Repository) -> str:
    """The service that this repository uses and that somebody probably meant, or nothing."""
    near = difflib.get_close_matches(service, sorted(_used(repository)), 1)
    return near[0] if near else ""


def _used(repository: Repository) -> set[str]:
    return {u.service for s in repository.services for u in s.uses}
