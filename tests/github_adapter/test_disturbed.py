"""The same decisions, however GitHub spells labels, cuts pages, counts ids, and whatever it leaves null in a timeline.

A canonical GitHub and its disturbed twin answer the real client; what `decide` makes of both must be the same.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any

import httpx2
from hypothesis import given, settings
from hypothesis import strategies as st

from answers import ADA, connection, list_answer, node
from builders import ME, NOW, PLATFORM, REPOSITORY, decide, facts, identity, observed, preview, sha, spec
from greenroom.core.model.actions import UpdateComment
from greenroom.core.model.catalog import Lifetime
from greenroom.core.model.engine import EngineState, PreviewSet
from greenroom.core.model.github import Listing
from greenroom.core.planning import required_reads
from greenroom.core.planning.decision import Decision
from greenroom.github import queries
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.transport import Transport

LABELS_IN_ANY_CASE = find_spec("greenroom.core.labels") is not None
FULL_IDS = "fullDatabaseId" in queries.COMMENTS
LARGE = 2**31
LIFETIME = Lifetime(inactive_after=timedelta(days=3), max_age=None)
FATES = ("asks", "sleeps", "inactive", "kept", "unlabeled", "never asked")


@dataclass(frozen=True)
class Case:
    """One pull request: what its people did, and whether its preview exists."""

    fate: str
    held: bool
    comments: tuple[str, ...]


@dataclass(frozen=True)
class Disturbance:
    """How a twin differs: `nulls` are places of null nodes, `spelling` what is done to each label's letters."""

    page: int = 50
    comments_page: int = 100
    large_ids: bool = False
    nulls: tuple[int, ...] = ()
    spelling: str = "lower"

    def label(self, name: str) -> str:
        spelled: str = getattr(name, self.spelling)()
        return spelled if LABELS_IN_ANY_CASE else name

    def sprinkled(self, nodes: list[Any]) -> list[Any]:
        """The nodes with nulls before some of them, and never behind the last: that could undo what it says."""
        found: list[Any] = []
        for place, each in enumerate(nodes):
            found += [None] * self.nulls.count(place)
            found.append(each)
        return found


CASES = st.builds(
    Case,
    st.sampled_from(FATES),
    st.booleans(),
    st.lists(st.sampled_from(["/preview use payments#17", "/preview frobnicate", "Thanks!"]), max_size=5).map(tuple),
)
DISTURBANCES = st.builds(
    Disturbance,
    st.integers(1, 3),
    st.integers(1, 3),
    st.booleans(),
    st.lists(st.integers(0, 3), max_size=4).map(tuple),
    st.sampled_from(["lower", "upper", "title", "swapcase"]),
)


def when(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Twin:
    """GitHub as it answers about these pull requests, disturbed in one way."""

    cases: list[Case]
    how: Disturbance = field(default_factory=Disturbance)

    def events(self, number: int) -> list[tuple[str, bool, datetime]]:
        """Label, whether it was put on, when; oldest first."""
        fate, begun = self.cases[number - 1].fate, NOW - timedelta(days=6)
        found = [("bug", True, begun - timedelta(hours=1))]
        if fate != "never asked":
            found.append(("preview", True, begun))
        if fate in ("sleeps", "kept"):
            found.append((f"preview-{fate[:-1] if fate == 'sleeps' else 'keep'}", True, begun))
        if fate == "unlabeled":
            found.append(("preview", False, NOW - timedelta(hours=1)))
        return found

    def labels(self, number: int) -> list[str]:
        on = dict.fromkeys([name for name, _, _ in self.events(number)])
        for name, added, _ in self.events(number):
            if not added:
                del on[name]
        return [self.how.label(name) for name in on]

    def comments(self, number: int) -> list[Any]:
        found = []
        for place, body in enumerate(self.cases[number - 1].comments):
            made = number * 100 + place + (LARGE if self.how.large_ids else 0)
            number_of = str(made) if FULL_IDS else made
            found.append({"databaseId": number_of, "body": body, "createdAt": when(NOW), "author": ADA, "editor": None})
        return found

    def list_node(self, number: int) -> dict[str, Any]:
        idle = self.cases[number - 1].fate in ("inactive", "kept")
        seen = NOW - (timedelta(days=5) if idle else timedelta(hours=1))
        events = [
            {
                "__typename": "LabeledEvent" if added else "UnlabeledEvent",
                "createdAt": when(at),
                "actor": None if name == "bug" and self.how.nulls else ADA,
                "label": None if name == "bug" and self.how.nulls else {"name": self.how.label(name)},
            }
            for name, added, at in self.events(number)
        ]
        review = {"__typename": "PullRequestReview", "submittedAt": when(seen), "author": ADA}
        return {
            **node(number),
            "headRefOid": sha(number),
            "headRefName": f"branch-{number}",
            "labels": connection(*({"name": n} for n in self.labels(number))),
            "labelEvents": connection(*self.how.sprinkled(events)),
            "activity": connection(*self.how.sprinkled([review])),
            "comments": self.comment_page(number, 0),
            "updatedAt": when(NOW - timedelta(minutes=30)),
        }

    def comment_page(self, number: int, start: int) -> dict[str, Any]:
        comments = self.how.sprinkled(self.comments(number))
        return self.cut(comments, start, self.how.comments_page)

    def cut(self, nodes: list[Any], start: int, size: int) -> dict[str, Any]:
        end = start + size
        info = {"hasNextPage": end < len(nodes), "hasPreviousPage": start > 0, "endCursor": str(end)}
        return {"pageInfo": info, "nodes": nodes[start:end]}

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/api/v3")
        found = self.graphql(json.loads(request.content)) if path.endswith("/graphql") else self.rest(path)
        return httpx2.Response(200, json=found, headers={"date": NOW.strftime("%a, %d %b %Y %H:%M:%S GMT")})

    def graphql(self, body: dict[str, Any]) -> Any:
        query, given = body["query"], body["variables"]
        if "pullRequests(" in query:
            nodes = [self.list_node(n) for n in range(1, len(self.cases) + 1)]
            whole = list_answer(*nodes)
            page = self.cut(nodes, int(given["a0"] or 0), self.how.page)
            whole["data"]["r0"]["pullRequests"] = {**page, "totalCount": len(nodes)}
            return whole
        if "label(" in query:
            pull_request = {"updatedAt": when(NOW)}
            made = {"createdAt": when(NOW - timedelta(days=300))}
            return {"data": {"repository": {"label": made, "pullRequest": pull_request}}}
        comments = self.comment_page(given["number"], int(given["after"] or 0))
        return {"data": {"viewer": {"login": ME}, "repository": {"pullRequest": {"comments": comments}}}}

    def rest(self, path: str) -> Any:
        _, _, _, _, _, number, *rest = path.split("/")
        actor = {"login": "ada", "type": "User"}
        if rest == ["events"]:
            return self.how.sprinkled(
                [
                    {
                        "event": "labeled" if added else "unlabeled",
                        "label": None if name == "bug" and self.how.nulls else {"name": self.how.label(name)},
                        "actor": actor,
                        "created_at": when(at),
                    }
                    for name, added, at in self.events(int(number))
                ]
            )
        listed = self.list_node(int(number))
        return {
            "number": int(number),
            "title": listed["title"],
            "html_url": listed["url"],
            "user": actor,
            "state": "open",
            "draft": False,
            "head": {"sha": listed["headRefOid"], "ref": listed["headRefName"], "repo": {"id": 7}},
            "base": {"ref": "main", "repo": {"id": 7}},
            "labels": [{"name": name} for name in self.labels(int(number))],
            "created_at": listed["createdAt"],
            "updated_at": listed["updatedAt"],
            "closed_at": None,
            "merge_commit_sha": None,
        }


def holds(cases: list[Case]) -> EngineState:
    """An engine with the previews that exist, as old as their labels."""
    begun = NOW - timedelta(days=6)
    specs = {
        n: spec(n, created=begun, head_since=begun) for n, case in enumerate(cases, 1) if case.held
    }  # fmt: skip
    return replace(
        observed(),
        previews={identity(n): preview(n, of) for n, of in specs.items()},
        sets={7: PreviewSet(7, "shop", 1, specs)},
    )


async def decided(twin: Twin) -> Decision:
    """What the real client and `decide` make of this GitHub."""
    platform = replace(PLATFORM, lifetime=LIFETIME)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(twin.answer)) as client:
        clock = Clock()
        github = GitHub(Transport(client, Token("t"), "https://github.example.com/api/v3", clock), clock, "<!-- g:1 ")
        listing = (await github.listings(["acme/shop"]))["acme/shop"]
        assert isinstance(listing, Listing), listing
        engine = holds(twin.cases)
        confirmed = {
            n: await github.pull_request("acme/shop", n, required_reads.label(identity(n), engine, platform))
            for n in required_reads.numbers(listing, engine, platform)
        }
    known = facts(*listing.pull_requests, holds=engine, confirmed=confirmed)
    return decide(replace(known, listing=listing), platform, REPOSITORY, NOW)


def comparable(decision: Decision) -> Any:
    """A decision without the size of ids."""

    def small(number: int) -> int:
        return number - LARGE if number >= LARGE else number

    actions = [
        replace(a, memory=replace(a.memory, heard=small(a.memory.heard))) if isinstance(a, UpdateComment) else a
        for a in decision.actions
    ]
    stages = {i: (s.stage, s.reason, s.expires, s.answer) for i, s in decision.statuses.items()}
    return actions, stages, decision.plan.holds


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(CASES, min_size=1, max_size=5), DISTURBANCES)
def test_disturbed_twin_of_an_answer_leads_to_the_same_decisions(cases: list[Case], how: Disturbance) -> None:
    expected = asyncio.run(decided(Twin(cases)))
    assert comparable(asyncio.run(decided(Twin(cases, how)))) == comparable(expected)


def test_canonical_answers_lead_to_every_kind_of_decision() -> None:
    """Or the property would compare nothing with nothing."""
    cases = [Case(fate, held, ("/preview frobnicate",)) for fate in FATES for held in (True, False)]
    decision = asyncio.run(decided(Twin(cases)))
    assert {type(a).__name__ for a in decision.actions} >= {"Start", "Change", "Withdraw", "UpdateComment"}
    stages = {s.stage.name for s in decision.statuses.values()}
    assert stages >= {"READY", "STARTING", "ASLEEP", "EXPIRING", "REMOVING", "NONE"}
