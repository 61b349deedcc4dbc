"""Pushes to Debian's docker-registry, over a network that fails."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from greenroom import http_client
from greenroom.errors import Failed
from greenroom.registry.access import Access, Credentials, RegistryError
from greenroom.registry.references import Reference, reference
from greenroom.seeds import layer, oci, pull
from greenroom.seeds.publish import Publication, publish
from greenroom.seeds.push import TRIES, Pusher
from seeds.conftest import ARCH, RealRegistry
from seeds.proxies import link

KB = 1024


async def no_wait(seconds: float) -> None:
    return None


def pusher(client: httpx2.AsyncClient, host: str, repository: str, login: Credentials | None = None) -> Pusher:
    return Pusher(Access(client, {host: login} if login else {}), Reference(host, repository, "v1"), no_wait, 64 * KB)


@pytest.fixture
def blob(tmp_path: Path) -> tuple[oci.Descriptor, Path]:
    """Five chunks and a half, which do not compress."""
    file = tmp_path / "blob"
    file.write_bytes(os.urandom(352 * KB))
    return oci.Descriptor("application/octet-stream", oci.digest_of(file.read_bytes()), 352 * KB), file


def nth(number: int, method: str, fault: str):  # type: ignore[no-untyped-def]
    """A fault at the n-th request of this method, once."""
    seen = []

    def decide(line: str, content_range: str) -> str:
        seen.extend([line] if line.startswith(method) else [])
        return fault if len(seen) == number and line.startswith(method) else ""

    return decide


def stored(home: RealRegistry, repository: str, blob: oci.Descriptor) -> bytes:
    return httpx2.get(f"http://{home.host}/v2/{repository}/blobs/{blob.digest}").content


FAULTS = [
    ("PATCH", 1, "refuse"), ("PATCH", 4, "refuse"), ("PATCH", 4, "lose"), ("PATCH", 4, "cut"),
    ("PUT", 1, "refuse"), ("PUT", 1, "lose"), ("POST", 1, "refuse"), ("POST", 1, "lose"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "number", "fault"), FAULTS)
async def test_upload_survives_a_fault(
    method: str, number: int, fault: str, real_registry: RealRegistry, blob: tuple[oci.Descriptor, Path]
) -> None:
    async with link(real_registry.host, nth(number, method, fault)) as between, http_client.client(5) as client:
        await pusher(client, between.host, "faults/blob").upload(*blob)
    assert stored(real_registry, "faults/blob", blob[0]) == blob[1].read_bytes()


async def test_upload_resumes_at_the_chunk_that_failed(
    real_registry: RealRegistry, blob: tuple[oci.Descriptor, Path]
) -> None:
    async with link(real_registry.host, nth(4, "PATCH", "refuse")) as between, http_client.client(5) as client:
        await pusher(client, between.host, "resumes/blob").upload(*blob)
    starts = [int(at.partition("-")[0]) // KB for line, at in between.requests if line.startswith("PATCH")]
    assert starts == [0, 64, 128, 192, 192, 256, 320]


async def test_registry_that_refuses_chunks_gets_the_blob_in_one_request(
    real_registry: RealRegistry, blob: tuple[oci.Descriptor, Path]
) -> None:
    class Refusing(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "PATCH" and "content-range" in request.headers:
                return httpx2.Response(416)
            return await wire.handle_async_request(request)

    wire = httpx2.AsyncHTTPTransport()
    async with wire, httpx2.AsyncClient(transport=Refusing()) as client:
        await pusher(client, real_registry.host, "whole/blob").upload(*blob)
    assert stored(real_registry, "whole/blob", blob[0]) == blob[1].read_bytes()


async def test_upload_gives_up_after_six_failures(
    real_registry: RealRegistry, blob: tuple[oci.Descriptor, Path]
) -> None:
    def always(line: str, content_range: str) -> str:
        return "cut" if line.startswith("PATCH") else ""

    async with link(real_registry.host, always) as between, http_client.client(5) as client:
        with pytest.raises(Failed, match=r"failed 6 times .*Nothing was published\. Try again\."):
            await pusher(client, between.host, "never/blob").upload(*blob)
    assert sum(line.startswith("PATCH") for line, _ in between.requests) == TRIES


async def test_registry_that_does_not_say_where_to_upload_is_one_sentence(blob: tuple[oci.Descriptor, Path]) -> None:
    silent = httpx2.MockTransport(lambda request: httpx2.Response(202))
    async with httpx2.AsyncClient(transport=silent) as client:
        with pytest.raises(Failed, match=r"does not say where to upload"):
            await pusher(client, "registry.example.com", "silent/blob").upload(*blob)


async def test_damaged_blob_is_not_stored(real_registry: RealRegistry, blob: tuple[oci.Descriptor, Path]) -> None:
    other = replace(blob[0], digest=oci.digest_of(b"something else"))
    async with http_client.client(5) as client:
        with pytest.raises(Failed, match="Nothing was published"):
            await pusher(client, real_registry.host, "damaged/blob").upload(other, blob[1])


async def small_image(access: Access, base: str, tmp_path: Path) -> Publication:
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    packed = layer.pack(data, "/var/lib/preview/pgdata", tmp_path / "layer")
    read = await pull.read_base(access, reference(base), ARCH)
    label = {"built": "2026-01-01T00:00:00Z", "tag": "v1"}
    image = oci.with_layer(read, packed, env={"PGDATA": "/x"}, stop_signal="SIGINT", label=label)
    return Publication(image, packed, reference(base), "v1", None, tmp_path)


async def test_base_is_mounted_and_not_uploaded_again(real_registry: RealRegistry, tmp_path: Path) -> None:
    async with link(real_registry.host, lambda line, at: "") as between, http_client.client(5) as client:
        to = pusher(client, between.host, "mounted/shop")
        here = real_registry.base.replace(real_registry.host, between.host)
        await publish(await small_image(to.access, here, tmp_path), to)
    mounts = [line for line, _ in between.requests if "mount=" in line]
    uploads = [line for line, _ in between.requests if line.startswith("PATCH")]
    assert len(mounts) == 1
    assert len(uploads) == 2  # our layer and the configuration


async def test_base_of_another_registry_is_copied(
    real_registry: RealRegistry, closed_registry: str, tmp_path: Path
) -> None:
    async with http_client.client(5) as client:
        access = Access(client, {closed_registry: Credentials("ci", "s3cret")})
        to = Pusher(access, Reference(closed_registry, "copied/shop", "v1"), no_wait)
        publication = await small_image(access, real_registry.base, tmp_path)
        await publish(publication, to)
    manifest = httpx2.get(
        f"http://{closed_registry}/v2/copied/shop/manifests/v1", auth=("ci", "s3cret"), headers={"accept": oci.MANIFEST}
    )
    assert oci.digest_of(manifest.content) == publication.image.digest
    for entry in manifest.json()["layers"]:
        found = httpx2.head(f"http://{closed_registry}/v2/copied/shop/blobs/{entry['digest']}", auth=("ci", "s3cret"))
        assert found.status_code == 200


async def test_missing_login_is_one_sentence_and_nothing_is_uploaded(
    closed_registry: str, blob: tuple[oci.Descriptor, Path]
) -> None:
    async with http_client.client(5) as client:
        with pytest.raises(RegistryError, match="requires a login"):
            await pusher(client, closed_registry, "denied/blob").upload(*blob)
        wrong = pusher(client, closed_registry, "denied/blob", login=Credentials("ci", "wrong"))
        with pytest.raises(RegistryError, match=r"denies access to .*/denied/blob \(401\)"):
            await wrong.upload(*blob)


async def test_image_is_not_visible_when_a_blob_fails(real_registry: RealRegistry, tmp_path: Path) -> None:
    def dead(line: str, content_range: str) -> str:
        return "refuse" if line.startswith("PATCH") else ""

    async with link(real_registry.host, dead) as between, http_client.client(5) as client:
        to = pusher(client, between.host, "half/shop")
        with pytest.raises(Failed):
            await publish(await small_image(to.access, real_registry.base, tmp_path), to)
    assert not [line for line, _ in between.requests if line.startswith("PUT") and "/manifests/" in line]
    assert httpx2.head(f"http://{real_registry.host}/v2/half/shop/manifests/v1").status_code == 404
