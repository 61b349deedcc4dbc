"""The Kubernetes API's answers, good and bad: what is not whole is never taken for less."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from greenroom.argocd.client import APPLICATIONS, NAMESPACES, PODS, PREVIEWS, Conflict, Expired, Kube, LogText, Vanished
from greenroom.argocd.kubeconfig import connect
from greenroom.errors import Doubt, Failed, FixConfiguration, FixCredentials, GreenroomError, RetryLater

Handler = Callable[[httpx2.Request], httpx2.Response]


def kube(handler: Handler) -> Kube:
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(handler), base_url="https://kubernetes.test")
    return Kube(client)


def status(code: int, reason: str = "", message: str = "no") -> Handler:
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}
    return lambda request: httpx2.Response(code, json=body)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(401), FixCredentials),
        (status(403), FixCredentials),
        (status(409, "Conflict"), Conflict),
        (status(410, "Expired"), Expired),
        (status(422, "Invalid"), Failed),
        (status(500, "", "failed to create typed patch object"), Failed),
        (status(500), RetryLater),
        (status(429), RetryLater),
        (status(503), RetryLater),
        (status(404, "NotFound"), Doubt),
        (lambda r: httpx2.Response(404, text="404 page not found"), Doubt),
        (lambda r: httpx2.Response(200, text="<html>"), Doubt),
        (lambda r: httpx2.Response(200, json=[]), Doubt),
        (lambda r: httpx2.Response(302, headers={"location": "/login"}), Doubt),
        (lambda r: httpx2.Response(200, json={"items": None}), Doubt),
    ],
)
async def test_each_wrong_answer_is_an_error_that_says_what_to_do(answer: Handler, kind: type[GreenroomError]) -> None:
    with pytest.raises(kind):
        await kube(answer).listed(PODS)


async def test_only_the_apis_own_word_says_that_something_is_not_there() -> None:
    assert await kube(status(404, "NotFound")).get(NAMESPACES, "", "x") is None
    for wrong in (
        lambda r: httpx2.Response(404, text="not found"),
        lambda r: httpx2.Response(404, json={"kind": "List"}),
    ):
        with pytest.raises(Doubt):
            await kube(wrong).get(NAMESPACES, "", "x")


async def test_a_connection_that_fails_is_tried_later() -> None:
    def refused(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with pytest.raises(RetryLater, match="request to Kubernetes failed"):
        await kube(refused).listed(PODS)


async def test_a_list_is_every_page_or_an_error() -> None:
    def pages(request: httpx2.Request) -> httpx2.Response:
        page = request.url.params.get("continue", "")
        if page == "2":
            return httpx2.Response(410, json={"kind": "Status", "reason": "Expired", "message": "too old", "code": 410})
        more = {"": "1", "1": broken}[page]
        items = [{"metadata": {"name": f"pod-{page}"}}]
        return httpx2.Response(200, json={"items": items, "metadata": {"continue": more, "resourceVersion": "7"}})

    broken = ""
    found, version = await kube(pages).listed(PODS, "shop", labelSelector="a=b")
    assert ([o["metadata"]["name"] for o in found], version) == (["pod-", "pod-1"], "7")
    broken = "2"
    with pytest.raises(Expired):
        await kube(pages).listed(PODS)


async def test_a_deletion_names_the_very_object() -> None:
    seen: list[Any] = []

    def deleted(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.method, request.url.path, json.loads(request.content)["preconditions"]))
        return httpx2.Response(200, json={"kind": "Status", "status": "Success"})

    await kube(deleted).delete(APPLICATIONS, "argocd", "preview-shop-1", "uid-1")
    await kube(deleted).delete(APPLICATIONS, "argocd", "preview-shop-1", "uid-1", "17")
    path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/preview-shop-1"
    as_it_is = {"uid": "uid-1", "resourceVersion": "17"}
    assert seen == [("DELETE", path, {"uid": "uid-1"}), ("DELETE", path, as_it_is)]
    await kube(status(404, "NotFound")).delete(APPLICATIONS, "argocd", "gone", "uid-1")
    with pytest.raises(Vanished, match="no longer exists"):
        await kube(status(404, "NotFound")).replace(PREVIEWS, "argocd", "gone", {})
    with pytest.raises(Conflict):
        await kube(status(409, "Conflict", "the UID in the precondition does not match")).delete(PODS, "a", "b", "c")


async def test_each_write_is_made_within_what_may_refuse_it_and_no_read_is() -> None:
    asked: list[str] = []

    class Refused:
        async def __aenter__(self) -> None:
            raise Doubt("not now")

        async def __aexit__(self, *error: object) -> None:
            return None

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.method)
        return httpx2.Response(200, json={"items": [], "metadata": {"resourceVersion": "1"}})

    within = kube(answer).within(Refused)
    for write in (
        within.apply(PODS, "a", "b", {}),
        within.merge(PODS, "a", "b", {}),
        within.create(PODS, "a", {}),
        within.replace(PODS, "a", "b", {}),
        within.delete(PODS, "a", "b", "uid"),
    ):
        with pytest.raises(Doubt, match="not now"):
            await write
    await within.get(PODS, "a", "b")
    await within.listed(PODS)
    assert asked == ["GET", "GET"]


def stream(*lines: str, code: int = 200) -> Handler:
    return lambda request: httpx2.Response(code, content="\n".join(lines).encode())


async def watched(answer: Handler) -> list[Any]:
    return [e async for e in kube(answer).watch(PODS, "", "7", 60, "")]


async def test_a_watch_gives_events_and_says_when_it_must_begin_again() -> None:
    event = {"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "8"}}}
    assert await watched(stream(json.dumps(event), json.dumps(event))) == [event, event]
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}
    with pytest.raises(Expired, match="too old"):
        await watched(stream(json.dumps(event), json.dumps(gone)))
    with pytest.raises(RetryLater, match="not valid JSON"):
        await watched(stream(json.dumps(event), json.dumps(event)[:20]))
    with pytest.raises(Expired):
        await watched(status(410, "Expired"))
    with pytest.raises(RetryLater):
        await watched(status(500))


async def test_logs_that_cannot_be_had_are_none() -> None:
    assert await kube(lambda r: httpx2.Response(200, text="one\ntwo\nthree")).logs("a", "b", "c", 2) == ["two", "three"]
    assert await kube(status(400)).logs("a", "b", "c", 2) == []


async def test_log_since_a_time_says_whether_it_was_cut() -> None:
    asked: list[dict[str, str]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(dict(request.url.params))
        return httpx2.Response(200, text="one\ntwo\n")

    since = "2026-11-20T10:00:00Z"
    assert await kube(answer).log_since("a", "b", "c", since, 100) == LogText("one\ntwo\n", cut=False)
    assert await kube(answer).log_since("a", "b", "c", "", 8) == LogText("one\ntwo\n", cut=True)
    assert asked == [
        {"container": "c", "limitBytes": "100", "sinceTime": since},
        {"container": "c", "limitBytes": "8"},
    ]
    assert await kube(status(400)).log_since("a", "b", "c", since, 100) is None


@pytest.mark.parametrize("text", ["", "{}", "not: [yaml", "apiVersion: v1\nclusters: []\ncontexts: []\nusers: []\n"])
def test_a_kubeconfig_that_is_no_use_is_one_sentence_with_its_name(text: str, tmp_path: Any) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(FixConfiguration, match="kubeconfig") as error:
        connect(str(file))
    assert "argocd.kubeconfig" in str(error.value.mistakes[0])
