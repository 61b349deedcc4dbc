"""GitHub's answers of another shape: always an error of ours, and doubt about the smallest thing that it concerns."""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import httpx2
import pytest

from builders import identity, pull_request
from greenroom.asgi_server import running
from greenroom.core.model.ci import AwaitedCommit
from greenroom.core.model.github import Confirmation, Listing
from greenroom.errors import Doubt, GreenroomError, Renamed
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.reading import Reading
from greenroom.github.transport import Transport
from greenroom.simulator.app import Simulator
from greenroom.simulator.world import World

SLUG, BOT, MARKER = "acme/shop", "greenroom[bot]", "<!-- greenroom:1 demo -->"
OTHERS: list[Any] = [None, [], {}, [1], {"a": 1}, 7, -1, 2**70, "text", "", True, "2026-03-02T09:00:00", [[]] * 3]
GONE = object()
Path = tuple[Any, ...]


class Recording:
    """GitHub's answers to one call, and the same call again with one of them changed."""

    def __init__(self, answers: list[tuple[int, Any]], requests: tuple[str, ...] = ()) -> None:
        self.answers = answers
        self.requests = requests

    @classmethod
    async def of(cls, call: Callable[[GitHub], Awaitable[Any]], of: World | None = None) -> Recording:
        answers: list[tuple[int, Any]] = []
        requests: list[str] = []

        async def keep(response: httpx2.Response) -> None:
            await response.aread()
            requests.append(_key(response.request))
            answers.append((response.status_code, json.loads(response.content)))

        async with (
            running(Simulator(of or world())) as url,
            httpx2.AsyncClient(timeout=5, trust_env=False, event_hooks={"response": [keep]}) as client,
        ):
            clock = Clock()
            await call(GitHub(Transport(client, Token("token"), f"{url}/api/v3", clock), clock, MARKER))
        return cls(answers, tuple(requests))

    def confirming(self, damaged: int, body: object) -> GitHub:
        """GitHub with ETags. It damages one answer once, and confirms every page that the client has cached."""
        answers = dict(zip(self.requests, self.answers, strict=True))
        once = {self.requests[damaged]: (self.answers[damaged][0], body)}

        def answer(request: httpx2.Request) -> httpx2.Response:
            headers = {"date": "Mon, 02 Mar 2026 09:00:00 GMT", "etag": '"1"'}
            if request.headers.get("if-none-match"):
                return httpx2.Response(304, headers=headers)
            status, sent = once.pop(_key(request), None) or answers[_key(request)]
            return httpx2.Response(status, json=sent, headers=headers)

        client, clock = httpx2.AsyncClient(transport=httpx2.MockTransport(answer)), Clock()
        return GitHub(Transport(client, Token("token"), "https://github.example.com/api/v3", clock), clock, MARKER)

    def github(self, changed: int = -1, path: Path = (), value: object = None) -> GitHub:
        """GitHub as it was, but for one value of one answer. What is asked beyond that gets an empty answer."""
        left = [(s, _with(a, path, value) if i == changed else a) for i, (s, a) in enumerate(self.answers)]

        def answer(request: httpx2.Request) -> httpx2.Response:
            status, body = left.pop(0) if left else (200, [])
            headers = {"date": "Mon, 02 Mar 2026 09:00:00 GMT"}
            return httpx2.Response(status, json=body, headers=headers)

        client, clock = httpx2.AsyncClient(transport=httpx2.MockTransport(answer)), Clock()
        return GitHub(Transport(client, Token("token"), "https://github.example.com/api/v3", clock), clock, MARKER)

    def changes(self) -> Iterator[tuple[int, Path, object]]:
        """Every value of every answer, replaced by some of the others in turn, or taken out."""
        every = (
            (i, path, other)
            for i, (_, body) in enumerate(self.answers)
            for path in _paths(body)
            for other in (*OTHERS, *((GONE,) if path and isinstance(path[-1], str) else ()))
        )
        return islice(every, 0, None, 5)


def _key(request: httpx2.Request) -> str:
    return f"{request.method} {request.url.raw_path!r} {request.content!r}"


def world() -> World:
    made = World()
    made.token("token", BOT)
    made.collaborator(SLUG, "ada", "write")
    for number in (1, 2):
        made.open_pull_request(SLUG, head=f"b{number}", sha=str(number) * 40, by="ada")
        made.label(SLUG, number, "preview", "ada")
        made.comment(SLUG, number, "/preview use payments#3", "ada")
        made.comment(SLUG, number, f"{MARKER}\nours", BOT)
    _ci(made)
    return made


def _ci(world: World) -> None:
    """Give the first head a run in progress, and the branch of the second one a run for an earlier commit."""
    for of, branch in (("6", "b1"), ("7", "b2")):
        world.finish_run(SLUG, world.run_workflow(SLUG, of * 40, branch=branch).id)
    world.run_workflow(SLUG, "1" * 40, branch="b1")
    world.finish_run(SLUG, world.run_workflow(SLUG, "8" * 40, branch="b3").id)
    world.check(SLUG, "8" * 40, name="image", app="buildkite", conclusion="success")


def eventful() -> World:
    """A world in which GitHub's answers have every kind of value that we read, three days before they are read."""
    made = World(start=datetime(2026, 2, 27, 9, 0, tzinfo=UTC))
    made.token("token", BOT)
    made.collaborator(SLUG, "ada", "write")
    for number in (1, 2, 3):
        made.open_pull_request(SLUG, head=f"b{number}", sha=str(number) * 40, by="ada", body="Preview-with: acme/pay#7")
        made.label(SLUG, number, "preview", "ada")
    made.push(SLUG, 1, "4" * 40, "ada", force=True)
    made.push(SLUG, 1, "5" * 40, "renovate[bot]")
    made.review(SLUG, 1, "ada")
    made.comment(SLUG, 1, "/preview use payments#3", "ada")
    made.edit_comment(SLUG, made.comment(SLUG, 1, f"{MARKER}\nours", BOT).id, f"{MARKER}\nedited", "ada")
    made.pull_request(SLUG, 2).renamed = {"back/new.py": "front/old.py"}
    made.change(SLUG, 2, ["README.md", "back/new.py"])
    made.unlabel(SLUG, 2, "preview", "renovate[bot]")
    made.close(SLUG, 3, "ada", merge=True)
    _ci(made)
    return made


def _paths(value: Any, here: Path = ()) -> Iterator[Path]:
    yield here
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _paths(inner, (*here, key))


def _with(body: Any, path: Path, value: object) -> Any:
    if not path:
        return value
    made = copy.deepcopy(body)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return made


async def _listing(github: GitHub) -> Listing | GreenroomError:
    return (await github.listings([SLUG]))[SLUG]


def _ci_of(of: str, branch: str) -> Callable[[GitHub], Awaitable[Any]]:
    return lambda github: github.ci(SLUG, AwaitedCommit(identity(1), of * 40, branch, True))


CI: dict[str, Callable[[GitHub], Awaitable[Any]]] = {
    "a run in progress": _ci_of("1", "b1"),
    "no run": _ci_of("2", "b2"),
    "a check of another app": _ci_of("8", "b3"),
}
CALLS: dict[str, Callable[[GitHub], Awaitable[Any]]] = {
    "the list": _listing,
    "one pull request": lambda github: github.pull_request(SLUG, 1),
    "a permission": lambda github: github.permission(SLUG, "ada"),
    "our account": lambda github: github.me(),
    "a new comment": lambda github: github.write_comment(SLUG, 1, None, "another", "<!-- greenroom:2 -->"),
    "an edited comment": lambda github: github.write_comment(SLUG, 1, None, "ours", MARKER),
    "a label taken off": lambda github: github.remove_label(SLUG, 1, "preview"),
    **CI,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_an_answer_of_another_shape_is_always_an_error_of_ours(call: Callable[[GitHub], Awaitable[Any]]) -> None:
    recording = await Recording.of(call)
    for change in recording.changes():
        try:
            await call(recording.github(*change))
        except GreenroomError as error:
            assert str(error).endswith("."), error
        except Exception as error:
            raise AssertionError(f"{change}: {error!r}") from error


async def _files(github: GitHub) -> frozenset[str] | None:
    listed = pull_request(2, head_sha="2" * 40, changed_files=2)
    return await github.changed_files(SLUG, listed)


READS: dict[str, Callable[[GitHub], Awaitable[Any]]] = {
    "the list": _listing,
    "a pull request with the label": lambda github: github.pull_request(SLUG, 1, "preview"),
    "a pull request without the label": lambda github: github.pull_request(SLUG, 2, "preview"),
    "a merged pull request": lambda github: github.pull_request(SLUG, 3, "preview"),
    "changed files": _files,
    "a permission": lambda github: github.permission(SLUG, "ada"),
    "our account": lambda github: github.me(),
    **CI,
}
TYPES: tuple[tuple[type, tuple[Any, ...]], ...] = (
    (bool, (True, False)),
    (int, (7, 0)),
    (str, ("text", "")),
    (list, ([], [1], ["text"])),
    (dict, ({}, {"a": 1})),
)


def _retyped(value: Any) -> list[object]:
    """Return values of the other JSON types, and none for null. An id may be a number or decimal digits."""
    own = {kind for kind, _ in TYPES if isinstance(value, kind)} | ({int} if str(value).isdecimal() else set())
    return [other for kind, others in TYPES for other in others if own and kind not in own]


def _same(found: Any, known: Any) -> bool:
    """Return whether an answer was understood as it was before, except for pull requests in doubt."""
    match found, known:
        case Listing(), Listing():
            rest = tuple(p for p in known.pull_requests if p.identity.number not in found.doubts)
            return replace(found, doubts={}) == replace(known, pull_requests=rest, read_at=found.read_at)
        case Confirmation(), Confirmation():
            return found == replace(known, read_at=found.read_at)
    return bool(found == known)


@pytest.mark.parametrize("call", READS.values(), ids=READS)
async def test_a_value_of_another_json_type_is_doubt_or_nothing_reads_it(
    call: Callable[[GitHub], Awaitable[Any]],
) -> None:
    recording = await Recording.of(call, eventful())
    known = await call(recording.github())
    assert not isinstance(known, GreenroomError)

    async def wrong(*change: Any) -> str:
        try:
            found = await call(recording.github(*change))
        except GreenroomError:
            return ""
        except Exception as error:
            return repr(error)
        return "" if isinstance(found, GreenroomError) or _same(found, known) else "understood in another way"

    async def unread(i: int, path: Path) -> bool:
        try:
            found = await call(recording.github(i, path, GONE))
        except GreenroomError:
            return False
        return _same(found, known) and not (isinstance(found, Listing) and found.doubts)

    misread = []
    for i, (_, body) in enumerate(recording.answers):
        left: list[tuple[Path, Any]] = [((), body)]
        while left:
            path, value = left.pop()
            if path and isinstance(path[-1], str) and await unread(i, path):
                continue
            items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            left += (((*path, key), inner) for key, inner in items)
            misread += [(i, path, other, why) for other in _retyped(value) if (why := await wrong(i, path, other))]
    assert misread == []


CACHED = {name: call for name, call in READS.items() if name not in ("the list", "our account")} | {
    "whether one is hidden": lambda github: github.hides(SLUG, 1000, 1),
    "our comment": CALLS["an edited comment"],
}
DAMAGED: tuple[Any, ...] = ({"a": 1}, [7], [[]], "text", {"permission": "text"}, [{"event": "labeled", "label": 7}])


@pytest.mark.parametrize("call", CACHED.values(), ids=CACHED)
async def test_a_damaged_answer_is_not_confirmed_by_a_304(call: Callable[[GitHub], Awaitable[Any]]) -> None:
    recording = await Recording.of(call, eventful())
    known = await call(recording.github())
    damaged = 0
    for i, request in enumerate(recording.requests):
        for body in DAMAGED if request.startswith("GET") else ():
            github = recording.confirming(i, body)
            try:
                await call(github)
            except GreenroomError:
                damaged += 1
                assert _same(await call(github), known), (request, body)
    assert damaged


async def test_what_is_wrong_with_one_pull_request_is_doubt_about_that_one_alone() -> None:
    recording = await Recording.of(_listing)
    canonical = await _listing(recording.github())
    assert isinstance(canonical, Listing)
    _, second = canonical.pull_requests
    node = ("data", "r0", "pullRequests", "nodes", 0)
    doubted = 0
    for change in recording.changes():
        _, path, _ = change
        if path[:5] != node or path in (node, (*node, "number")):
            continue
        found = await _listing(recording.github(*change))
        assert isinstance(found, Listing), (change, found)
        assert second in found.pull_requests, change
        assert found.doubts.keys() | {p.identity.number for p in found.pull_requests} == {1, 2}, change
        doubted += 1 in found.doubts
    assert doubted > 60


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("title", 5, "title is a number instead of a string"),
        ("headRefOid", "main; rm -rf /", "headRefOid is a different string instead of a commit hash of 40 digits"),
        ("updatedAt", "2026-03-02T09:00:00", "updatedAt is a different string instead of a time with a time zone"),
        ("labels", [], "labels is a list instead of an object"),
        ("isDraft", None, "isDraft is null instead of true or false"),
    ],
)
async def test_the_sentence_says_what_is_wrong_and_where(key: str, value: object, words: str) -> None:
    recording = await Recording.of(_listing)
    found = await _listing(recording.github(0, ("data", "r0", "pullRequests", "nodes", 0, key), value))
    assert isinstance(found, Listing)
    assert found.doubts == {
        1: f"GitHub's response about {SLUG}#1 does not have the documented shape ({words}). Greenroom will retry."
    }


async def test_an_error_inside_one_pull_request_is_doubt_about_that_one_alone() -> None:
    recording = await Recording.of(_listing)
    errors = [{"message": "Something went wrong.", "path": ["r0", "pullRequests", "nodes", 1, "comments"]}]
    found = await _listing(recording.github(0, ("errors",), errors))
    assert isinstance(found, Listing)
    assert [p.identity.number for p in found.pull_requests] == [1]
    assert found.doubts == {
        2: f"GitHub returned only part of {SLUG}#2 (Something went wrong.). Greenroom will read the pull request again."
    }


async def test_a_deleted_label_in_a_timeline_is_not_about_the_whole_list() -> None:
    recording = await Recording.of(_listing)
    node = ("data", "r0", "pullRequests", "nodes", 1)
    spoiled = _with(recording.answers[0][1], (*node, "labelEvents", "nodes", 0), None)
    spoiled["errors"] = [{"message": "Cannot return null.", "path": ["r0", *node[2:], "labelEvents", "nodes", 0]}]
    found = await _listing(Recording([(200, spoiled)]).github())
    assert isinstance(found, Listing)
    assert found.pull_requests[0].identity.number == 1
    assert not any("returned only part" in why for why in found.doubts.values())


async def test_a_pull_request_that_is_listed_twice_hides_another_one() -> None:
    recording = await Recording.of(_listing)
    path = ("data", "r0", "pullRequests", "nodes", 1, "number")
    assert isinstance(found := await _listing(recording.github(0, path, 1)), Doubt)
    assert "listed the same pull request in acme/shop twice" in str(found)
    page = _with(recording.answers[0][1], path, 1)
    page = _with(page, ("data", "r0", "pullRequests", "totalCount"), 1)
    assert isinstance(await _listing(Recording([(200, page)]).github()), Doubt), "also where the count agrees"


@pytest.mark.parametrize("cursor", [None, "same"])
async def test_pages_that_never_end_are_doubt(cursor: str | None) -> None:
    recording = await Recording.of(_listing)
    page = _with(
        recording.answers[0][1], ("data", "r0", "pullRequests", "pageInfo"), {"hasNextPage": True, "endCursor": cursor}
    )
    github = Recording([(200, page)] * 5).github()
    assert isinstance(await _listing(github), Doubt)


async def test_a_comment_whose_making_was_answered_oddly_is_found_and_not_made_twice() -> None:
    call = CALLS["a new comment"]
    recording = await Recording.of(call)
    made = {"id": 7, "body": "<!-- greenroom:2 -->\nanother", "user": {"login": BOT, "type": "Bot"}}
    answers = [*recording.answers[:-1], (201, ["odd"]), (200, [made])]
    assert await call(Recording(answers).github()) == 7


async def test_json_that_is_nested_too_deeply_is_doubt() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=b"[" * 200_000, headers={"content-type": "application/json"})

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    with pytest.raises(Doubt):
        await Transport(client, Token("token"), "https://github.example.com/api/v3", Clock()).get("/user")


@pytest.mark.parametrize(
    ("node", "seen"),
    [
        ({"number": 3, "updatedAt": "2026-03-02T09:00:00Z"}, {(7, 3)}),
        ({"number": 3, "updatedAt": "2026-03-02T10:00:00Z"}, set()),
        ({"number": 3, "updatedAt": "2026-03-02T09:00:00"}, set()),
        ({"number": 3, "updatedAt": 5}, set()),
        ({"number": "x", "updatedAt": "2026-03-02T09:00:00Z"}, set()),
        ({}, set()),
        (None, set()),
    ],
    ids=["fine", "from the future", "no zone", "a number", "no number", "empty", "null"],
)
def test_odd_pull_requests_of_a_renamed_repository_are_no_lower_bound(node: Any, seen: set[tuple[int, int]]) -> None:
    page = {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": [node], "totalCount": 1}
    repository = {"nameWithOwner": "acme/store", "databaseId": 7, "isPrivate": False, "pullRequests": page}
    reading = Reading("acme/shop")
    with pytest.raises(Renamed) as refused:
        reading.take({"data": {"r0": repository}}, "r0", 50, datetime(2026, 3, 2, 9, 30, tzinfo=UTC))
    assert set(refused.value.seen) == seen
