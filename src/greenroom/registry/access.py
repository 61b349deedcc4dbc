"""Requests to registries, with the credentials of their host.

Credentials are sent to their own host, and to a token realm on that host or an allowed one, never elsewhere. No
redirect is followed with credentials: a registry that stores its blobs elsewhere redirects to an address that carries
its own signature.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import httpx2

from greenroom.errors import Failed
from greenroom.registry.references import HUB, Challenge, asked, challenge, written

KNOWN_REALMS = {HUB: ("auth.docker.io",)}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_ANSWER = 4 * 1024 * 1024
MAX_REDIRECTS = 5


class RegistryError(Failed):
    """The registry could not be queried. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and password for one registry host. The password is not in the repr."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Advice:
    """The fixes for a login that is missing, a login that does not suffice, and a token realm that is not allowed."""

    login: str = "Add credentials under `registry.credentials` in greenroom.yaml."
    check: str = "Check `registry.credentials` in greenroom.yaml."
    realm: str = "add its host under `registry.realms` in greenroom.yaml."


@dataclass(frozen=True, slots=True)
class Scope:
    """A repository of one host, and what a token for it allows. `source` is a repository whose blobs are mounted."""

    host: str
    repository: str
    actions: str = "pull"
    source: str = ""

    def texts(self) -> list[str]:
        """Return the scopes of a token request. https://distribution.github.io/distribution/spec/auth/scope/"""
        source = [f"repository:{self.source}:pull"] if self.source else []
        return [f"repository:{self.repository}:{self.actions}", *source]


class Access:
    """Registries by host. For `insecure` hosts and loopback, requests use plain HTTP."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        credentials: Mapping[str, Credentials] | None = None,
        insecure: Collection[str] = (),
        realms: Collection[str] = (),
        advice: Advice = Advice(),
    ) -> None:
        self._client = client
        self._credentials = {asked(host): known for host, known in (credentials or {}).items()}
        self._insecure = frozenset(insecure)
        self._realms = frozenset(realms)
        self._advice = advice
        self._tokens: dict[Scope, tuple[str, float]] = {}

    async def send(
        self,
        method: str,
        path: str,
        scope: Scope,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] = b"",
    ) -> httpx2.Response:
        """Return the registry's answer, after at most one challenge. `path` may be the full address of an upload."""
        async with self._answer(method, path, scope, headers or {}, content) as answer:
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_ANSWER:
                    raise RegistryError(f"{written(scope.host)} sent a manifest that is too large.")
        return httpx2.Response(answer.status_code, headers=_plain_headers(answer), content=body, request=answer.request)

    def denied(self, host: str, what: str, status: int) -> RegistryError:
        """Return the error for an answer that denies access."""
        return RegistryError(f"{written(host)} denies access to {what} ({status}). {self._advice.check}")

    @asynccontextmanager
    async def blob(self, scope: Scope, digest: str) -> AsyncIterator[httpx2.Response]:
        """Open a blob. Redirects are followed without credentials."""
        async with self._answer("GET", f"/v2/{scope.repository}/blobs/{digest}", scope, {}, b"") as answer:
            if not answer.is_redirect:
                yield answer
                return
            url = self._next(answer, scope)
        async with self._redirected(url, scope) as found:
            yield found

    @asynccontextmanager
    async def _redirected(self, url: str, scope: Scope) -> AsyncIterator[httpx2.Response]:
        for _ in range(MAX_REDIRECTS):
            async with self._open("GET", url, {}, b"") as answer:
                if not answer.is_redirect:
                    yield answer
                    return
                url = self._next(answer, scope)
        raise RegistryError(f"{written(scope.host)} redirects a download more than {MAX_REDIRECTS} times.")

    def _next(self, answer: httpx2.Response, scope: Scope) -> str:
        url = urljoin(str(answer.request.url), answer.headers.get("location", ""))
        if urlsplit(url).scheme != "https" and not self._plain(scope.host):
            raise RegistryError(f"{written(scope.host)} redirects a download to an address without HTTPS.")
        return url

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, scope: Scope, headers: Mapping[str, str], content: bytes | AsyncIterator[bytes]
    ) -> AsyncIterator[httpx2.Response]:
        home = f"{'http' if self._plain(scope.host) else 'https'}://{scope.host}"
        url = urljoin(home, path)
        if not _same_origin(url, home):  # a registry may name another address for an upload; it gets no credentials
            if urlsplit(url).scheme != "https" and not self._plain(scope.host):
                raise RegistryError(f"{written(scope.host)} names an upload address without HTTPS.")
            async with self._open(method, url, headers, content) as answer:
                yield answer
            return
        async with self._open(method, url, _with(headers, self._token(scope)), content) as answer:
            if answer.status_code != 401 or not isinstance(content, bytes):
                yield answer
                return
            wanted = challenge(answer.headers.get("www-authenticate", ""))
        authorization = await self._authorization(scope, wanted)
        async with self._open(method, url, _with(headers, authorization), content) as answer:
            yield answer

    @asynccontextmanager
    async def _open(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | AsyncIterator[bytes]
    ) -> AsyncIterator[httpx2.Response]:
        request = self._client.build_request(method, url, headers=headers, content=content)
        answer = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            yield answer
        finally:
            await answer.aclose()

    def _plain(self, host: str) -> bool:
        return host in self._insecure or (urlsplit(f"//{host}").hostname or "") in LOOPBACK

    def _token(self, scope: Scope) -> str:
        token, until = self._tokens.get(scope, ("", 0.0))
        return token if time.monotonic() < until else ""

    async def _authorization(self, scope: Scope, wanted: Challenge | None) -> str:
        if wanted is None:
            raise RegistryError(
                f"{written(scope.host)} requires an authentication method that Greenroom does not support."
            )
        known = self._credentials.get(scope.host)
        if wanted.scheme == "basic":
            if known is None:
                raise RegistryError(f"{written(scope.host)} requires a login. {self._advice.login}")
            token, seconds = _basic(known), 3600.0
        else:
            token, seconds = await self._bearer(scope, wanted, known)
        self._tokens[scope] = (token, time.monotonic() + seconds - 10)
        return token

    async def _bearer(self, scope: Scope, wanted: Challenge, known: Credentials | None) -> tuple[str, float]:
        self._check_realm(scope.host, wanted.realm)
        headers = {"authorization": _basic(known)} if known else {}
        ours = scope.texts()
        # The registry names the scope of what was requested; a mount reads one more repository.
        scopes = [wanted.scope or ours[0], *ours[1:]]
        query = {"service": wanted.service, "scope": scopes}
        answer = await self._client.get(wanted.realm, params=query, headers=headers, follow_redirects=False)
        try:
            payload = answer.json()
            token = payload.get("token") or payload["access_token"]
            return f"Bearer {token}", float(payload.get("expires_in", 60))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RegistryError(
                f"{written(scope.host)} returned no token ({answer.status_code}). Check its credentials."
            ) from None

    def _check_realm(self, host: str, realm: str) -> None:
        try:
            parts = urlsplit(realm)
            realm_host = (parts.hostname or "") if parts.port != 0 else ""
        except ValueError:  # an unclosed bracket, an invalid port
            parts, realm_host = urlsplit(""), ""
        same = realm_host == urlsplit(f"//{host}").hostname
        allowed = same or realm_host in self._realms or realm_host in KNOWN_REALMS.get(host, ())
        if not allowed or (parts.scheme != "https" and not self._plain(host)):
            raise RegistryError(
                f"{written(host)} sends Greenroom to {realm_host or 'an invalid address'} for a token, but that address"
                f" is not allowed. If it is correct, {self._advice.realm}"
            )


def _same_origin(url: str, home: str) -> bool:
    return _origin(httpx2.URL(url)) == _origin(httpx2.URL(home))


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _with(headers: Mapping[str, str], authorization: str) -> dict[str, str]:
    return {**headers, **({"authorization": authorization} if authorization else {})}


def _basic(known: Credentials) -> str:
    return str(
        next(httpx2.BasicAuth(known.user, known.password).auth_flow(httpx2.Request("GET", "http://_"))).headers[
            "authorization"
        ]
    )


def _plain_headers(answer: httpx2.Response) -> dict[str, str]:
    """Return the headers that fit a body that was decoded and read."""
    return {
        k: v
        for k, v in answer.headers.items()
        if k.lower() not in ("content-encoding", "content-length", "transfer-encoding")
    }
