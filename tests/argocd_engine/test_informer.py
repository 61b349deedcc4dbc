"""The copy over real sockets: what goes, breaks or freezes between us and the API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from greenroom import asgi_server
from greenroom.argocd.client import PODS, Kube
from greenroom.argocd.informer import Mirror
from greenroom.argocd.timing import DEFAULT, Timing
from greenroom.errors import Doubt
from waiting import HandClock, until


@dataclass
class Server:
    """Pods by name. `refuses` answers 503; `said` is every line of every watch; None in a queue ends that watch."""

    pods: dict[str, int] = field(default_factory=dict)
    version: int = 1
    refuses: bool = False
    ends_at_once: bool = False
    lists: int = 0
    watches: list[asyncio.Queue[bytes | None]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        if self.refuses:
            return Response("away", 503)
        if "watch" not in request.query_params:
            self.lists += 1
            metadata = {"resourceVersion": str(self.version)}
            return JSONResponse({"items": [pod(n, v) for n, v in self.pods.items()], "metadata": metadata})
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        if self.ends_at_once:
            queue.put_nowait(None)
        self.watches.append(queue)

        async def lines() -> AsyncIterator[bytes]:
            while (line := await queue.get()) is not None:
                yield line

        return StreamingResponse(lines())

    def set(self, name: str, *, told: bool = True) -> None:
        self.version += 1
        self.pods[name] = self.version
        if told:
            self.tell("MODIFIED", pod(name, self.version))

    def gone(self, name: str, *, told: bool = True) -> None:
        self.version += 1
        del self.pods[name]
        if told:
            self.tell("DELETED", pod(name, self.version))

    def tell(self, kind: str, found: Any) -> None:
        self.say(json.dumps({"type": kind, "object": found}).encode() + b"\n")

    def say(self, *lines: bytes | None) -> None:
        for line in lines:
            self.watches[-1].put_nowait(line)


def pod(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "a", "resourceVersion": str(version)}}


@dataclass
class Copied:
    server: Server
    mirror: Mirror
    changed: list[str]

    async def until(self, *names: str) -> None:
        await until(lambda: {n for _, n in self.mirror.items} == set(names))

    async def watched(self, times: int = 1) -> None:
        await until(lambda: len(self.server.watches) >= times)

    async def outdated(self) -> None:
        def check() -> bool:
            return not self.mirror.whole()

        with pytest.raises(Doubt, match="out of date"):
            await until(check)


@asynccontextmanager
async def copied(*names: str, timing: Timing = DEFAULT) -> AsyncIterator[Copied]:
    server = Server(dict.fromkeys(names, 1))
    routes = [Route("/api/v1/pods", server.answer)]
    async with (
        asgi_server.running(Starlette(routes=routes)) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        changed: list[str] = []
        mirror = Mirror(Kube(client), PODS, lambda found: changed.append(found["metadata"]["name"]), timing)
        task = asyncio.create_task(mirror.run())
        try:
            made = Copied(server, mirror, changed)
            await made.until(*names)
            await made.watched()
            yield made
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for queue in server.watches:
                queue.put_nowait(None)


async def test_added_changed_and_deleted_objects_are_copied_and_reported() -> None:
    async with copied("one") as made:
        made.server.set("two")
        await made.until("one", "two")
        made.server.gone("one")
        await made.until("two")
        assert made.changed == ["one", "two", "one"]
        assert made.mirror.whole().keys() == {("a", "two")}


async def test_deletion_during_a_server_outage_is_reported_afterwards() -> None:
    async with copied("one", "two", timing=Timing(copy_fresh=0.2)) as made:
        made.server.refuses = True
        made.server.say(None)
        made.server.gone("one", told=False)
        made.server.set("three", told=False)
        await made.outdated()
        assert len(made.mirror.items) == 2, "nothing is gone because nobody answers"
        made.server.refuses = False
        await made.until("two", "three")
        assert sorted(made.changed[2:]) == ["one", "three"], "two is as it was"
        made.mirror.whole()


async def test_a_connection_that_is_silent_for_too_long_is_given_up_and_its_copy_was_not_current() -> None:
    clock = HandClock()
    async with copied("one", timing=clock.timing(watch_idle=0.3)) as made:
        made.mirror.whole()
        made.server.refuses = True  # half open: the watch stands, nothing comes, and nobody else answers
        made.server.gone("one", told=False)
        await clock.move(46)
        await made.outdated()
        made.server.refuses = False
        await clock.until(lambda: not made.mirror.items)


async def test_bookmarks_keep_a_quiet_copy_current() -> None:
    async with copied("one", timing=Timing(watch_idle=0.2)) as made:
        for version in range(50, 56):
            made.server.tell("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})
            await asyncio.sleep(0.1)
        assert made.server.lists == 1
        assert made.mirror.whole().keys() == {("a", "one")}
        assert made.changed == ["one"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version"}}\n',
        b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcdserver: no leader"}}\n',
        b'{"type":"MODIFIED","object":{"metad',
        b"[]\n",
        b"<html>\n",
    ],
    ids=["too old", "no leader", "cut in a line", "no event", "a proxy's page"],
)
async def test_whatever_ends_a_watch_another_list_follows(line: bytes) -> None:
    async with copied("one") as made:
        made.server.set("two", told=False)
        made.server.say(line, None)
        await made.until("one", "two")


@pytest.mark.parametrize("answer", [b"", b'{"type":"ERROR","object":{"code":500,"message":"no leader"}}\n'])
async def test_a_watch_that_ends_as_soon_as_it_begins_is_asked_for_less_and_less(answer: bytes) -> None:
    async with copied("one") as made:
        made.server.ends_at_once = not answer
        made.server.say(*filter(None, [answer]), None)
        for _ in range(20):
            await asyncio.sleep(0.05)
            if answer and len(made.server.watches) > 1:
                made.server.say(answer, None)
        assert 1 < len(made.server.watches) <= 8
