"""The local engine's one port: by name as people ask, by path as services call each other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from greenroom.core.model import Identity
from greenroom.local.proxy import Proxy
from greenroom.serving import running


async def _echo(request: Request) -> Response:
    body = (await request.body()).decode()
    return JSONResponse({"host": request.headers["host"], "url": str(request.url), "body": body})


@pytest.fixture
async def address() -> AsyncIterator[str]:
    proxy = Proxy()
    everything = Starlette(routes=[Route("/{path:path}", _echo, methods=["GET", "POST"])])
    async with running(everything) as behind, running(proxy) as front:
        proxy.routes.claim(Identity(7, 1), {"catalog-pr-1.preview.localhost": int(behind.rpartition(":")[2])})
        yield front
        await proxy.aclose()


async def test_a_service_calls_another_by_path_and_it_sees_its_own_name(address: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        found = await client.get(f"{address}/.host/catalog-pr-1.preview.localhost/a%20b/c?d=e")
        assert found.json()["host"] == "catalog-pr-1.preview.localhost"
        assert found.json()["url"].endswith(("/a%20b/c?d=e", "/a b/c?d=e"))
        posted = await client.post(f"{address}/.host/catalog-pr-1.preview.localhost/x", content=b"hello")
        assert posted.json()["body"] == "hello"


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
