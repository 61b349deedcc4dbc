"""Argo CD's question for rows: what is not certain is never answered with a 200."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from greenroom.errors import Doubt
from greenroom.web.plugin import MAX_BYTES, plugin

PATH = "/api/v1/getparams.execute"
ASKED = {"applicationSetName": "preview-shop", "input": {"parameters": {}}}
TOKEN = {"authorization": "Bearer right"}


def answer(name: str) -> list[dict[str, Any]] | None:
    match name:
        case "preview-shop":
            return [{"name": "preview-shop-1"}]
        case "preview-quiet":
            return []
        case "preview-doubt":
            raise Doubt("This instance is on standby, or has not finished reading the existing specs.")
        case _:
            return None


def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(plugin("right", answer)), base_url="http://plugin")


async def test_specs_in_the_shape_that_argo_cd_reads() -> None:
    async with client() as one:
        found = await one.post(PATH, json=ASKED, headers=TOKEN)
        assert (found.status_code, found.json()) == (200, {"output": {"parameters": [{"name": "preview-shop-1"}]}})
        quiet = await one.post(PATH, json={"applicationSetName": "preview-quiet"}, headers=TOKEN)
        assert (quiet.status_code, quiet.json()) == (200, {"output": {"parameters": []}})


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (ASKED, {}, 401),
        (ASKED, {"authorization": "Bearer wrong"}, 401),
        (ASKED, {"authorization": "Basic right"}, 401),
        (ASKED, {"authorization": "Bearer rïght"}, 401),
        ({"applicationSetName": "preview-doubt"}, TOKEN, 503),
        ({"applicationSetName": "preview-unknown"}, TOKEN, 404),
        ({"applicationSetName": 7}, TOKEN, 400),
        ({"applicationSetName": ""}, TOKEN, 400),
        ([], TOKEN, 400),
        ({"x": "y" * MAX_BYTES}, TOKEN, 413),
    ],
)
async def test_everything_else_is_an_error_with_a_sentence(body: object, headers: dict[str, str], status: int) -> None:
    raw = [(k.encode(), v.encode()) for k, v in headers.items()]
    async with client() as one:
        found = await one.post(PATH, json=body, headers=raw)
    assert found.status_code == status
    assert found.json()["error"]
    assert "right" not in found.text


async def test_no_body_and_no_json_are_refused() -> None:
    async with client() as one:
        assert (await one.post(PATH, headers=TOKEN)).status_code == 400
        for body in (
            b"{",
            b"\xff",
            b"[" * 60_000,
            b'{"applicationSetName": "\\ud800"}',
            b'{"applicationSetName": "a b"}',
        ):
            assert (await one.post(PATH, content=body, headers=TOKEN)).status_code == 400
        assert (await one.get(PATH, headers=TOKEN)).status_code == 405
