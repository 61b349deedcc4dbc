"""The simulated GitHub of a chaos run, in a process of its own: world, webhooks, registry, and a bad front door.

The driver orders what people do over a control port and reads there what is true and what every answer said. Start it
with `python -m chaos.github FOLDER`; it writes its addresses to `FOLDER/github.json`.
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
import sys
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from chaos.cluster import ended_with
from chaos.judge import BOT
from greenroom.asgi_server import running
from greenroom.simulator.app import PAGE, Simulator, api
from greenroom.simulator.registry import Images, registry
from greenroom.simulator.webhooks import Webhooks
from greenroom.simulator.world import PullRequest, Repository, User, World

Json = dict[str, Any]
SIMULATED = ("truncated", "empty-list", "graphql-errors", "wrong-date", "dropped-write", "server-error", "html")
HOOKS = ("webhook-lost", "webhook-duplicated", "webhook-late", "webhook-reordered")
SNAPSHOTS, SNAPSHOT_SECONDS = 12, 0.6


class Lagging(Simulator):
    """A simulator whose reads come from replicas: with the chance `share_behind` each answer from another one, some seconds behind;
    with `behind` all answers from one that is so many seconds behind.
    """

    def __init__(self, world: World, chance: random.Random) -> None:
        super().__init__(world)
        self.share_behind = 0.0
        self.behind = 0.0
        self._chance = chance
        self._past: deque[tuple[float, Starlette]] = deque(maxlen=SNAPSHOTS)

    def remember(self) -> None:
        """Keep the world as it is now."""
        past = copy.copy(self.world)
        past.repositories = copy.deepcopy(self.world.repositories)
        self._past.append((time.monotonic(), api(past)))

    def _reader(self, path: str) -> Starlette:
        if self._past and self.behind:
            wanted = time.monotonic() - self.behind
            return min(self._past, key=lambda past: abs(past[0] - wanted))[1]
        if self._past and self._chance.random() < self.share_behind:
            return self._chance.choice(self._past)[1]
        return super()._reader(path)


class Door:
    """The simulator behind an unreliable front: what happens to each request is drawn from `weather`.

    `weather` maps a fault to its chance for each request, or for `hidden` and `locked` to the pull requests concerned.
    """

    def __init__(self, simulator: Lagging, chance: random.Random) -> None:
        self._simulator = simulator
        self._chance = chance
        self.weather: Json = {}
        self.counts: list[tuple[float, str, str, int]] = []
        self.answers: list[Json] = []
        self._last: dict[tuple[int, int], Json] = {}

    def change(self, weather: Json) -> None:
        """Let another weather begin."""
        self.weather = weather
        self._simulator.share_behind = float(weather.get("lag", 0.0))
        self._simulator.behind = float(weather.get("behind", 0.0))
        self._simulator.world.faults.off()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await Request(scope, receive).body()
        status, headers, content = await self._answer(scope, body)
        self.counts.append((time.monotonic(), scope["method"], scope["path"].removeprefix("/api/v3"), status))
        if status == 0:  # the connection ends in the middle of an answer
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100000")]})
            await send({"type": "http.response.body", "body": b"{"})
            return
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _happens(self, name: str) -> bool:
        return self._chance.random() < float(self.weather.get(name, 0.0))

    async def _answer(self, scope: Scope, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        path, method = scope["path"], scope["method"]
        writes = method != "GET" and not path.endswith("/graphql")
        if self._happens("hang"):
            await asyncio.sleep(self._chance.uniform(1, 4))
            return 0, [], b""
        if self._happens("cut"):
            return 0, [], b""
        if self._happens("502"):
            return await _plain(HTMLResponse("<html>502 Bad Gateway</html>", 502))
        if self._happens("limit"):
            said = {"message": "You have exceeded a secondary rate limit."}
            return await _plain(JSONResponse(said, 403, headers={"retry-after": "1"}))
        if self._happens("page"):
            return await _plain(HTMLResponse(PAGE))
        for number in self.weather.get("hidden", ()):
            if f"/pulls/{number}" in path or f"/issues/{number}/" in path or path.endswith(f"/issues/{number}"):
                return await _plain(JSONResponse({"message": "Not Found", "status": "404"}, 404))
        if method == "POST" and any(path.endswith(f"/issues/{n}/comments") for n in self.weather.get("locked", ())):
            said = {"message": "Unable to create comment because issue is locked.", "status": "403"}
            return await _plain(JSONResponse(said, 403))
        if method == "PATCH" and "/issues/comments/" in path and self._happens("lost-patch"):
            return await self._unapplied(scope, body)
        for name in SIMULATED:
            if self._happens(name):
                self._simulator.world.faults.on(name, times=1)
        status, headers, content = await self._inner(scope, body)
        if not writes and status == 200 and self._happens("shape"):
            self._note(content, method, path, whole=False)  # what is wrong in it may concern another pull request
            content = _misshapen(content, self._chance)
            headers = [h for h in headers if h[0] != b"content-length"]
        elif status == 200:
            self._note(content, method, path)
        return status, headers, content

    async def _inner(self, scope: Scope, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        try:
            return await _called(self._simulator, scope, body)
        except Exception as error:
            if type(error).__name__ == "Dropped":  # the write was applied, and its answer is lost
                return 0, [], b""
            raise

    async def _unapplied(self, scope: Scope, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Answer 200 with the comment as it was to become, and apply nothing."""
        read = {**scope, "method": "GET"}
        status, headers, content = await _called(self._simulator, read, b"")
        if status != 200:
            return status, headers, content
        return await _plain(JSONResponse({**json.loads(content), "body": json.loads(body)["body"]}))

    # --- what every answer said ---

    def _note(self, content: bytes, method: str, path: str, *, whole: bool = True) -> None:
        try:
            answer = json.loads(content)
        except ValueError:
            return
        if not isinstance(answer, dict):
            return
        if path.endswith("/graphql"):
            for repository in (answer.get("data") or {}).values():
                if isinstance(repository, dict) and "pullRequests" in repository:
                    for node in repository["pullRequests"]["nodes"]:
                        if node:
                            labels = [n["name"] for n in node["labels"]["nodes"]]
                            state, updated = node["state"], node["updatedAt"]
                            self._answered(repository["databaseId"], node["number"], updated, state, labels, whole)
        elif method == "GET" and "merged_at" in answer and "base" in answer:
            labels = [n["name"] for n in answer["labels"]]
            repository_id = answer["base"]["repo"]["id"]
            self._answered(repository_id, answer["number"], answer["updated_at"], answer["state"], labels, whole)

    def _answered(self, repository: int, number: int, updated: str, state: str, labels: list[str], whole: bool) -> None:
        now = time.monotonic()
        said = {"updated": updated, "open": state.lower() == "open", "labels": sorted(labels), "whole": whole}
        last = self._last.get((repository, number))
        if last and {k: last[k] for k in said} == said:
            last["until"] = now
            return
        made = {"t": now, "until": now, "repo": repository, "number": number, **said}
        self._last[repository, number] = made
        self.answers.append(made)


async def _called(application: Any, scope: Scope, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    found: Json = {"status": 500, "headers": [], "body": b""}

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            found.update(status=message["status"], headers=list(message["headers"]))
        elif message["type"] == "http.response.body":
            found["body"] += message.get("body", b"")

    await application(scope, receive, send)
    return found["status"], found["headers"], found["body"]


async def _plain(response: Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return response.status_code, list(response.raw_headers), bytes(response.body)


def _misshapen(content: bytes, chance: random.Random) -> bytes:
    """The same JSON with one value of another type, or one key missing: never a well-formed lie."""
    try:
        answer = json.loads(content)
    except ValueError:
        return content
    places = list(_places(answer))
    if not places or chance.random() < 0.25:
        return json.dumps(chance.choice([[], None, "unexpected", 7])).encode()
    holder, key = chance.choice(places)
    if isinstance(holder, dict) and chance.random() < 0.5:
        del holder[key]
    else:
        holder[key] = _otherwise(holder[key])
    return json.dumps(answer).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    found = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(found):
        yield value, key
        yield from _places(inner)


def _otherwise(value: Any) -> Any:
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        return {"unexpected": value}
    return {"unexpected": value} if isinstance(value, str) else "unexpected"


class Journal:
    """Everything that happened to each pull request, by whom, and what was true right after it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.entries: list[Json] = []
        self._bodies: dict[int, str] = {}
        self.made: dict[int, float] = {}
        world.listeners.insert(0, self.happened)

    def happened(self, event: str, action: str, repo: Repository, pull: PullRequest | None, who: User) -> None:
        if pull is None:
            self.note(repo, None, f"{event} {action}", who.login)
            return
        changed = [c for c in pull.comments if c.author.login == BOT and self._bodies.get(c.id) != c.body]
        self.note(repo, pull, f"{event} {action}", who.login)
        for comment in changed:
            self._bodies[comment.id] = comment.body
            self.made.setdefault(comment.id, time.monotonic())
            self.entries[-1] |= {"comment": comment.id, "body": comment.body}

    def note(self, repo: Repository, pull: PullRequest | None, event: str, who: str) -> None:
        entry: Json = {"t": time.monotonic(), "at": self._world.now().isoformat(), "event": event, "who": who}
        entry |= {"repo": repo.id, "slug": repo.slug, "private": repo.private}
        if pull is not None:
            entry |= {"number": pull.number, "open": pull.state == "open", "labels": sorted(pull.labels)}
            entry |= {"sha": pull.head_sha, "draft": pull.draft, "merged": pull.merged_at is not None}
            entry |= {"updated": pull.updated_at.isoformat()}
        self.entries.append(entry)


class GitHub:
    """The process: `control` is the ASGI application that the driver speaks to."""

    def __init__(self, seed: str, secret: str) -> None:
        self.chance = random.Random(seed)
        self.world = World(datetime.now(UTC), running=True)
        self.images = Images()
        self.journal = Journal(self.world)
        self.world.listeners.append(self._fate)
        self.hooks = Webhooks(self.world, secret)
        self.simulator = Lagging(self.world, self.chance)
        self.door = Door(self.simulator, self.chance)
        self.control = Starlette(
            routes=[
                Route("/do", self._do, methods=["POST"]),
                Route("/weather", self._weather, methods=["POST"]),
                Route("/truth", self._truth),
            ]
        )

    def _fate(self, *event: object) -> None:
        """Draw what happens to the webhook of this event, just before it is sent."""
        self.world.faults.off(*HOOKS)
        for name in HOOKS:
            if self.chance.random() < float(self.door.weather.get(name, 0.0)):
                self.world.faults.on(name, times=1)

    async def _do(self, request: Request) -> Response:
        """Do a list of things at once: methods of the world, and a few of our own."""
        done = []
        for each in await request.json():
            name = each.pop("op")
            done.append(self._one(name, each))
        return JSONResponse(done)

    def _one(self, name: str, given: Json) -> Any:
        world = self.world
        if (slug := str(given.get("slug", "")).lower()) in world.renamed and slug not in world.repositories:
            moved = world.by_id(world.renamed[slug])  # somebody had the old name in mind
            given["slug"] = moved.slug if moved else slug
        match name:
            case "push_image":
                self.images.push(given["image"], given["tag"], given.get("label", ""))
                return world.workflow_completed(given["slug"])
            case "advance":
                return world.advance(timedelta(seconds=given["seconds"]))
            case "private":
                world.repository(given["slug"]).private = given["private"]
                return None
            case "repository":
                return world.repository(given["slug"], private=given["private"]).id
            case "hooks":
                self.hooks.send_to(given["url"])
                return None
            case "draft":
                pull = world.pull_request(given["slug"], given["number"])
                pull.draft, pull.updated_at = True, world.now()
                return self.journal.note(world.repository(given["slug"]), pull, "draft", given["by"])
            case "open_pull_request":
                return world.open_pull_request(given.pop("slug"), **given).number
            case "comment":
                return world.comment(**given).id
            case "rename_label" if given["new"] in world.repository(given["slug"]).labels:
                return self._merge_label(**given)
        getattr(world, name)(**given)
        if name in ("rename_label", "delete_label", "delete_comment"):
            repo = world.repository(given["slug"])
            for pull in repo.pull_requests.values() if name != "delete_comment" else ():
                self.journal.note(repo, pull, name, "an admin")
        return None

    def _merge_label(self, slug: str, old: str, new: str) -> None:
        """What an admin does when GitHub refuses to rename a label because somebody made one of that name meanwhile."""
        for number, pull in self.world.repository(slug).pull_requests.items():
            if old in pull.labels:
                self.world.label(slug, number, new, "person-0")
        self.world.delete_label(slug, old, "person-0")

    async def _weather(self, request: Request) -> Response:
        self.door.change(await request.json())
        return JSONResponse({})

    async def _truth(self, request: Request) -> Response:
        """Everything: what is true now, and what happened and was told since these places in the three lists."""
        seen, told, asked = (int(request.query_params.get(k, 0)) for k in ("journal", "answers", "requests"))
        pulls = [
            {
                "repo": repo.id,
                "slug": repo.slug,
                "private": repo.private,
                "number": pull.number,
                "title": pull.title,
                "open": pull.state == "open",
                "labels": sorted(pull.labels),
                "draft": pull.draft,
                "sha": pull.head_sha,
                "comments": [
                    {
                        "id": c.id,
                        "body": c.body,
                        "author": c.author.login,
                        "editor": c.editor.login if c.editor else "",
                        "made": self.journal.made.get(c.id, 0.0),
                    }
                    for c in pull.comments
                ],
            }
            for repo in self.world.repositories.values()
            for pull in repo.pull_requests.values()
        ]
        return JSONResponse(
            {
                "now": self.world.now().isoformat(),
                "pulls": pulls,
                "journal": self.journal.entries[seen:],
                "answers": self.door.answers[told:],
                "requests": self.door.counts[asked:],
            }
        )

    async def run(self, folder: Path) -> None:
        async with (
            running(self.door) as api,
            running(registry(self.images)) as images,
            running(self.control) as control,
        ):
            note = {"api": f"{api}/api/v3", "registry": images.removeprefix("http://"), "control": control}
            (folder / "github.new").write_text(json.dumps(note))
            (folder / "github.new").rename(folder / "github.json")
            sending = asyncio.create_task(self.hooks.run())
            try:
                while True:
                    await asyncio.sleep(SNAPSHOT_SECONDS)
                    if self.door.weather:
                        self.simulator.remember()
                    if self.chance.random() < 0.3 or not self.door.weather:
                        self.hooks.send_late()
            finally:
                sending.cancel()


if __name__ == "__main__":
    order = json.loads(sys.stdin.readline())
    ended_with(sys.stdin)
    asyncio.run(GitHub(order["seed"], order["secret"]).run(Path(sys.argv[1])))
