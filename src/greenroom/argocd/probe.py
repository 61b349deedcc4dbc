"""HTTP probes of a preview's public hosts, as people reach them."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2

from greenroom.core.model.catalog import Service
from greenroom.core.model.spec import PreviewSpec
from greenroom.core.planning.chart_values import revision


@dataclass(frozen=True, slots=True)
class Prober:
    """The way to public hosts. `probe` is `public`, `none`, or the base URL of an ingress that gets the requests."""

    client: httpx2.AsyncClient
    scheme: str
    probe: str

    def url(self, spec: PreviewSpec, service: Service) -> str:
        """Return the public address of a service; empty when it has none."""
        host = spec.names.host(service.name)
        return f"{self.scheme}://{host}" if host else ""

    async def failure(self, host: str, path: str) -> str:
        """Request a path at a host. Return how that failed; empty when there is an answer."""
        if self.probe == "none":
            return ""
        base = f"{self.scheme}://{host}" if self.probe == "public" else self.probe
        try:
            answer = await self.client.get(f"{base}{path}", headers={"host": host})
        except httpx2.HTTPError as error:
            return f"{self.scheme}://{host}{path} does not respond ({type(error).__name__})"
        # An access policy in front of the preview may answer in its place.
        answers = 200 <= answer.status_code < 400 or answer.status_code in (401, 403)
        return "" if answers else f"{self.scheme}://{host}{path} returns {answer.status_code}"


@dataclass(slots=True)
class PublicHosts:
    """The hosts of one preview. A version that has answered is not probed again."""

    prober: Prober
    _answered: frozenset[tuple[str, str]] = frozenset()

    def forget(self) -> None:
        """Probe every host again."""
        self._answered = frozenset()

    async def silence(self, spec: PreviewSpec) -> str:
        """Return how a public service fails to answer at its host; empty when all answer."""
        wanted = {
            (host, revision(s, spec)): s.web.probe for s in spec.services if (host := spec.names.host(s.name)) and s.web
        }
        for (host, made_from), path in wanted.items():
            if (host, made_from) not in self._answered:
                if silence := await self.prober.failure(host, path):
                    return silence
                self._answered |= {(host, made_from)}
        self._answered &= wanted.keys()
        return ""
