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
from greenroom.core.model import Kind, Permission, Said
from greenroom.core.rows import Choice
from greenroom.core.status import Reason

_USE = re.compile(r"use\s+([a-z][a-z0-9-]*)\s*(?:#\s*([1-9][0-9]{0,8})|\s(staging|default))")


@dataclass(frozen=True, slots=True)
class Wish:
    """Point `service` to a pull request's number, `staging` or `default`."""

    service: str
    to: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What the comments come to: the choices from now on, and the answer to the last command that did not work."""

    choices: tuple[Choice, ...] = ()
    answer: Reason | None = None


def wishes(text: str) -> list[Wish | str]:
    """The commands in a comment, one a line; a string is a line that is none."""
    found: list[Wish | str] = []
    for line in text.splitlines():
        words = line.strip()
        if not re.match(r"/preview(\s|$)", words):
            continue
        match = _USE.fullmatch(words.removeprefix("/preview").strip().lower())
        found.append(Wish(match[1], match[2] or match[3]) if match else words[:100])
    return found


def wish(text: str) -> Wish | None:
    """`payments#17`, `payments staging` or `payments default` as people type it; None when it is none."""
    match = _USE.fullmatch(f"use {text.strip().lower()}")
    return Wish(match[1], match[2] or match[3]) if match else None


def pending(said: Iterable[Said], choices: Iterable[Choice], repository: Repository) -> list[tuple[Said, Wish]]:
    """The wishes that no choice knows yet, oldest first, of services that this repository uses."""
    known = {c.service: c.comment for c in choices}
    used = _used(repository)
    return [
        (one, each)
        for one in sorted(said, key=lambda s: s.comment)
        if one.by.kind is Kind.PERSON and not one.edited
        for each in wishes(one.text)
        if isinstance(each, Wish) and each.service in used and one.comment > known.get(each.service, 0)
    ]


def heard(
    said: Iterable[Said],
    choices: Iterable[Choice],
    repository: Repository,
    permissions: Mapping[str, Permission],
    readers: Mapping[tuple[str, str], Permission],
) -> Heard:
    """The choices after these comments. `readers` are permissions by (service, login) on that service's repository.

    A person whose permission could not be read is asked about again; the choice waits.
    """
    said = sorted(said, key=lambda s: s.comment)
    found = {c.service: c for c in choices}
    for one, each in pending(said, found.values(), repository):
        if permissions.get(one.by.login, Permission.UNKNOWN) not in WRITERS:
            continue
        refused = False
        if each.to not in (STAGING, DEFAULT):
            may = readers.get((each.service, one.by.login), Permission.UNKNOWN)
            if may is Permission.UNKNOWN:
                continue
            refused = may is Permission.NONE
        found[each.service] = Choice(each.service, each.to, one.by.login, one.comment, refused)
    kept = tuple(found[name] for name in sorted(found))
    return Heard(kept, _answer(said, kept, repository, permissions))


def later(choices: Iterable[Choice], asked: Iterable[Choice]) -> tuple[Choice, ...]:
    """The choices with those that were asked for otherwise; of two about one service the later one counts."""
    found = {c.service: c for c in choices}
    for each in asked:
        known = found.get(each.service)
        if known is None or each.comment >= known.comment:
            found[each.service] = each
    return tuple(found[name] for name in sorted(found))


def _answer(
    said: list[Said], choices: tuple[Choice, ...], repository: Repository, permissions: Mapping[str, Permission]
) -> Reason | None:
    """Why the newest command changed nothing; None when it did, or there is none."""
    newest = next((s for s in reversed(said) if s.by.kind is Kind.PERSON and wishes(s.text)), None)
    if newest is None or newest.comment < max((c.comment for c in choices), default=0):
        return None
    last, login = wishes(newest.text)[-1], newest.by.login
    if newest.edited:
        return reasons.command_edited(login)
    if isinstance(last, str):
        return reasons.command_unknown(login, last)
    used = sorted(_used(repository))
    if last.service not in used:
        return reasons.command_no_service(login, last.service, nearest(last.service, repository), used)
    if permissions.get(login, Permission.UNKNOWN) not in (*WRITERS, Permission.UNKNOWN):
        return reasons.command_not_allowed(login)
    return None


def nearest(service: str, repository: Repository) -> str:
    """The service that this repository uses and that somebody probably meant, or nothing."""
    near = difflib.get_close_matches(service, sorted(_used(repository)), 1)
    return near[0] if near else ""


def _used(repository: Repository) -> set[str]:
    return {u.service for s in repository.services for u in s.uses}
