"""The local engine's one port: by name as people ask, by path as services call each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from greenroom.asgi_server import running
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Reason, Stage
from greenroom.local.proxy import Proxy


async def _echo(request: Request) -> Response:
    body = (await request.body()).decode()
    forwarded = [request.headers.getlist(f"x-forwarded-{name}") for name in ("host", "proto")]
    return JSONResponse(
        {"host": request.headers["host"], "url": str(request.url), "body": body, "forwarded": forwarded}
    )


@pytest.fixture
async def address() -> AsyncIterator[str]:
    proxy = Proxy(lambda identity: (Stage.FAILED, Reason("failed", '<script>alert(1)</script> `rm` & "so"')))
    everything = Starlette(routes=[Route("/{path:path}", _echo, methods=["GET", "POST"])])
    async with running(everything) as behind, running(proxy, websockets=True) as front:
        ports = {"catalog-pr-1.preview.localhost": int(behind.rpartition(":")[2]), "failed.preview.localhost": 0}
        proxy.routes.claim(Identity(7, 1), ports)
        yield front
        await proxy.aclose()


async def test_a_service_calls_another_by_path_and_it_sees_its_own_name(address: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        found = await client.get(f"{address}/.host/catalog-pr-1.preview.localhost/a%20b/c?d=e")
        assert found.json()["host"] == "catalog-pr-1.preview.localhost"
        assert found.json()["url"].endswith(("/a%20b/c?d=e", "/a b/c?d=e"))
        posted = await client.post(f"{address}/.host/catalog-pr-1.preview.localhost/x", content=b"hello")
        assert posted.json()["body"] == "hello"


async def test_a_client_does_not_choose_the_forwarded_host(address: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        headers = {"host": "catalog-pr-1.preview.localhost", "x-forwarded-host": "evil", "x-forwarded-proto": "https"}
        found = await client.get(f"{address}/", headers=headers)
        assert found.json()["forwarded"] == [["catalog-pr-1.preview.localhost"], ["http"]]


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("catalog-pr-1.preview.localhost", "/products", 200),
        ("catalog-pr-1.preview.localhost", "/.host/other/products", 200),
        ("other.preview.localhost", "/.host/catalog-pr-1.preview.localhost/", 404),
        ("127.0.0.1", "/.host/catalog-pr-1.preview.localhost/", 200),
        ("127.0.0.1.evil.example", "/.host/catalog-pr-1.preview.localhost/", 404),
        ("127.0.0.1.evil.example:8000", "/.host/catalog-pr-1.preview.localhost/", 404),
        ("127.0.0.10", "/.host/catalog-pr-1.preview.localhost/", 404),
        ("", "/.host/nobody-pr-1.preview.localhost/", 404),
        ("", "/.host/", 404),
        ("", "/products", 404),
    ],
)
async def test_the_path_names_a_host_only_where_no_name_was_asked_for(
    address: str, host: str, path: str, status: int
) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        headers = {"host": host} if host else {}
        assert (await client.get(f"{address}{path}", headers=headers)).status_code == status


MALFORMED = {
    "an unclosed IPv6 address": b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "a port that is not a number": b"GET / HTTP/1.1\r\nHost: catalog-pr-1.preview.localhost:x\r\n\r\n",
    "a host with a blank": b"GET / HTTP/1.1\r\nHost: catalog pr\r\n\r\n",
    "a host by path with a bracket": b"GET /.host/[::1/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a host of bytes": b"GET / HTTP/1.1\r\nHost: \xc3\xa9\xff\r\n\r\n",
    "a user in the host": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a tunnel": b"CONNECT catalog-pr-1.preview.localhost:80 HTTP/1.1\r\nHost: catalog-pr-1.preview.localhost\r\n\r\n",
    "no path": b"GET x HTTP/1.1\r\nHost: catalog-pr-1.preview.localhost\r\n\r\n",
    "no HTTP": b"hello\r\n\r\n",
    "an upgrade without a key": (
        b"GET / HTTP/1.1\r\nHost: catalog-pr-1.preview.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    ),
}


async def raw(address: str, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    writer.write(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", b"Upgrade" not in request))
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_request_is_the_sender_s_fault(address: str, request_: bytes) -> None:
    assert (await raw(address, request_)).startswith(b"HTTP/1.1 4")


GOOD = {
    "an absolute target": b"GET http://catalog-pr-1.preview.localhost:1/a?b HTTP/1.1\r\nHost: x\r\n\r\n",
    "an upper case host": b"GET /a?b HTTP/1.1\r\nHost: Catalog-PR-1.preview.localhost\r\n\r\n",
    "bytes in a header": b"GET /a?b HTTP/1.1\r\nHost: catalog-pr-1.preview.localhost\r\nX-Y: \xc3\xa9\xff\r\n\r\n",
    "an upgrade to something else": (
        b"GET /a?b HTTP/1.1\r\nHost: catalog-pr-1.preview.localhost\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n"
    ),
}


@pytest.mark.parametrize("request_", GOOD.values(), ids=GOOD)
async def test_an_unusual_request_is_answered_by_the_preview(address: str, request_: bytes) -> None:
    answer = await raw(address, request_)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"/a?b" in answer


TEXT = 'Preview failed: <script>alert(1)</script> `rm` & "so"\n'
HTML = "<p>&lt;script&gt;alert(1)&lt;/script&gt; <code>rm</code> &amp; &quot;so&quot;</p></html>"


@pytest.mark.parametrize(
    ("accept", "kind", "end"),
    [
        ("text/html,*/*;q=0.8", "text/html", HTML),
        ("TEXT/HTML", "text/html", HTML),
        ("*/*", "text/plain", TEXT),
        ("application/json", "text/plain", TEXT),
        ("", "text/plain", TEXT),
    ],
)
async def test_preview_that_does_not_serve_returns_html_to_browsers_and_text_to_others(
    address: str, accept: str, kind: str, end: str
) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        found = await client.get(f"{address}/", headers={"host": "failed.preview.localhost", "accept": accept})
        assert found.status_code == 503
        assert found.headers["content-type"].startswith(kind)
        assert found.headers["cache-control"] == "no-store"
        assert found.text.endswith(end)
