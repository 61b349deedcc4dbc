"""One request: what GitHub's status and headers ask for, whatever clock this machine has."""

from __future__ import annotations

import json
from collections.abc import Mapping

import httpx2
import pytest

from greenroom.errors import Doubt, RetryLater
from greenroom.github.budget import Budget
from greenroom.github.client import Token
from greenroom.github.clock import Clock
from greenroom.github.transport import TooSlow, Transport

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


RESET = {"date": DATE, "x-ratelimit-reset": IN_HALF_AN_HOUR}
USED_UP_QUERIES = {
    "as documented": (RESET, {"errors": [{"type": "RATE_LIMITED"}]}),
    "as it was seen in 2026": (RESET, {"errors": [{"type": "RATE_LIMIT", "code": "graphql_rate_limit"}]}),
    "with part of the data": (RESET, {"data": {"viewer": None}, "errors": [{"type": "RATE_LIMIT"}]}),
    "with another word, and nothing left": (RESET | USED_UP, {"data": None, "errors": [{"message": "Slow down."}]}),
}


@pytest.mark.parametrize(("headers", "answer"), USED_UP_QUERIES.values(), ids=USED_UP_QUERIES)
async def test_queries_wait_for_the_reset_of_their_limit_however_github_words_it(
    headers: dict[str, str], answer: dict[str, object]
) -> None:
    with pytest.raises(RetryLater, match="rate limit for queries") as refused:
        await answering(200, headers, answer).query("{ viewer { login } }", {})
    assert refused.value.after == 1800.0


async def test_a_secondary_limit_of_queries_waits_as_long_as_it_asks_for() -> None:
    body = {"errors": [{"message": "You have exceeded a secondary rate limit. Please wait."}]}
    with pytest.raises(RetryLater) as refused:
        await answering(200, RESET | {"retry-after": "7"}, body).query("{ viewer { login } }", {})
    assert refused.value.after == 7.0


async def test_the_last_points_of_an_hour_still_buy_an_answer() -> None:
    body = {"data": {"r0": None, "viewer": {"login": "ada"}}, "errors": [{"type": "NOT_FOUND", "path": ["r0"]}]}
    assert await answering(200, RESET | USED_UP, body).query("{ viewer { login } }", {}) == body


async def test_the_budget_of_queries_is_that_of_the_last_answer() -> None:
    headers = {"x-ratelimit-limit": "12500", "x-ratelimit-remaining": "9000"}
    paid = answering(200, headers, {"data": {"rateLimit": {"cost": 3, "limit": 5000, "remaining": 4997}}})
    before = paid.budget
    for _ in range(2):
        await paid.query("{ viewer { login } }", {})
    assert (before, paid.budget) == (None, Budget(limit=5000, remaining=4997, spent=6))
    headed = answering(200, headers, {"data": {"viewer": None}})
    await headed.query("{ viewer { login } }", {})
    assert headed.budget == Budget(limit=12500, remaining=9000)


@pytest.mark.parametrize("told", [None, [], {}, {"cost": "3"}, {"cost": True, "limit": None, "remaining": 1.5}])
async def test_where_no_limit_is_set_there_is_no_budget(told: object) -> None:
    unlimited = answering(
        200,
        {"x-ratelimit-limit": "none", "x-ratelimit-remaining": "-1", "x-ratelimit-reset": "soon"},
        {"data": {"rateLimit": told}},
    )
    await unlimited.query("{ viewer { login } }", {})
    assert unlimited.budget is None


@pytest.mark.parametrize("errors", [{"a": 1}, "no", [1], [["no"]], 7])
async def test_errors_of_an_unknown_shape_are_doubt(errors: object) -> None:
    with pytest.raises(Doubt):
        await answering(200, {}, {"data": {"viewer": {}}, "errors": errors}).query("{ viewer { login } }", {})


@pytest.mark.parametrize(("status", "slow"), [(500, False), (502, True), (503, False), (504, True)])
async def test_a_timeout_at_github_is_distinguished_from_a_failure(status: int, slow: bool) -> None:
    with pytest.raises(RetryLater) as refused:
        await answering(status, {}).get("/user")
    assert isinstance(refused.value, TooSlow) == slow


async def test_pages_that_point_back_to_an_earlier_page_are_doubt() -> None:
    link = {"link": '<https://github.example.com/api/v3/items?page=2>; rel="next"'}
    with pytest.raises(Doubt, match="leads back to an earlier page"):
        _ = [item async for item in answering(200, link, [1]).pages("/items")]


@pytest.mark.parametrize(("wish", "seconds"), [("7", 7.0), ("3600", 3600.0), ("99999999", 3600.0), ("soon", 60.0)])
async def test_retry_after_of_github_is_respected_up_to_an_hour(wish: str, seconds: float) -> None:
    with pytest.raises(RetryLater) as refused:
        await answering(429, {"retry-after": wish}).get("/user")
    assert refused.value.after == seconds
