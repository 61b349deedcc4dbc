"""One request to GitHub: every answer that is not complete and understood becomes an error of our tree.

gidgethub provides paging, ETags and encoding. Its errors leave some cases open: secondary limits, HTML with status 200,
dropped connections. This module decides those from status and headers.
https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import gidgethub
import gidgethub.abc
import httpx2

from greenroom.errors import Doubt, FixConfiguration, FixCredentials, Refused, RetryLater
from greenroom.github.budget import Budget, budget, paid
from greenroom.github.clock import Clock, parse_http_date
from greenroom.github.content_budget import ContentBudget
from greenroom.github.shapes import BROKEN

API_VERSION = "2022-11-28"
CACHED = 1000
LONGEST_WAIT = 3600.0  # GitHub's limits are hourly, so a longer wait must be a mistake
_urls_read: ContextVar[set[str]] = ContextVar("the URLs of the innermost `whole_read()`")
UNKNOWN_WAIT = 60.0  # "at least one minute", where GitHub gives no number


class NotFound(Doubt):
    """404: the resource is gone, never existed, or is hidden from us. GitHub does not say which."""


class OutcomeUnknown(RetryLater):
    """The connection broke or timed out: a write may or may not have happened."""


class TooSlow(OutcomeUnknown):
    """GitHub did not finish in time: 502, 504, or no answer at all. A smaller request may succeed."""


class Limited(RetryLater):
    """A rate limit of this token is used up, so all requests to GitHub are affected."""


class Auth(Protocol):
    """Our identity: a fixed token today, App installation tokens later."""

    async def token(self) -> str:
        """Return a token that is valid now."""


class Pages(MutableMapping[str, Any]):
    """The ETags and pages of one token. The least recently used page is evicted first.

    A 304 confirms only its own page. A last page with room on it would have changed if anything had been added. A full
    page looks the same when another begins after it, so a full last page is not cached and is read in full each time.
    """

    def __init__(self) -> None:
        self._pages: OrderedDict[str, Any] = OrderedDict()

    def __getitem__(self, url: str) -> Any:
        self._pages.move_to_end(url)
        return self._pages[url]

    def __setitem__(self, url: str, page: Any) -> None:
        *_, items, following = page
        if isinstance(items, list) and following is None and len(items) >= _page_size(url):
            self._pages.pop(url, None)
            return
        self._pages[url] = page
        self._pages.move_to_end(url)
        while len(self._pages) > CACHED:
            self._pages.popitem(last=False)

    def __delitem__(self, url: str) -> None:
        del self._pages[url]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pages)

    def __len__(self) -> int:
        return len(self._pages)


class Transport(gidgethub.abc.GitHubAPI):
    """GitHub's API under one base URL, with one token's cache."""

    def __init__(self, client: httpx2.AsyncClient, auth: Auth, api_url: str, clock: Clock) -> None:
        super().__init__("greenroom", base_url=api_url)
        self._client = client
        self._auth = auth
        self._clock = clock
        self._token = ""
        self._cache: Pages = Pages()
        self._wait = UNKNOWN_WAIT
        self.budget: Budget | None = None
        self.counts: Counter[str] = Counter()
        self.content = ContentBudget()
        self.graphql_url = f"{api_url.removesuffix('/v3')}/graphql"

    async def sleep(self, seconds: float) -> None:
        """Raise `AssertionError`, because only the loop waits."""
        raise AssertionError(f"Greenroom's loop waits, not its transport ({seconds} s)")

    async def get(self, path: str) -> Any:
        """Return one JSON document."""
        return await self._understood(path, self.getitem(path, oauth_token=await self._fresh_token()))

    async def pages(self, path: str) -> AsyncIterator[Any]:
        """Yield every item of every page in order. Raise an exception when any page is incomplete."""
        url: str | None = path
        read = set()
        while url:
            if url in read:
                raise Doubt(
                    f"GitHub's pagination of {path} leads back to an earlier page. Greenroom will read the pages again."
                )
            read.add(url)
            call = self._make_request("GET", url, {}, b"", _ACCEPT, oauth_token=await self._fresh_token())
            items, url, _ = await self._understood(path, call)
            if not isinstance(items, list):
                raise Doubt(f"GitHub's response to GET {path} is not a list. Greenroom will retry.")
            for item in items:
                yield item

    async def send(self, method: str, path: str, data: object) -> Any:
        """Send one write. Return the JSON answer, or None for 204."""
        call = self._make_request(method, path, {}, data, _ACCEPT, oauth_token=await self._fresh_token())
        return (await self._understood(path, call))[0]

    @contextmanager
    def whole_read(self) -> Iterator[None]:
        """Read something, and translate it, inside this context. Doubt about it removes its pages from the cache.

        A page is cached before its reader has understood it. Without this, each 304 would confirm a damaged page.
        """
        urls: set[str] = set()
        outer = _urls_read.set(urls)
        try:
            yield
        except RetryLater:
            raise  # an outage says nothing about the pages that arrived
        except Doubt:
            for url in urls:
                self._cache.pop(url, None)
            raise
        finally:
            _urls_read.reset(outer)

    async def query(self, text: str, variables: Mapping[str, object]) -> dict[str, Any]:
        """Return the whole answer to a GraphQL query: `data` and `errors` as GitHub sent them."""
        answer = await self.send("POST", self.graphql_url, {"query": text, "variables": dict(variables)})
        if not isinstance(answer, dict):
            raise Doubt("GitHub's response to a query is not an object. Greenroom will retry.")
        errors = answer.get("errors") or []
        if not isinstance(errors, list) or not all(isinstance(e, dict) for e in errors):
            raise Doubt("GitHub's response to a query has malformed errors. Greenroom will retry.")
        self.budget = paid(self.budget, answer)
        if self._used_up(errors, answer.get("data")):
            raise Limited("GitHub's rate limit for queries has been reached.", after=self._wait)
        return answer

    def _used_up(self, errors: list[dict[str, Any]], data: object) -> bool:
        """Return whether a rate limit refused the query. GitHub words this error in two ways, both with status 200.

        https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
        """
        if any(e.get("type") in ("RATE_LIMITED", "RATE_LIMIT") for e in errors):
            return True
        spent = self.budget is not None and self.budget.remaining == 0
        secondary = any("secondary rate limit" in str(e.get("message")) for e in errors)
        return bool(errors) and not data and (spent or secondary)

    async def _fresh_token(self) -> str:
        token = await self._auth.token()
        if token != self._token:
            self._token = token
            self._cache = Pages()
        return token

    async def _understood(self, path: str, call: Any) -> Any:
        try:
            return await call
        except gidgethub.RedirectionException:
            raise FixConfiguration(
                f"{_repository(path)} was renamed or moved on GitHub (301). Change `repository:` in its service files."
            ) from None
        except gidgethub.GitHubException as error:
            raise Doubt(
                f"GitHub rejected the request to {_short(path)}: {str(error).rstrip('.')}. Greenroom will retry. If"
                " GitHub keeps rejecting the request, check the token and its permissions."
            ) from None
        except BROKEN:
            raise Doubt(f"GitHub's response to {_short(path)} cannot be parsed. Greenroom will retry.") from None

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, Mapping[str, str], bytes]:
        self.counts[f"{method} {'graphql' if url == self.graphql_url else 'rest'}"] += 1
        if method == "GET" and (urls := _urls_read.get(None)) is not None:
            urls.add(url)
        if method != "GET" and url != self.graphql_url:  # our GraphQL queries only read
            self.content.sent()
        sent = {**headers, "x-github-api-version": API_VERSION}
        try:
            response = await self._client.request(method, url, headers=sent, content=body, follow_redirects=False)
        except httpx2.TimeoutException:
            raise TooSlow(f"GitHub did not respond to {method} {_short(url)} in time.") from None
        except httpx2.HTTPError as error:
            raise OutcomeUnknown(
                f"The request {method} {_short(url)} to GitHub failed ({type(error).__name__})."
            ) from None
        if response.status_code == 304:
            self.counts["304"] += 1
        if url == self.graphql_url:
            self.budget = budget(self.budget, response.headers)
            self._wait = _wished(response.headers) or _reset_in(response.headers)
        check(method, url, response)
        self._clock.seen(response.headers.get("date"))
        # We read the rate limits ourselves. gidgethub would fail on a malformed number in an otherwise good answer.
        headers = {k.lower(): v for k, v in response.headers.items() if not k.lower().startswith("x-ratelimit-")}
        return response.status_code, headers, response.content


_ACCEPT = "application/vnd.github+json"


def check(method: str, url: str, response: httpx2.Response) -> None:
    """Raise the matching error for an answer that is not a success."""
    status, what = response.status_code, f"{method} {_short(url)}"
    if status in (403, 429) and (after := _limited(response)) is not None:
        raise Limited(f"GitHub's rate limit delays {what} by {after:.0f} s ({status}).", after=after)
    if status == 401:
        raise FixCredentials(
            "GitHub rejected the token (401). Create a new token, replace the old one, and restart Greenroom."
        )
    if status in (502, 504):
        raise TooSlow(f"GitHub returned {status} for {what}.")
    if status >= 500:
        raise RetryLater(f"GitHub returned {status} for {what}.")
    if status == 404:
        raise NotFound(
            f"GitHub does not show {_short(url)} (404): it does not exist, or the token has no access to it."
        )
    if status == 403 and b"archived so is read-only" in response.content:
        raise FixConfiguration(
            f"{_repository(url)} is archived on GitHub and read-only: its labels and comments stay as they are, and so"
            " do its previews. Unarchive it, or remove its services from the configuration."
        )
    if status == 403 and b"issue is locked" in response.content:
        # People with write access can still comment. An App cannot; a person's token may.
        # https://docs.github.com/en/communities/moderating-comments-and-conversations/locking-conversations
        raise Refused(
            "The conversation is locked on GitHub, and Greenroom's account is not allowed to comment. Unlock"
            " the conversation, or give the account write access."
        )
    if status in (410, 422) and method != "GET" and "/issues/" in url:
        raise Refused(f"GitHub refused {what} ({status}): {_message(response)}")
    if status == 403:
        raise FixCredentials(f"GitHub does not allow {what} (403). Give the token the missing permission.")
    if status not in (204, 304) and "json" not in response.headers.get("content-type", ""):
        kind = response.headers.get("content-type", "").split(";")[0] or "a response without a content type"
        raise RetryLater(f"GitHub returned {kind} instead of JSON for {what}.")


def _message(response: httpx2.Response) -> str:
    """Return GitHub's message about the first invalid field, else its general message."""
    try:
        body = response.json()
        first = next((e["message"] for e in body.get("errors") or () if "message" in e), "")
        return str(first or body["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "no reason given."


def _limited(response: httpx2.Response) -> float | None:
    """Return the seconds that a rate limit asks us to wait, at most an hour; None without a limit.

    https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
    """
    headers = response.headers
    if (after := _wished(headers)) is not None:
        return after
    if headers.get("x-ratelimit-remaining") == "0":
        return _reset_in(headers)
    return UNKNOWN_WAIT if response.status_code == 429 or b"secondary rate limit" in response.content else None


def _wished(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `Retry-After`, at most an hour; None without it."""
    after = headers.get("retry-after", "")
    return min(LONGEST_WAIT, float(after)) if after.isdecimal() else None


def _reset_in(headers: Mapping[str, str]) -> float:
    """Return the seconds until the limit resets, from two times in one answer, independent of the local clock."""
    reset, date = headers.get("x-ratelimit-reset", ""), parse_http_date(headers.get("date"))
    if not reset.isdecimal() or date is None:
        return UNKNOWN_WAIT
    return max(1.0, min(LONGEST_WAIT, float(reset) - date.timestamp()))


def _page_size(url: str) -> int:
    """Return how many items a page holds.

    https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
    """
    return int(parse_qs(urlsplit(url).query).get("per_page", ["30"])[0])


def _short(url: str) -> str:
    return urlsplit(url).path.removeprefix("/api/v3")


def _repository(path: str) -> str:
    parts = _short(path).strip("/").split("/")
    return "/".join(parts[1:3]) if parts[0] == "repos" else "A repository"
