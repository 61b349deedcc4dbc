"""Networks that fail between us and a registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Link:
    """A TCP proxy before a registry. `decide` sees each request's first line and Content-Range, and names a fault:
    `refuse` answers 502 and passes nothing on, `lose` passes it on and drops the connection before the answer, `cut`
    drops the connection in the middle of the body."""

    upstream: str
    decide: Callable[[str, str], str] = lambda line, content_range: ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    host: str = ""
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.ensure_future(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.upstream.partition(":")
        above, below = await asyncio.open_connection(host, int(port))
        try:
            while await self._one(reader, writer, above, below):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for end in (writer, below):
                end.close()
                with suppress(ConnectionError):
                    await end.wait_closed()

    async def _one(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        above: asyncio.StreamReader,
        below: asyncio.StreamWriter,
    ) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        line, fields = _parsed(head)
        content_range = fields.get("content-range", "")
        self.requests.append((line, content_range))
        fault = self.decide(line, content_range)
        body = await _body(reader, fields)
        if fault == "refuse":
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()
            return False
        below.write(head + (body[: len(body) // 2] if fault == "cut" else body))
        await below.drain()
        if fault == "cut":
            return False
        answer = await above.readuntil(b"\r\n\r\n")
        answered = _parsed(answer)[1]
        content = b"" if line.startswith("HEAD") else await _body(above, answered)
        if fault == "lose":
            return False
        writer.write(answer + content)
        await writer.drain()
        return True


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    line, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    return line, {k.lower(): v.strip() for k, _, v in (field.partition(":") for field in rest)}


async def _body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if "chunked" not in fields.get("transfer-encoding", ""):
        return await reader.readexactly(int(fields.get("content-length", "0")))
    body = b""
    while True:
        size = await reader.readuntil(b"\r\n")
        part = await reader.readexactly(int(size, 16) + 2)
        body += size + part
        if int(size, 16) == 0:
            return body


@asynccontextmanager
async def link(upstream: str, decide: Callable[[str, str], str]) -> AsyncIterator[Link]:
    """Serve a proxy on a free port. `Link.host` is its address."""
    made = Link(upstream, decide)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0, limit=2**20)
    made.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await asyncio.gather(*made.connections)  # they end with the client, which is closed before
