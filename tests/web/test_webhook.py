"""The webhook endpoint: only signed bytes become hints, and nothing that anybody sends makes it fail."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.controller.instance import Hint
from greenroom.errors import FixConfiguration
from greenroom.web.webhook import MAX_BYTES, DeploymentSeen, webhook

SAMPLES = Path(__file__).parents[1] / "contracts" / "webhooks.jsonl.gz"
SECRETS = ("new secret", "old secret")


@cache
def samples() -> list[tuple[str, dict[str, Any]]]:
    lines = gzip.decompress(SAMPLES.read_bytes()).decode().splitlines()
    return [(event, payload) for event, payload in map(json.loads, lines)]


class Endpoint:
    def __init__(self) -> None:
        self.hints: list[Hint] = []
        self.deployments: list[DeploymentSeen] = []
        self.outcomes: list[str] = []
        application = webhook(SECRETS, self.hints.append, self.deployments.append, self.outcomes.append)
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(application), base_url="http://localhost")

    async def post(self, event: str, body: bytes, secret: str = SECRETS[0], **headers: str) -> httpx2.Response:
        signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        sent = {"x-github-event": event, "x-hub-signature-256": signature, **headers}
        return await self.client.post("/webhook", content=body, headers={k: v for k, v in sent.items() if v})


async def test_every_sample_of_github_is_accepted_or_cleanly_ignored() -> None:
    endpoint = Endpoint()
    assert len(samples()) > 300
    for event, payload in samples():
        before = len(endpoint.hints)
        response = await endpoint.post(event, json.dumps(payload).encode())
        hinted = len(endpoint.hints) > before
        assert response.status_code == 202, (event, response.text)
        assert response.json() == {"status": "accepted" if hinted else "ignored"}
        if event == "pull_request":
            assert endpoint.hints[-1].number == payload["number"]
            assert endpoint.hints[-1].slug == payload["repository"]["full_name"]
    assert endpoint.deployments


async def test_a_payload_that_lacks_any_key_is_no_failure() -> None:
    endpoint = Endpoint()
    for event, payload in samples():
        if event in ("pull_request", "deployment_status"):
            for key in payload:
                partial = {k: v for k, v in payload.items() if k != key}
                assert (await endpoint.post(event, json.dumps(partial).encode())).status_code == 202
                assert (await endpoint.post(event, json.dumps({**payload, key: None}).encode())).status_code == 202


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"x-hub-signature-256": ""}, 401),
        ({"x-hub-signature-256": "", "x-hub-signature": "sha1=" + "0" * 40}, 401),
        ({"x-hub-signature-256": "sha256=" + "0" * 64}, 401),
        ({"x-hub-signature-256": "sha256="}, 401),
        ({"x-github-event": ""}, 400),
    ],
)
async def test_what_is_not_signed_is_refused(change: dict[str, str], status: int) -> None:
    endpoint = Endpoint()
    event, payload = samples()[0]
    headers = {k.replace("_", "-"): v for k, v in change.items()}
    assert (await endpoint.post(event, json.dumps(payload).encode(), **headers)).status_code == status
    assert endpoint.hints == []


async def test_a_signature_that_is_not_ascii_is_refused() -> None:
    endpoint = Endpoint()
    response = await endpoint.client.post(
        "/webhook", content=b"{}", headers=[(b"x-hub-signature-256", b"sha256=\xff\xfe")]
    )
    assert response.status_code == 401


async def test_the_older_secret_is_accepted_while_they_rotate() -> None:
    endpoint = Endpoint()
    event, payload = next(s for s in samples() if s[0] == "pull_request")
    assert (await endpoint.post(event, json.dumps(payload).encode(), secret=SECRETS[1])).status_code == 202
    assert len(endpoint.hints) == 1


@pytest.mark.parametrize("secrets", [(), ("",), ("good", "")])
def test_an_empty_secret_is_refused_at_the_start(secrets: tuple[str, ...]) -> None:
    def nothing(found: object) -> None:
        raise AssertionError(found)

    with pytest.raises(FixConfiguration, match="webhook secret is missing or empty"):
        webhook(secrets, nothing, nothing)


async def test_a_body_over_the_cap_is_not_read_to_its_end() -> None:
    endpoint = Endpoint()
    response = await endpoint.post("push", b"x" * (MAX_BYTES + 1))
    assert response.status_code == 413
    assert endpoint.outcomes == ["too large"]


async def test_only_post() -> None:
    assert (await Endpoint().client.get("/webhook")).status_code == 405


JSON: Callable[[], st.SearchStrategy[Any]] = lambda: st.recursive(  # noqa: E731
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["repository", "pull_request", "issue", "id", "number", "updated_at", "action", "full_name"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.sampled_from(["pull_request", "deployment_status", "push", "unknown"]), JSON() | st.binary(max_size=60))
async def test_no_signed_body_makes_it_fail(event: str, content: Any) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    assert (await Endpoint().post(event, body)).status_code in (202, 400)
