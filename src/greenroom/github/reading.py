"""The list of one repository while its pages arrive. No HTTP.

A list is complete or raises an exception. An error in one pull request causes doubt about that pull request only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from greenroom.core.model.github import Listing
from greenroom.errors import Doubt, GreenroomError, Renamed
from greenroom.github import shapes, translate
from greenroom.github.transport import NotFound

Payload = dict[str, Any]


class TooHeavy(Doubt):
    """This repository's part of a query was too heavy for GitHub."""


@dataclass(slots=True)
class Reading:
    """One repository's pages so far. `doubts` are pull requests that GitHub showed only in part."""

    slug: str
    cursor: str | None = None
    nodes: list[Payload | None] = field(default_factory=list)
    repository: Payload = field(default_factory=dict)
    doubts: dict[int, str] = field(default_factory=dict)
    read_at: datetime | None = None
    answer: Listing | GreenroomError | None = None

    def take(self, answer: Payload, alias: str, size: int, now: datetime) -> bool:
        """Add the page that an answer holds under this alias. Return whether it was the last one."""
        repository, partly = _repository(self.slug, answer, alias, size)
        if repository["nameWithOwner"].lower() != self.slug.lower():
            raise Renamed(
                f"{self.slug} is now called {repository['nameWithOwner']} on GitHub."
                " Change `repository:` in its service files.",
                _times(repository, now),
            )
        page = repository["pullRequests"]
        last, cursor = not page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
        if not last and (cursor in (None, self.cursor) or not page["nodes"]):
            raise Doubt(
                f"GitHub's list of pull requests in {self.slug} ends before its last page. Greenroom will read"
                " the list again."
            )
        for index, error in partly.items():
            if node := page["nodes"][index]:
                what = f"{self.slug}#{node['number']}"
                self.doubts[int(node["number"])] = (
                    f"GitHub returned only part of {what} ({error}). Greenroom will read the pull request again."
                )
        self.read_at = self.read_at or now
        self.nodes += page["nodes"]
        self.repository, self.cursor = repository, cursor
        return last

    def settle(self, answer: Listing | GreenroomError) -> None:
        """End this reading with its list, or with the error that ended it."""
        self.answer = answer

    def whole(self) -> dict[int, Payload]:
        """Return every pull request by its number.

        A pull request that is listed twice means that another one fell between the pages.
        """
        nodes = [n for n in self.nodes if n is not None]
        shapes.check(nodes, [{"number": shapes.number}], f"the pull requests of {self.slug}")
        total = int(self.repository["pullRequests"]["totalCount"])
        found = {int(n["number"]): n for n in nodes}
        if len(nodes) != len(found):
            raise Doubt(
                f"GitHub listed the same pull request in {self.slug} twice. Greenroom will read the list again."
            )
        if len(self.nodes) != len(found):
            raise Doubt(
                f"GitHub's list of pull requests in {self.slug} contains an empty entry. Greenroom will read the list"
                " again."
            )
        if len(found) != total:
            raise Doubt(
                f"GitHub's count of pull requests in {self.slug} is {total}, but its list contains {len(found)}."
                " Greenroom will read the list again."
            )
        return found


def _times(repository: Payload, now: datetime) -> dict[tuple[int, int], datetime]:
    """Return when the pull requests of a page changed last, by GitHub's id of the repository and their number.

    What is odd, or from the future, says nothing: the answer is refused anyway.
    """
    found: dict[tuple[int, int], datetime] = {}
    for node in (repository.get("pullRequests") or {}).get("nodes") or []:
        with contextlib.suppress(ValueError, TypeError, KeyError, Doubt):
            at = translate.time(node["updatedAt"])
            if at <= now:
                found[int(repository["databaseId"]), int(node["number"])] = at
    return found


def _repository(slug: str, answer: Payload, alias: str, size: int) -> tuple[Payload, dict[int, str]]:
    """Return one repository's part of an answer, and the errors about single pull requests by index in the page."""
    data = answer.get("data") or {}
    wrong = [e for e in answer.get("errors") or [] if _concerns(e, alias)]
    repository = data.get(alias)
    if repository is None and any(e.get("type") == "NOT_FOUND" for e in wrong):
        raise NotFound(
            f"GitHub does not show the repository {slug}: it does not exist, or the token has no access to it."
        )
    partly = {i: _messages([e]) for e in wrong if (i := _node(e)) is not None}
    if any(too_heavy(e) for e in wrong) and (size > 1 or not partly):
        raise TooHeavy(f"GitHub's list of pull requests in {slug} is too large for one query. Greenroom will retry.")
    if len(partly) < len({_node(e) for e in wrong}) or repository is None:
        raise Doubt(
            f"GitHub's list of pull requests in {slug} is incomplete ({_messages(wrong)}). Greenroom will read it"
            " again."
        )
    shapes.check(repository, shapes.REPOSITORY, f"the pull requests of {slug}")
    found: Payload = repository
    return found, partly


def _concerns(error: Payload, alias: str) -> bool:
    """Return whether an error concerns this part of the answer; an error without a path concerns all parts.

    Two kinds of null come with an error and are handled elsewhere: an id that does not fit into GraphQL's Int, and a
    timeline event whose label or account was deleted.
    """
    path = _path(error)
    if not path:
        return True
    event = path[4:5] in (["labelEvents"], ["activity"]) and not too_heavy(error)
    return path[0] == alias and path[-1] != "databaseId" and not event


def _path(error: Payload) -> list[str | int]:
    path = error.get("path")
    return path if isinstance(path, list) else []


def _node(error: Payload) -> int | None:
    """Return the index of the pull request that an error concerns; None when it concerns more than one."""
    match _path(error):
        case [_, "pullRequests", "nodes", int(index), _, *_]:
            return index
    return None


def too_heavy(error: Payload) -> bool:
    """Return whether a query was too heavy for GitHub, which is independent of the hourly budget."""
    return str(error.get("type")) == "RESOURCE_LIMITS_EXCEEDED"


def whole(answer: Payload) -> Payload:
    """Return the data of an answer. Raise `Doubt` on errors, except in `rateLimit`, which nothing depends on."""
    data = answer.get("data")
    if any(_path(e)[:1] != ["rateLimit"] for e in answer.get("errors") or []) or not isinstance(data, dict) or not data:
        raise Doubt(f"GitHub's response is incomplete ({_messages(answer.get('errors') or [])}). Greenroom will retry.")
    return data


def _messages(errors: Sequence[Payload]) -> str:
    return "; ".join(str(e.get("message", e))[:100] for e in errors) or "no data"
