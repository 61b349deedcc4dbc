"""What goes out to GitHub and registries: never to this machine through a proxy; reads end when told to, writes never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from greenroom import http_client
from greenroom.asgi_server import running
from greenroom.errors import Failed

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Asked:
    """A server that notes for which host it was asked, and answers."""

    def __init__(self) -> None:
        self.hosts: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        [host] = [value.decode() for name, value in scope["headers"] if name == b"host"]
        self.hosts.append(host)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    """The proxy that the environment names."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    found = Asked()
    async with running(found) as url:
        monkeypatch.setenv("HTTP_PROXY", url)
        yield found


@pytest.mark.parametrize("name", ["127.0.0.1", "127.1.2.3", "localhost", "registry.localhost"])
async def test_this_machine_is_asked_without_a_proxy(name: str, proxy: Asked) -> None:
    here = Asked()
    async with running(here, host="127.1.2.3" if name == "127.1.2.3" else "127.0.0.1") as url:
        port = urlsplit(url).port
        async with http_client.client(5) as client:
            try:
                await client.get(f"http://{name}:{port}/v2/")
                assert here.hosts == [f"{name}:{port}"]
            except httpx2.ConnectError:  # this machine may not know the name; its proxy is not asked for it either
                assert name == "registry.localhost"
    assert proxy.hosts == []


async def test_everybody_else_is_asked_through_the_proxy(proxy: Asked) -> None:
    async with http_client.client(5) as client:
        assert (await client.get("http://registry.example.com/v2/")).status_code == 200
    assert proxy.hosts == ["registry.example.com"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("socks5://ada:pa55word@proxy.example.com:1080", "Greenroom does not support SOCKS proxies"),
        ("ftp://ada:pa55word@proxy.example.com", "Unknown scheme for proxy URL"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_reported_without_its_password(
    value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(Failed) as raised:
        http_client.client(5)
    assert f"cannot be used ({why}" in str(raised.value)
    assert "pa55word" not in str(raised.value)


class Slow:
    """A server that takes every request, and answers when it may."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may = asyncio.Event()
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        await self.may.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def slow() -> AsyncIterator[Slow]:
    found = Slow()
    async with running(found) as found.url:
        yield found
        found.may.set()


@pytest.mark.parametrize(("method", "path"), [("GET", "/repos"), ("HEAD", "/v2"), ("POST", "/api/graphql")])
async def test_a_read_is_given_up_at_once_and_so_are_later_ones(method: str, path: str) -> None:
    async with slow() as server, http_client.client(60) as client:
        reading = asyncio.create_task(client.request(method, f"{server.url}{path}"))
        await server.asked.wait()
        client.give_up()
        for each in (reading, client.request(method, f"{server.url}{path}")):
            with pytest.raises(httpx2.TimeoutException):
                await asyncio.wait_for(each, 5)


@pytest.mark.parametrize(("method", "path"), [("POST", "/comments"), ("PATCH", "/comments/1"), ("DELETE", "/labels/a")])
async def test_a_write_is_waited_for_to_its_end(method: str, path: str) -> None:
    async with slow() as server, http_client.client(60) as client:
        writing = asyncio.create_task(client.request(method, f"{server.url}{path}"))
        await server.asked.wait()
        client.give_up()
        server.may.set()
        assert (await writing).status_code == 200
        assert (await client.request(method, f"{server.url}{path}")).status_code == 200
