"""Image lookup. "Missing" needs a complete answer that the registry itself sent; everything else is "unknown".

Credentials are sent to their own host, and to a token realm on that host or an allowed one, never elsewhere. No
redirect is followed, because the registry itself serves manifests.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2

from greenroom.core.model.github import ImageState, Missing, Present, Unknown
from greenroom.errors import FixConfiguration
from greenroom.registry.references import HUB, Challenge, Reference, asked, challenge, reference, written

# Always send all four: a registry answers 404 for an existing tag if its manifest's type is not accepted.
ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
KNOWN_REALMS = {HUB: ("auth.docker.io",)}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_MANIFEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and password for one registry host. The password is not in the repr."""

    user: str
    password: str = field(repr=False)


class _Unknowable(Exception):
    """The registry could not be queried. The text is one sentence."""


class Registry:
    """Registries by host. For `insecure` hosts and loopback, requests use plain HTTP."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        credentials: Mapping[str, Credentials] | None = None,
        insecure: Collection[str] = (),
        realms: Collection[str] = (),
    ) -> None:
        self._client = client
        self._credentials = {asked(host): known for host, known in (credentials or {}).items()}
        self._insecure = frozenset(insecure)
        self._realms = frozenset(realms)
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}

    async def look(self, text: str) -> ImageState:
        """Return whether the image exists, with its digest. Never raise because of a registry's behavior."""
        try:
            parsed = reference(text)
            return await self._look(parsed, text)
        except (FixConfiguration, _Unknowable) as error:
            return Unknown(str(error))
        except httpx2.HTTPError as error:
            return Unknown(f"The registry could not be reached for {text} ({type(error).__name__}).")
        except (httpx2.InvalidURL, ValueError) as error:
            return Unknown(f"The registry's response for {text} cannot be parsed ({type(error).__name__}).")

    async def _look(self, parsed: Reference, text: str) -> ImageState:
        answer = await self._ask("HEAD", parsed)
        digest = answer.headers.get("docker-content-digest", "")
        if answer.status_code == 200 and digest.startswith("sha256:"):
            return Present(digest)
        if answer.status_code in (200, 404, 405):
            answer = await self._ask("GET", parsed)
            if answer.status_code == 200:
                return self._present(answer)
        if answer.status_code == 404 and _says_missing(answer):
            return Missing()
        raise _Unknowable(_sentence(answer, parsed, text))

    @staticmethod
    def _present(answer: httpx2.Response) -> ImageState:
        computed = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        claimed = answer.headers.get("docker-content-digest", computed)
        if claimed != computed or "json" not in answer.headers.get("content-type", ""):
            return Unknown(f"The registry's manifest does not match its digest ({claimed[:19]}).")
        return Present(computed)

    async def _ask(self, method: str, parsed: Reference) -> httpx2.Response:
        """Return the registry's answer, after at most one challenge."""
        scope = f"repository:{parsed.repository}:pull"
        answer = await self._send(method, parsed, self._token(parsed.host, scope))
        if answer.status_code != 401:
            return answer
        wanted = challenge(answer.headers.get("www-authenticate", ""))
        if wanted is None:
            raise _Unknowable(
                f"{written(parsed.host)} requires an authentication method that Greenroom does not support."
            )
        return await self._send(method, parsed, await self._authorization(parsed, wanted, scope))

    async def _send(self, method: str, parsed: Reference, authorization: str) -> httpx2.Response:
        headers = {"accept": ACCEPT} | ({"authorization": authorization} if authorization else {})
        scheme = "http" if self._plain(parsed.host) else "https"
        url = f"{scheme}://{parsed.host}/v2/{parsed.repository}/manifests/{parsed.tag}"
        request = self._client.build_request(method, url, headers=headers)
        answer = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_MANIFEST:
                    raise _Unknowable(f"{written(parsed.host)} sent a manifest that is too large.")
        finally:
            await answer.aclose()
        return httpx2.Response(answer.status_code, headers=_plain_headers(answer), content=body, request=request)

    def _plain(self, host: str) -> bool:
        return host in self._insecure or (urlsplit(f"//{host}").hostname or "") in LOOPBACK

    def _token(self, host: str, scope: str) -> str:
        token, until = self._tokens.get((host, scope), ("", 0.0))
        return token if time.monotonic() < until else ""

    async def _authorization(self, parsed: Reference, wanted: Challenge, scope: str) -> str:
        known = self._credentials.get(parsed.host)
        if wanted.scheme == "basic":
            if known is None:
                raise _Unknowable(
                    f"{written(parsed.host)} requires a login. Add credentials under `registry.credentials` in"
                    " greenroom.yaml."
                )
            return _basic(known)
        token, seconds = await self._bearer(parsed, wanted, known)
        self._tokens[parsed.host, scope] = (token, time.monotonic() + seconds - 10)
        return token

    async def _bearer(self, parsed: Reference, wanted: Challenge, known: Credentials | None) -> tuple[str, float]:
        self._check_realm(parsed.host, wanted.realm)
        headers = {"authorization": _basic(known)} if known else {}
        query = {"service": wanted.service, "scope": wanted.scope or f"repository:{parsed.repository}:pull"}
        answer = await self._client.get(wanted.realm, params=query, headers=headers, follow_redirects=False)
        try:
            payload = answer.json()
            token = payload.get("token") or payload["access_token"]
            return f"Bearer {token}", float(payload.get("expires_in", 60))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _Unknowable(
                f"{written(parsed.host)} returned no token ({answer.status_code}). Check its credentials."
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
            raise _Unknowable(
                f"{written(host)} sends Greenroom to {realm_host or 'an invalid address'} for a token, but that address"
                " is not allowed. If it is correct, add its host under `registry.realms` in greenroom.yaml."
            )


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


def _says_missing(answer: httpx2.Response) -> bool:
    """Return whether a 404 is from the registry itself: JSON with one of its error codes, not a proxy's page."""
    if "json" not in answer.headers.get("content-type", ""):
        return False
    try:
        codes = {e["code"] for e in json.loads(answer.content)["errors"]}
    except (ValueError, KeyError, TypeError):
        return False
    return bool(codes & {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"}) and b"accept header" not in answer.content


def _sentence(answer: httpx2.Response, parsed: Reference, text: str) -> str:
    status = answer.status_code
    if status in (401, 403):
        host = written(parsed.host)
        return f"{host} denies access to {text} ({status}). Check `registry.credentials` in greenroom.yaml."
    return f"{written(parsed.host)} returned {status} for {text}."
