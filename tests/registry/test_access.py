"""Credentials in uploads and downloads: only ever to their own host."""

from __future__ import annotations

import base64

import httpx2
import pytest

from greenroom.registry.access import Access, Credentials, RegistryError, Scope

HOST = "r.example.com"
LOGIN = {HOST: Credentials("ci", "s3cret")}


class Wire(httpx2.AsyncBaseTransport):
    """Answers by address, and records which requests had which authorization."""

    def __init__(self, **answers: httpx2.Response) -> None:
        self.answers = answers
        self.seen: list[tuple[str, str]] = []
        self.scopes: list[list[str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        authorization = request.headers.get("authorization", "")
        self.seen.append((str(request.url.copy_with(query=None)), authorization.partition(" ")[0]))
        if request.url.path == "/token":
            self.scopes.append(request.url.params.get_list("scope"))
            assert base64.b64decode(authorization.partition(" ")[2]) == b"ci:s3cret"
            return httpx2.Response(200, json={"token": "t", "expires_in": 300})
        if request.url.host == HOST and not authorization:
            asked = f'Bearer realm="https://{HOST}/token",service="registry",scope="repository:shop:pull,push"'
            return httpx2.Response(401, headers={"www-authenticate": asked})
        return self.answers[str(request.url.host).partition(".")[0]]


async def test_redirected_download_gets_no_credentials() -> None:
    wire = Wire(
        r=httpx2.Response(307, headers={"location": "https://storage.example.net/blob?signature=1"}),
        storage=httpx2.Response(302, headers={"location": "https://edge.example.org/blob"}),
        edge=httpx2.Response(200, content=b"content"),
    )
    async with (
        httpx2.AsyncClient(transport=wire) as client,
        Access(client, LOGIN).blob(Scope(HOST, "shop"), "sha256:1") as answer,
    ):
        assert await answer.aread() == b"content"
    assert wire.seen[-3:] == [
        (f"https://{HOST}/v2/shop/blobs/sha256:1", "Bearer"),
        ("https://storage.example.net/blob", ""),
        ("https://edge.example.org/blob", ""),
    ]


async def test_redirect_to_an_address_without_https_is_refused() -> None:
    wire = Wire(r=httpx2.Response(307, headers={"location": "http://storage.example.net/blob"}))
    async with httpx2.AsyncClient(transport=wire) as client:
        with pytest.raises(RegistryError, match="redirects a download to an address without HTTPS"):
            async with Access(client, LOGIN).blob(Scope(HOST, "shop"), "sha256:1"):
                pass
    assert not [url for url, _ in wire.seen if "storage" in url]


async def test_endless_redirect_ends() -> None:
    wire = Wire(
        r=httpx2.Response(307, headers={"location": "https://storage.example.net/blob"}),
        storage=httpx2.Response(307, headers={"location": "https://storage.example.net/blob"}),
    )
    async with httpx2.AsyncClient(transport=wire) as client:
        with pytest.raises(RegistryError, match="more than 5 times"):
            async with Access(client, LOGIN).blob(Scope(HOST, "shop"), "sha256:1"):
                pass


@pytest.mark.parametrize(
    ("address", "kind"),
    [(f"https://{HOST}/up", "Bearer"), (f"https://{HOST}:443/up", "Bearer"), ("https://storage.example.net/up", "")],
)
async def test_upload_address_gets_credentials_only_on_the_registry_itself(address: str, kind: str) -> None:
    wire = Wire(r=httpx2.Response(202), storage=httpx2.Response(202))
    async with httpx2.AsyncClient(transport=wire) as client:
        access = Access(client, LOGIN)
        await access.send("POST", "/v2/shop/blobs/uploads/", Scope(HOST, "shop", "pull,push"))  # a token is known
        assert (await access.send("PATCH", address, Scope(HOST, "shop", "pull,push"), content=b"x")).status_code == 202
    assert wire.seen[-1] == (str(httpx2.URL(address)), kind)
    assert all(authorization == "" for url, authorization in wire.seen if "storage" in url)


async def test_upload_address_without_https_is_refused() -> None:
    async with httpx2.AsyncClient(transport=Wire()) as client:
        with pytest.raises(RegistryError, match="names an upload address without HTTPS"):
            await Access(client, LOGIN).send("PATCH", f"http://{HOST}/up", Scope(HOST, "shop"), content=b"x")


async def test_mount_asks_for_a_token_that_may_read_the_source() -> None:
    wire = Wire(r=httpx2.Response(201))
    async with httpx2.AsyncClient(transport=wire) as client:
        scope = Scope(HOST, "shop", "pull,push", source="library/postgres")
        await Access(client, LOGIN).send("POST", "/v2/shop/blobs/uploads/", scope)
    assert wire.scopes == [["repository:shop:pull,push", "repository:library/postgres:pull"]]
