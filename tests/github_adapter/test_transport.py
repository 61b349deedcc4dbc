"""One request: what GitHub's status and headers ask for, whatever clock this machine has."""

from __future__ import annotations

import json
from collections.abc import Mapping

import httpx2
import pytest

from greenroom.errors import RetryLater
from greenroom.github.client import Token
from greenroom.github.clock import Clock
from greenroom.github.transport import Transport

DATE = "Mon, 02 Mar 2026 11:30:00 GMT"
IN_HALF_AN_HOUR = "1772452800"
USED_UP = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0"}


def answering(status: int, headers: Mapping[str, str], body: object = None) -> Transport:
    """A transport whose every request gets this answer."""
    content = json.dumps(body if body is not None else {"message": "no"}).encode()

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": "application/json", **headers}, content=content)

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return Transport(client, Token("token"), "https://github.example.com/api/v3", Clock())


WAITS = {
    "until the reset, by GitHub's own clock": ({"date": DATE, "x-ratelimit-reset": IN_HALF_AN_HOUR}, 1800.0),
    "an hour at most": ({"date": DATE, "x-ratelimit-reset": "1893456000"}, 3600.0),
    "a reset that is over": ({"date": DATE, "x-ratelimit-reset": "1000000000"}, 1.0),
    "no date": ({"x-ratelimit-reset": IN_HALF_AN_HOUR}, 60.0),
    "an odd reset": ({"date": DATE, "x-ratelimit-reset": "soon"}, 60.0),
}


@pytest.mark.parametrize(("headers", "seconds"), WAITS.values(), ids=WAITS)
async def test_how_long_a_used_up_limit_is_waited_for(headers: dict[str, str], seconds: float) -> None:
    with pytest.raises(RetryLater) as refused:
        await answering(403, USED_UP | headers).get("/user")
    assert refused.value.after == seconds


async def test_how_long_queries_are_waited_for_is_told_the_same_way() -> None:
    headers = USED_UP | {"date": DATE, "x-ratelimit-reset": IN_HALF_AN_HOUR}
    with pytest.raises(RetryLater, match="hourly limit of queries") as refused:
        await answering(200, headers, {"errors": [{"type": "RATE_LIMITED"}]}).query("{ viewer { login } }", {})
    assert refused.value.after == 1800.0


@pytest.mark.parametrize(("wish", "seconds"), [("7", 7.0), ("3600", 3600.0), ("99999999", 3600.0), ("soon", 60.0)])
async def test_githubs_own_wish_is_kept_up_to_an_hour(wish: str, seconds: float) -> None:
    with pytest.raises(RetryLater) as refused:
        await answering(429, {"retry-after": wish}).get("/user")
    assert refused.value.after == seconds
