"""What comes over a long connection, or a crooked one: events whatever a container wrote into them, lists that are whole."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from greenroom.argocd.client import PODS, Kube
from greenroom.errors import Doubt, RetryLater


class Chunks(httpx2.AsyncByteStream):
    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


def kube(*chunks: bytes, seen: list[httpx2.Request] | None = None) -> Kube:
    def answered(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(request)
        return httpx2.Response(200, stream=Chunks(*chunks))

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answered), base_url="https://kubernetes.test")
    return Kube(client)


async def watched(*chunks: bytes) -> list[Any]:
    return [e["object"]["message"] async for e in kube(*chunks).watch(PODS, "", "7", 60, "")]


def event(message: str) -> bytes:
    return json.dumps({"type": "MODIFIED", "object": {"message": message}}, ensure_ascii=False).encode() + b"\n"


@pytest.mark.parametrize("message", ["a\u0085b", "a\u2028b", "a\u2029b", "grün", "😀", ""])
async def test_an_event_is_one_whatever_line_ends_a_container_wrote_into_its_message(message: str) -> None:
    assert await watched(event(message) + event("next")) == [message, "next"]


async def test_events_come_in_pieces_of_any_size() -> None:
    whole = event("grün") + b"\n" + event("two")
    assert await watched(*(whole[i : i + 1] for i in range(len(whole)))) == ["grün", "two"]
    assert await watched(whole.rstrip(b"\n")) == ["grün", "two"], "the last one without its end"


@pytest.mark.parametrize(
    "line", [b"[]", b"7", b"null", b'"text"', b"{}", b'{"type":"ADDED"}', b'{"type":"ADDED","object":null}', b"<html>"]
)
async def test_what_is_no_event_ends_the_watch_and_nothing_else(line: bytes) -> None:
    with pytest.raises(RetryLater):
        await watched(event("one"), line + b"\n")


@pytest.mark.parametrize("body", [{"items": []}, {"items": [], "metadata": {}}, {"items": [], "metadata": None}, {}])
async def test_an_empty_list_that_no_api_server_wrote_is_doubt(body: object) -> None:
    with pytest.raises(Doubt, match="incomplete"):
        await kube(json.dumps(body).encode()).listed(PODS)


async def test_logs_are_asked_for_in_a_bearable_size() -> None:
    seen: list[httpx2.Request] = []
    assert await kube(b"one\ntwo", seen=seen).logs("a", "b", "c", 20, previous=True) == ["one", "two"]
    params = seen[0].url.params
    assert (params["tailLines"], params["previous"]) == ("20", "true")
    assert int(params["limitBytes"]) <= 1 << 20
