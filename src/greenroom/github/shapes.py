"""Shapes of GitHub's answers, as far as we read them. An answer with another shape is doubt.

Proxies and broken servers return lists for objects, omit keys, and send numbers for strings. None of that may end a
pass with a traceback, or turn a `None` into the text "None".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from greenroom.errors import Doubt

BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""The exceptions that code may raise when it reads a value with an unexpected shape."""

_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Maybe:
    """A value that may be null."""

    shape: Any


def sha(value: object) -> bool:
    """Return whether a value is a commit id, 40 hexadecimal digits. Only those may reach a shell or a URL."""
    return isinstance(value, str) and _SHA.fullmatch(value) is not None


def time(value: object) -> bool:
    """Return whether a value is a time with a time zone."""
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def number(value: object) -> bool:
    """Return whether a value is an id: a number, or decimal digits, as GraphQL returns BigInt."""
    if isinstance(value, str):
        return value.isascii() and value.isdecimal()
    return isinstance(value, int) and not isinstance(value, bool)


_NAMES: dict[Any, str] = {
    str: "a string",
    bool: "true or false",
    dict: "an object",
    sha: "a commit hash of 40 digits",
    time: "a time with a time zone",
    number: "a number",
}


ACTOR = {"login": str}
COMMENT = {"databaseId": number, "body": str, "createdAt": time, "author": Maybe(ACTOR), "editor": Maybe(ACTOR)}
COMMENTS = {"pageInfo": {"hasNextPage": bool, "endCursor": Maybe(str)}, "nodes": [Maybe(COMMENT)]}
FILES = {"pageInfo": {"hasNextPage": bool}, "nodes": [Maybe({"path": str, "changeType": str})]}
_EARLIER = {"pageInfo": {"hasPreviousPage": bool}, "nodes": [Maybe({"__typename": str})]}

PULL_REQUEST = {
    "number": number,
    "title": str,
    "url": str,
    "body": Maybe(str),
    "isDraft": bool,
    "isCrossRepository": bool,
    "state": str,
    "createdAt": time,
    "updatedAt": time,
    "closedAt": Maybe(time),
    "baseRefName": str,
    "baseRefOid": sha,
    "baseRef": Maybe({"target": Maybe({"oid": sha})}),
    "headRefName": str,
    "headRefOid": sha,
    "headRepository": Maybe({"databaseId": Maybe(number)}),
    "author": Maybe(ACTOR),
    "mergeable": str,
    "potentialMergeCommit": Maybe({"oid": sha, "parents": {"nodes": Maybe([Maybe({"oid": sha})])}}),
    "changedFiles": number,
    "files": Maybe(FILES),
    "labels": {"pageInfo": {"hasNextPage": bool}, "nodes": [{"name": str}]},
    "labelEvents": _EARLIER,
    "activity": _EARLIER,
    "comments": COMMENTS,
}
PAGE = {"totalCount": number, "pageInfo": {"hasNextPage": bool, "endCursor": Maybe(str)}, "nodes": [Maybe(dict)]}
REPOSITORY = {
    "databaseId": Maybe(number),
    "nameWithOwner": str,
    "isPrivate": bool,
    "pullRequests": PAGE,
}

REST_PULL_REQUEST = {
    "number": number,
    "title": str,
    "html_url": str,
    "state": str,
    "draft": bool,
    "user": Maybe(ACTOR),
    "labels": [{"name": str}],
    "head": {"sha": sha, "ref": str, "repo": Maybe({"id": number})},
    "base": {"ref": str, "repo": {"id": number}},
    "created_at": time,
    "updated_at": time,
    "closed_at": Maybe(time),
}
LABEL = {"repository": {"label": Maybe({"createdAt": time}), "pullRequest": {"updatedAt": time}}}
REST_EVENT = {"event": str, "actor": Maybe(ACTOR), "created_at": time}
REST_FILE = {"filename": str, "status": str}
TREE = {"truncated": bool, "tree": [{"path": str, "mode": str, "type": str, "sha": str}]}
BLOB = {"content": str, "encoding": str}
REST_HEAD = {"head": {"sha": sha}, "base": {"ref": str}}
WORKFLOW_RUN = {
    "id": number,
    "name": Maybe(str),
    "path": str,
    "head_sha": sha,
    "event": str,
    "status": str,
    "conclusion": Maybe(str),
    "workflow_id": number,
    "created_at": time,
    "updated_at": time,
}
WORKFLOW_RUNS = {"total_count": number, "workflow_runs": [WORKFLOW_RUN]}
CHECK_RUN = {
    "id": number,
    "name": str,
    "head_sha": sha,
    "status": str,
    "conclusion": Maybe(str),
    "started_at": Maybe(time),
    "completed_at": Maybe(time),
    "app": Maybe({"slug": str}),
}
CHECK_RUNS = {"total_count": number, "check_runs": [CHECK_RUN]}
GIT_COMMIT = {"sha": sha, "message": str}
REST_COMMENT = {"id": number, "body": str, "user": Maybe(ACTOR)}


def check(value: Any, shape: Any, what: str, *, times: bool = False) -> None:
    """Raise `Doubt` about `what` when a value does not have this shape. Extra keys are allowed.

    With `times`, every time anywhere in the value must have a time zone.
    """
    wrong = next(_wrong(value, shape, ""), None) or (next(_zoneless(value, ""), None) if times else None)
    if wrong:
        raise Doubt(
            f"GitHub's response about {what} does not have the documented shape ({wrong}). Greenroom will retry."
        )


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Convert the exceptions that an answer with another shape raises into `Doubt` about `what`."""
    try:
        yield
    except BROKEN as error:
        raise Doubt(
            f"GitHub's response about {what} does not have the documented shape ({error!r:.100}). Greenroom will retry."
        ) from None


def _wrong(value: Any, shape: Any, where: str) -> Iterator[str]:
    match shape:
        case Maybe(shape=inner):
            if value is not None:
                yield from _wrong(value, inner, where)
        case dict():
            if not isinstance(value, dict):
                yield _instead(value, "an object", where)
                return
            for key, inner in shape.items():
                if key not in value:
                    yield f"{where}{key} is missing"
                else:
                    yield from _wrong(value[key], inner, f"{where}{key}.")
        case [inner]:
            if not isinstance(value, list):
                yield _instead(value, "a list", where)
                return
            for i, item in enumerate(value):
                yield from _wrong(item, inner, f"{where}{i}.")
        case _:
            if not _is(value, shape):
                yield _instead(value, _NAMES[shape], where)


def _is(value: object, shape: type | Callable[[object], bool]) -> bool:
    return isinstance(value, shape) if isinstance(shape, type) else shape(value)


def _instead(value: object, wanted: str, where: str) -> str:
    kinds = ((bool, "true or false"), (str, "a different string"), (int | float, "a number"), (list, "a list"))
    found = next((name for kind, name in kinds if isinstance(value, kind)), "an object" if value else "null")
    return f"{where.removesuffix('.') or 'the whole response'} is {found} instead of {wanted}"


def _zoneless(value: Any, where: str) -> Iterator[str]:
    """Yield times without a time zone, which cannot be compared with GitHub's clock."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from _zoneless(item, f"{where}{i}.")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key.endswith(("At", "_at", "Date")) and item is not None and not time(item):
                yield _instead(item, _NAMES[time], f"{where}{key}")
            elif isinstance(item, list | dict):
                yield from _zoneless(item, f"{where}{key}.")
