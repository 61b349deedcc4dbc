"""Answers of GitHub in full, to change one thing in: a pull request of a list, and the list as the real client reads it."""

from __future__ import annotations

from typing import Any

import httpx2

from greenroom.core.model.github import Listing
from greenroom.errors import GreenroomError
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.transport import Transport

ADA = {"__typename": "User", "login": "ada"}
DATE = {"date": "Mon, 02 Mar 2026 12:00:00 GMT"}
PREFIX = "<!-- greenroom:1 test "


def connection(*nodes: Any) -> dict[str, Any]:
    return {"pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "endCursor": None}, "nodes": list(nodes)}


def labeled(name: str, at: str = "2026-03-01T09:00:00Z") -> dict[str, Any]:
    return {"__typename": "LabeledEvent", "createdAt": at, "actor": ADA, "label": {"name": name}}


def comment(number: int, body: str) -> dict[str, Any]:
    return {
        "databaseId": number,
        "fullDatabaseId": str(number),
        "body": body,
        "createdAt": "2026-03-02T09:00:00Z",
        "author": ADA,
        "editor": None,
    }


def node(number: int) -> dict[str, Any]:
    """One pull request of a list, with everything in it."""
    return {
        "number": number,
        "title": "A change",
        "body": "",
        "url": f"https://github.example.com/acme/shop/pull/{number}",
        "author": ADA,
        "state": "OPEN",
        "isDraft": False,
        "isCrossRepository": False,
        "headRefOid": "a" * 40,
        "headRefName": "idea",
        "headRepository": {"databaseId": 7},
        "baseRefName": "main",
        "baseRefOid": "b" * 40,
        "baseRef": {"target": {"oid": "b" * 40}},
        "changedFiles": 1,
        "files": connection({"path": "README.md", "changeType": "MODIFIED"}),
        "labels": connection({"name": "preview"}, {"name": "bug"}),
        "labelEvents": connection(labeled("preview"), labeled("bug")),
        "activity": connection(
            {"__typename": "PullRequestReview", "submittedAt": "2026-03-02T10:00:00Z", "author": ADA},
            {
                "__typename": "PullRequestCommit",
                "commit": {"committedDate": "2026-03-01T08:00:00Z", "author": {"user": ADA}},
            },
        ),
        "comments": connection(comment(1, "/preview use payments#17"), comment(2, "Thanks!")),
        "mergeable": "MERGEABLE",
        "potentialMergeCommit": {"oid": "c" * 40, "parents": {"nodes": [{"oid": "b" * 40}, {"oid": "a" * 40}]}},
        "createdAt": "2026-03-01T08:00:00Z",
        "updatedAt": "2026-03-02T10:00:00Z",
        "closedAt": None,
    }


def list_answer(*nodes: Any, errors: Any = ()) -> dict[str, Any]:
    page = {**connection(*nodes), "totalCount": len(nodes)}
    repository = {"databaseId": 7, "nameWithOwner": "acme/shop", "isPrivate": True, "pullRequests": page}
    answer = {"data": {"viewer": {"login": "greenroom[bot]"}, "r0": repository}}
    return {**answer, "errors": list(errors)} if errors else answer


async def read(answer: dict[str, Any]) -> Listing | GreenroomError:
    """The list as the real client reads it from this answer of GitHub."""
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=answer, headers=DATE))
    async with httpx2.AsyncClient(transport=transport) as client:
        clock = Clock()
        github = GitHub(Transport(client, Token("t"), "https://github.example.com/api/v3", clock), clock, PREFIX)
        return (await github.listings(["acme/shop"]))["acme/shop"]
