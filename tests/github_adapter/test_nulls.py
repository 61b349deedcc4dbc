"""Null nodes of GitHub: what says nothing is skipped, what hides something is doubt about one pull request alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from answers import list_answer, node, read
from greenroom.core.model.github import UNKNOWN_LABEL, Kind, Listing
from greenroom.errors import Doubt
from greenroom.github import translate


def damaged(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    made = copy.deepcopy(node(1))
    change(made)
    return made


HARMLESS: dict[str, Callable[[dict[str, Any]], object]] = {
    "label of a label event": lambda n: n["labelEvents"]["nodes"][1].update(label=None),
    "whole label event": lambda n: n["labelEvents"]["nodes"].insert(1, None),
    "actor of another label event": lambda n: n["labelEvents"]["nodes"][1].update(actor=None),
    "whole activity": lambda n: n["activity"]["nodes"].append(None),
    "commit": lambda n: n["activity"]["nodes"][1].update(commit=None),
    "author of a commit": lambda n: n["activity"]["nodes"][1]["commit"].update(author=None),
    "comment": lambda n: n["comments"]["nodes"].append(None),
    "author of a comment": lambda n: n["comments"]["nodes"][1].update(author=None),
    "author": lambda n: n.update(author=None),
    "head repository": lambda n: n.update(headRepository=None),
    "files": lambda n: n.update(files=None),
    "changed file": lambda n: n["files"]["nodes"].append(None),
    "merge commit": lambda n: n.update(potentialMergeCommit=None),
}
HIDES: dict[str, Callable[[dict[str, Any]], object]] = {
    "label that is on": lambda n: n["labels"]["nodes"].append(None),
    "name of a label that is on": lambda n: n["labels"]["nodes"][0].update(name=None),
    "labels": lambda n: n.update(labels=None),
    "label events": lambda n: n["labelEvents"].update(nodes=None),
    "head commit": lambda n: n.pop("headRefOid"),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
async def test_null_node_that_says_nothing_is_skipped(change: Callable[[dict[str, Any]], object]) -> None:
    found = await read(list_answer(damaged(change), node(2)))
    assert isinstance(found, Listing)
    assert found.doubts == {}
    one, two = found.pull_requests
    assert (one.labels, one.label_events[0], one.said) == (two.labels, two.label_events[0], two.said)


@pytest.mark.parametrize("change", HIDES.values(), ids=HIDES)
async def test_null_node_that_hides_something_is_doubt_about_one_pull_request(
    change: Callable[[dict[str, Any]], object],
) -> None:
    found = await read(list_answer(damaged(change), node(2)))
    assert isinstance(found, Listing)
    assert [p.identity.number for p in found.pull_requests] == [2]
    assert "acme/shop#1" in found.doubts[1]


@pytest.mark.parametrize(
    ("path", "understood"),
    [
        (["r0", "pullRequests", "nodes", 0, "labelEvents", "nodes", 1, "label"], [1, 2]),
        (["r0", "pullRequests", "nodes", 0, "labels"], [2]),
        (["r0", "pullRequests", "nodes", "first"], None),
        (["r0", "pullRequests", "nodes"], None),
        (["r0"], None),
        ([], None),
    ],
)
async def test_error_inside_one_pull_request_is_about_that_one(
    path: list[object], understood: list[int] | None
) -> None:
    found = await read(list_answer(node(1), node(2), errors=[{"message": "Something went wrong", "path": path}]))
    if understood is None:
        assert isinstance(found, Doubt)
        return
    assert isinstance(found, Listing)
    assert [p.identity.number for p in found.pull_requests] == understood
    assert {**found.doubts, **dict.fromkeys(understood)}.keys() == {1, 2}


def test_label_event_without_a_label_keeps_its_place() -> None:
    """By REST as by GraphQL; only the order says whether it may undo what is known."""
    rest: list[Any] = [
        None,
        {"event": "labeled", "label": {"name": "preview"}, "actor": None, "created_at": "2026-03-01T10:00:00Z"},
        {"event": "unlabeled", "label": None, "actor": {"login": "ada", "type": "User"}, "created_at": "2026-03-01T11:00:00Z"},
        {"event": "closed", "actor": None, "created_at": "2026-03-01T12:00:00Z"},
        {"event": "unlabeled", "actor": {"login": "ada", "type": "User"}, "created_at": "2026-03-01T13:00:00Z"},
        None,
    ]  # fmt: skip
    payload = json.loads(json.dumps(PAYLOAD))
    found = translate.rest_pull_request(payload, rest, None)
    names = [e.label for e in found.label_events]
    assert names == [UNKNOWN_LABEL, "preview", UNKNOWN_LABEL, UNKNOWN_LABEL, UNKNOWN_LABEL]
    times = [e.at for e in found.label_events]
    assert times == sorted(times)
    assert found.label_events[1].actor.kind is Kind.NOBODY
    closer = translate.closed_by(rest)
    assert closer is not None
    assert closer.kind is Kind.NOBODY


PAYLOAD = {
    "number": 1,
    "title": "A change",
    "html_url": "https://github.example.com/acme/shop/pull/1",
    "user": None,
    "state": "open",
    "draft": False,
    "head": {"sha": "a" * 40, "ref": "idea", "repo": None},
    "base": {"ref": "main", "repo": {"id": 7}},
    "labels": [],
    "created_at": "2026-03-01T09:00:00Z",
    "updated_at": "2026-03-01T13:00:00Z",
    "closed_at": None,
    "merge_commit_sha": None,
}
