"""Registries: missing only when the registry says so; credentials never go elsewhere."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from greenroom.asgi_server import running
from greenroom.core.model.github import ImageState, Missing, Present, Unknown
from greenroom.core.model.seeds import SeedLabel
from greenroom.errors import FixConfiguration
from greenroom.registry.access import Credentials
from greenroom.registry.client import Registry
from greenroom.registry.references import Challenge, Reference, challenge, reference
from greenroom.simulator.registry import MANIFEST, Images, registry

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry.example.com/shop/catalog:abc", Reference("registry.example.com", "shop/catalog", "abc")),
        ("localhost:5000/web:v1", Reference("localhost:5000", "web", "v1")),
        (f"ghcr.io/acme/web@{DIGEST}", Reference("ghcr.io", "acme/web", DIGEST)),
        ("python:3.12", Reference("registry-1.docker.io", "library/python", "3.12")),
        ("docker.io/acme/web:1", Reference("registry-1.docker.io", "acme/web", "1")),
        ("index.docker.io/acme/web:1", Reference("registry-1.docker.io", "acme/web", "1")),
        ("registry-1.docker.io/redis:8", Reference("registry-1.docker.io", "library/redis", "8")),
    ],
)
def test_references(text: str, expected: Reference) -> None:
    assert reference(text) == expected


@pytest.mark.parametrize(
    "text", ["", "web", "r.io/web", "r.io/Web:1", "r.io/web:", "r.io/web:a b", "r.io/../x:1", "r.io/w@sha256:1"]
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(FixConfiguration, match="is not a valid image reference"):
        reference(text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Bearer realm="https://a.example/token",service="r",scope="x"',
            Challenge("bearer", "https://a.example/token", "r", "x"),
        ),
        ("Basic realm=registry", Challenge("basic")),
        ("bearer service=r", None),
        ("Negotiate", None),
        ("", None),
    ],
)
def test_challenges(header: str, expected: Challenge | None) -> None:
    assert challenge(header) == expected


# --- the simulator's registry, over real HTTP ---


@pytest.fixture
async def images() -> AsyncIterator[tuple[Images, str]]:
    found = Images()
    async with running(registry(found)) as url:
        yield found, url.removeprefix("http://")


async def look(text: str, credentials: dict[str, Credentials] | None = None, **more: object) -> ImageState:
    async with httpx2.AsyncClient(timeout=5) as client:
        return await Registry(client, credentials, **more).look(text)  # type: ignore[arg-type]


async def test_present_and_missing(images: tuple[Images, str]) -> None:
    found, host = images
    digest = found.push("shop/web", "v1")
    assert await look(f"{host}/shop/web:v1") == Present(digest)
    assert await look(f"{host}/shop/web@{digest}") == Present(digest)
    assert await look(f"{host}/shop/web:v2") == Missing()


async def test_a_registry_that_is_away_is_unknown(images: tuple[Images, str]) -> None:
    found, host = images
    found.away = True
    assert isinstance(await look(f"{host}/shop/web:v1"), Unknown)
    assert isinstance(await look("127.0.0.1:1/shop/web:v1"), Unknown)


@pytest.mark.parametrize("bearer", [False, True])
async def test_logins(images: tuple[Images, str], bearer: bool) -> None:
    found, host = images
    digest = found.push("shop/web", "v1")
    found.login, found.bearer = ("ci", "pass word"), bearer
    assert await look(f"{host}/shop/web:v1", {host: Credentials("ci", "pass word")}) == Present(digest)
    wrong = await look(f"{host}/shop/web:v1", {host: Credentials("ci", "wr0ng")})
    assert isinstance(wrong, Unknown)
    assert "wr0ng" not in wrong.why
    assert isinstance(await look(f"{host}/shop/web:v1"), Unknown)
    assert "pass word" not in repr(Credentials("ci", "pass word"))


# --- what no good registry does ---


def answering(answer: httpx2.Response, seen: list[httpx2.Request]) -> httpx2.AsyncClient:
    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return answer

    return httpx2.AsyncClient(transport=httpx2.MockTransport(handle))


JSON = {"content-type": "application/json"}
UNKNOWN = b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}'


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx2.Response(404, headers=JSON, content=UNKNOWN), Missing),
        (httpx2.Response(404, headers={"content-type": "text/html"}, content=b"<h1>Not found</h1>"), Unknown),
        (httpx2.Response(404, headers=JSON, content=b"{}"), Unknown),
        (
            httpx2.Response(
                404, headers=JSON, content=b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "but accept header"}]}'
            ),
            Unknown,
        ),
        (httpx2.Response(500), Unknown),
        (httpx2.Response(302, headers={"location": "https://elsewhere.example"}), Unknown),
        (httpx2.Response(429, headers={"retry-after": "9"}), Unknown),
        (httpx2.Response(200, headers={"content-type": "text/html"}, content=b"<h1>Hello</h1>"), Unknown),
        (httpx2.Response(200, headers={**JSON, "docker-content-digest": "md5:1"}, content=b"{}"), Unknown),
    ],
)
async def test_missing_needs_a_registry_that_says_so(answer: httpx2.Response, expected: type) -> None:
    seen: list[httpx2.Request] = []
    async with answering(answer, seen) as client:
        assert isinstance(await Registry(client).look("r.example.com/shop/web:v1"), expected)
    assert all(r.headers["accept"].count("application/vnd.") == 4 for r in seen)
    assert {r.url.host for r in seen} == {"r.example.com"}


async def test_a_missing_repository_differs_from_a_missing_tag() -> None:
    seen: list[httpx2.Request] = []
    unknown = UNKNOWN.replace(b"MANIFEST", b"NAME")
    async with answering(httpx2.Response(404, headers=JSON, content=unknown), seen) as client:
        assert await Registry(client).look("r.example.com/shop/web:v1") == Missing(no_repository=True)
    async with answering(httpx2.Response(404, headers=JSON, content=UNKNOWN), seen) as client:
        assert await Registry(client).look("r.example.com/shop/web:v1") == Missing()


async def test_a_digest_that_head_does_not_tell_is_computed() -> None:
    body = b'{"schemaVersion": 2}'

    def handle(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            200, headers={"content-type": MANIFEST}, content=body if request.method == "GET" else b""
        )

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as client:
        state = await Registry(client).look("r.example.com/shop/web:v1")
    assert state == Present(f"sha256:{hashlib.sha256(body).hexdigest()}")


@pytest.mark.parametrize(
    "realm", ["https://evil.example/token", "http://r.example.com/token", "https://r.example.com.evil.example/t"]
)
async def test_credentials_never_go_elsewhere(realm: str) -> None:
    seen: list[httpx2.Request] = []
    refused = httpx2.Response(401, headers={"www-authenticate": f'Bearer realm="{realm}",service="r"'})
    async with answering(refused, seen) as client:
        state = await Registry(client, {"r.example.com": Credentials("ci", "s3cret")}).look("r.example.com/shop/web:v1")
    assert isinstance(state, Unknown)
    assert "that address is not allowed" in state.why
    assert len(seen) == 1
    assert not [r for r in seen if "authorization" in r.headers]


@pytest.mark.parametrize(
    "realm",
    ["https://[bad", "https://r.example.com:99999999/t", "/token", "https://r.example.com:x/", "https://[::1%]/"],
)
async def test_a_realm_that_is_no_address_is_unknown_and_asked_nothing(realm: str) -> None:
    seen: list[httpx2.Request] = []
    refused = httpx2.Response(401, headers={"www-authenticate": f'Bearer realm="{realm}",service="r"'})
    async with answering(refused, seen) as client:
        state = await Registry(client, {"r.example.com": Credentials("ci", "s3cret")}).look("r.example.com/shop/web:v1")
    assert isinstance(state, Unknown)
    assert state.why.startswith("r.example.com sends Greenroom to ")
    assert {r.url.path for r in seen} == {"/v2/shop/web/manifests/v1"}


async def test_a_token_that_no_header_can_hold_is_unknown() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/token":
            return httpx2.Response(200, json={"token": "größe"})
        realm = 'Bearer realm="https://r.example.com/token",service="r"'
        return httpx2.Response(401, headers={"www-authenticate": realm})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as client:
        state = await Registry(client).look("r.example.com/shop/web:v1")
    assert isinstance(state, Unknown)
    assert "cannot be parsed" in state.why


@pytest.mark.parametrize("name", ["docker.io", "index.docker.io", "registry-1.docker.io"])
async def test_docker_hub_is_one_registry_under_all_its_names(name: str) -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "auth.docker.io":
            login = httpx2.BasicAuth("ci", "p").auth_flow(httpx2.Request("GET", "https://x"))
            assert request.headers["authorization"] == next(login).headers["authorization"]
            return httpx2.Response(200, json={"token": "t"})
        if request.headers.get("authorization") == "Bearer t":
            return httpx2.Response(200, headers={"docker-content-digest": DIGEST})
        realm = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"'
        return httpx2.Response(401, headers={"www-authenticate": realm})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as client:
        state = await Registry(client, {name: Credentials("ci", "p")}).look("docker.io/acme/web:1")
    assert state == Present(DIGEST)


async def test_a_missing_login_is_asked_for_under_the_name_that_people_write() -> None:
    seen: list[httpx2.Request] = []
    async with answering(httpx2.Response(401, headers={"www-authenticate": "Basic realm=hub"}), seen) as client:
        state = await Registry(client).look("docker.io/acme/web:1")
    assert state == Unknown(
        "docker.io requires a login. Add credentials under `registry.credentials` in greenroom.yaml."
    )


async def test_an_allowed_realm_may_issue_tokens() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "auth.example.com":
            assert request.headers["authorization"].startswith("Basic ")
            return httpx2.Response(200, json={"access_token": "t"})
        if request.headers.get("authorization") == "Bearer t":
            return httpx2.Response(200, headers={"docker-content-digest": DIGEST})
        return httpx2.Response(
            401, headers={"www-authenticate": 'Bearer realm="https://auth.example.com/t",service="r"'}
        )

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handle)) as client:
        known = {"r.example.com": Credentials("ci", "p")}
        state = await Registry(client, known, realms=["auth.example.com"]).look("r.example.com/shop/web:v1")
    assert state == Present(DIGEST)


# --- a registry that nobody here wrote ---

BINARY = shutil.which("docker-registry")
MAY_SKIP = os.environ.get("CI") != "true"


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[str]:
    if BINARY is None and MAY_SKIP:
        pytest.skip("docker-registry is not installed: apt-get install docker-registry")
    assert BINARY, "docker-registry must be installed in CI"
    from greenroom.local.ports import free_port

    port = free_port()
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path / 'data'}}}}}\n"
    )
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([BINARY, "serve", str(config)], stdout=log, stderr=log)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=10)


async def test_debians_registry_agrees(debian: str) -> None:
    base = f"http://{debian}/v2"
    blob = b"{}"
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    transport = httpx2.AsyncHTTPTransport(retries=8)
    async with httpx2.AsyncClient(timeout=5, transport=transport) as client:
        started = await client.post(f"{base}/shop/web/blobs/uploads/")
        await client.put(f"{started.headers['location']}&digest={digest}", content=blob)
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(blob)}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}
        pushed = await client.put(f"{base}/shop/web/manifests/v1", json=manifest, headers={"content-type": MANIFEST})
        assert pushed.status_code == 201, pushed.text
        ours = Registry(client)
        assert await ours.look(f"{debian}/shop/web:v1") == Present(pushed.headers["docker-content-digest"])
        assert await ours.look(f"{debian}/shop/web:v2") == Missing()
        assert await ours.look(f"{debian}/shop/other:v1") == Missing()


async def test_labels_that_cannot_be_parsed_are_a_reason_and_never_an_exception() -> None:
    nested = b"[" * 100_000

    async def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=nested, headers={"content-type": "application/json"})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        found = await Registry(client).labels(f"r.example.com/seeds@{DIGEST}")
    assert isinstance(found, str)
    assert "cannot be parsed" in found
    assert SeedLabel.parsed(nested.decode()) == SeedLabel()


async def test_missing_image_whose_answer_cannot_be_parsed_is_unknown() -> None:
    async def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(404, content=b"[" * 100_000, headers={"content-type": "application/json"})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        assert isinstance(await Registry(client).look("r.example.com/seeds:1"), Unknown)


async def test_labels_behind_an_invalid_redirect_are_a_reason_and_never_an_exception() -> None:
    manifest = b'{"config": {"digest": "sha256:%s"}}' % (b"a" * 64)

    async def answer(request: httpx2.Request) -> httpx2.Response:
        if "/blobs/" in request.url.path:
            return httpx2.Response(307, headers={"location": "https://exa\x01mple.com:99999999/x"})
        return httpx2.Response(200, content=manifest, headers={"content-type": "application/json"})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        assert isinstance(await Registry(client).labels(f"r.example.com/seeds@{DIGEST}"), str)
