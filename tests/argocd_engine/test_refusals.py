"""Lasting errors that Argo CD reports for an ApplicationSet reach people."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from argocd_engine.fake import FakeKube
from argocd_engine.test_engine import FRAME, ONE, QUICK, play, preview_set
from builders import NOW, PLATFORM, REPOSITORY, REPOSITORY_ID, decide, facts, identity, preview, pull_request, spec
from greenroom import logs
from greenroom.argocd.canary import Canary
from greenroom.argocd.client import APPLICATION_SETS, Object
from greenroom.argocd.refresh import Refresh
from greenroom.argocd.refusals import Refusals, error_of
from greenroom.argocd.timing import Timing
from greenroom.core.model.engine import EngineState, ObservedPreview, PreviewSet
from greenroom.core.model.status import Stage
from greenroom.errors import Doubt
from waiting import until

LOOKUP = (
    'Post "http://greenroom-plugin.greenroom.svc:8081/x": dial tcp: lookup greenroom-plugin.greenroom.svc: no such host'
)


def failing(message: str = LOOKUP, status: str = "True") -> Object:
    others = {"type": "ResourcesUpToDate", "status": "False", "message": "another condition"}
    return {"status": {"conditions": [others, {"type": "ErrorOccurred", "status": status, "message": message}]}}


def test_error_is_argo_cds_message_from_the_conditions_without_secrets() -> None:
    logs.hide("t0k3n-of-the-plugin")
    assert error_of(failing(f"{LOOKUP}.")) == LOOKUP
    assert error_of(failing("wrong token t0k3n-of-the-plugin")) == "wrong token [hidden]"
    assert error_of(failing(status="False")) == ""
    assert error_of({}) == error_of(None) == ""
    twice = {error_of(failing(f"read udp 10.42.0.5:{port}->10.43.0.10:53: i/o timeout")) for port in (40001, 51234)}
    assert twice == {"read udp 10.42.0.5->10.43.0.10:53: i/o timeout"}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "write tcp 10.42.0.5:{n}->10.43.1.1:8081: write: broken pipe",
            "write tcp 10.42.0.5->10.43.1.1:8081: write: broken pipe",
        ),
        (
            "dial tcp 10.42.0.5:{n}->10.43.1.1:8081: connect: connection refused",
            "dial tcp 10.42.0.5->10.43.1.1:8081: connect: connection refused",
        ),
        ("read tcp [fd00::5]:{n}->[fd00::1]:8081: EOF", "read tcp [fd00::5]->[fd00::1]:8081: EOF"),
        (
            'Post "http://x.svc:8081/": context deadline exceeded (request {n})',
            'Post "http://x.svc:8081/": context deadline exceeded (request ...)',
        ),
        ("refused, request id: 3f2a-{n}, status 403", "refused, request id: ..., status 403"),
        ("refused, TraceID=ab{n}", "refused, TraceID=..."),
    ],
)
def test_error_that_differs_by_a_port_or_the_id_of_a_request_is_reported_once(message: str, told: str) -> None:
    found, news = Refusals(), 0
    for turn in range(20):
        said = {1: error_of(failing(message.format(n=40001 + turn)))}
        news += len(found.heard(said, 100.0 + 5 * turn))
    assert (found.known, news) == ({1: told}, 1)


@pytest.mark.parametrize(
    "message",
    [
        "unexpected status 502 of the request to http://x.svc:8081/",
        "could not make 1 request of 2",
        "revision 0123456789abcdef0123456789abcdef01234567 is not there",
    ],
)
def test_error_keeps_its_other_numbers(message: str) -> None:
    assert error_of(failing(message)) == message


def test_long_error_is_cut_at_a_word() -> None:
    assert error_of(failing("word " * 60)) == ("word " * 60).strip()
    assert error_of(failing("word " * 20_000)) == "word " * 58 + "word…"
    assert error_of(failing("x" * 100_000)) == "x" * 299 + "…"
    logs.hide("t0k3n-of-the-plugin")
    assert "t0k3n" not in error_of(failing("x " * 145 + "t0k3n-of-the-plugin")), "no half of a secret is left"


def test_error_is_reported_only_while_it_lasts() -> None:
    found = Refusals()
    assert found.heard({1: LOOKUP, 2: ""}, 100.0) == set()
    assert found.heard({1: LOOKUP, 2: ""}, 109.9) == set()
    assert found.heard({1: LOOKUP}, 110.0) == {1}
    assert found.known == {1: LOOKUP}
    assert found.heard({1: LOOKUP}, 115.0) == set(), "no news"
    assert found.heard({}, 120.0) == {1}
    assert found.known == {}
    assert found.heard({1: LOOKUP}, 125.0) == set(), "it has to last again"


async def test_argo_cd_error_is_observed_when_it_cannot_request_specs() -> None:
    async with play(timing=replace(QUICK, error_lasts=0.0)) as played:
        played.argo.asleep = True
        await played.engine.serve(preview_set(1))
        made = played.kube.objects[APPLICATION_SETS.plural, "argocd", "preview-shop"]
        played.kube.put(APPLICATION_SETS.plural, {**made, **failing()})
        played.woken.clear()
        await played.parts.upkeep.hear()
        assert (await played.engine.observe()).refusals == {REPOSITORY_ID: LOOKUP}
        assert played.woken == [REPOSITORY_ID]
        played.argo.asleep = False
        await until(played.seen)
        await until(lambda: played.parts.watchers.known["preview-shop-1"].look)
        await played.parts.upkeep.hear()
        observed = await played.engine.observe()
        assert (observed.refusals, set(observed.previews)) == ({}, {ONE}), "what was taken over waits for nothing"


async def test_canary_without_a_request_reports_argo_cds_error() -> None:
    kube = FakeKube()
    kube.put(APPLICATION_SETS.plural, {"metadata": {"name": FRAME.canary, "namespace": "argocd"}, **failing()})
    refresh = Refresh(kube, "argocd", FRAME.canary)  # type: ignore[arg-type]
    with pytest.raises(Doubt, match=re.escape(f"The ApplicationSet reports: {LOOKUP}. Check that Argo CD is running")):
        await Canary(kube, FRAME, "0.1.0", refresh, Timing(canary_patience=0.1)).prove()  # type: ignore[arg-type]
    await refresh.aclose()


@pytest.mark.parametrize(
    ("exists", "taken_over", "stage"),
    [(None, False, Stage.FAILED), (preview(1, spec(1, retry=7)), False, Stage.FAILED), (preview(1), True, Stage.READY)],
)
def test_preview_reports_that_argo_cd_cannot_create_it(
    exists: ObservedPreview | None, taken_over: bool, stage: Stage
) -> None:
    sets = {REPOSITORY_ID: PreviewSet(REPOSITORY_ID, "shop", 1, {1: spec(1)})}
    view = EngineState({identity(1): exists} if exists else {}, sets, refusals={REPOSITORY_ID: LOOKUP})
    status = decide(facts(pull_request(1), holds=view), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    assert status.stage is stage
    says = f"Argo CD could not create or update the preview: {LOOKUP}."
    assert status.reason.text.startswith(says) is not taken_over
    assert ("platform team" in status.reason.fix) is not taken_over
