"""The agent beside a database that restores a dump: it receives the dump, and returns the packed data.

It has no credentials, and its pod cannot open connections. Only the courier of the same build knows its token.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from greenroom import dumpfile
from greenroom.errors import Failed, GreenroomError
from greenroom.seeds import bake, layer
from greenroom.seeds.engines import POSTGRESQL, Engine

GO, EXIT = "go", "exit"
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True)
class Agent:
    """The agent of one build. `work` is the volume that it shares with the database's container of the `engine`.

    `ended` is set once the courier has everything, or gives up.
    """

    work: Path
    token: str
    engine: Engine = POSTGRESQL
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def application(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/dump", self._known(self.take), methods=["PUT"]),
            Route("/status", self._known(self.status), methods=["GET"]),
            Route("/pack", self._known(self.pack), methods=["POST"]),
            Route("/layer", self._known(self.layer), methods=["GET"]),
            Route("/", self._known(self.end), methods=["DELETE"]),
        ]
        return Starlette(routes=routes)

    def install(self) -> None:
        """Put the script where the database's container waits for it."""
        (self.work / "data").mkdir(exist_ok=True)
        bake.install(self.work / "bake.sh", self.engine)

    async def take(self, request: Request) -> Response:
        """Receive the dump, decompress it, and let the database's container start."""
        received = self.work / "received"
        with received.open("wb") as file:
            async for part in request.stream():
                file.write(part)
        await asyncio.to_thread(dumpfile.prepare, received, self.work / "data" / "dump")
        received.unlink()
        (self.work / GO).touch()
        return Response(status_code=204)

    async def status(self, request: Request) -> Response:
        """Answer with `running`, `done`, or `failed` and why."""
        if not (self.work / EXIT).exists():
            return JSONResponse({"state": "running"})
        try:
            bake.read_report(self.work / "data")
        except Failed as error:
            return JSONResponse({"state": "failed", "error": str(error)})
        return JSONResponse({"state": "done"})

    async def pack(self, request: Request) -> Response:
        """Pack the data of a finished build, and answer with the layer and the report."""
        body, work, engine = await request.json(), self.work / "data", self.engine
        report, data = bake.read_report(work), work / engine.data
        engine.verify(data, report.server, str(body["version"]))
        packed = await asyncio.to_thread(layer.pack, data, engine.place, self.work / "layer")
        shown = {name: value for name, value in asdict(packed).items() if name != "path"}
        report_json = {**asdict(report), "rows": dict(report.rows), "seconds": dict(report.seconds)}
        return JSONResponse({"layer": shown, "report": report_json})

    async def layer(self, request: Request) -> Response:
        """Answer with the file of the layer, whole or from an offset on."""
        return FileResponse(self.work / "layer", media_type="application/octet-stream")

    async def end(self, request: Request) -> Response:
        """End the agent, and the database's container with it if it still waits."""
        shutil.rmtree(self.work / "data", ignore_errors=True)
        self.ended.set()
        return Response(status_code=204)

    def _known(self, handler: Handler) -> Handler:
        """Answer 401 to everyone but the courier, and errors as one sentence."""

        async def answer(request: Request) -> Response:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                return JSONResponse({"error": "The request does not have this build's token."}, 401)
            try:
                return await handler(request)
            except (GreenroomError, OSError, KeyError, json.JSONDecodeError) as error:
                return JSONResponse({"error": str(error) or type(error).__name__}, 422)

        return answer
