"""Health checks of a version: of each process directly, and of each public service through the proxy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx2

from greenroom.clock import wait_until
from greenroom.core.model.catalog import Process as ProcessSpec
from greenroom.core.model.catalog import Service
from greenroom.errors import Failed
from greenroom.local import processes
from greenroom.local.addresses import Addresses
from greenroom.local.state import Instance, Process

NO_ANSWER = 5.0  # seconds
LOOPBACK = "127.0.0.1"


@dataclass(slots=True)
class _Pending:
    """A process that did not answer yet. `last` describes its last answer."""

    process: Process
    spec: ProcessSpec
    host: str
    last: str = "it does not respond"

    def failed(self, why: str) -> Failed:
        name = f"{self.process.service}.{self.process.name}"
        return Failed(f"{name} {why}", log=processes.tail(Path(self.process.log)), service=self.process.service)


class Probes:
    """Health checks. A version has `seconds` to answer."""

    def __init__(self, client: httpx2.AsyncClient, proxy_port: int, seconds: float, addresses: Addresses) -> None:
        self._client = client
        self._proxy_port = proxy_port
        self._seconds = seconds
        self._addresses = addresses

    async def healthy(self, version: Instance) -> None:
        """Wait until every process lives and every web process answers. Raise `Failed` for the first that does not."""
        pending = _pending(version)

        async def all_answer() -> bool:
            while pending and await self._answers(pending[0]):
                del pending[0]
            return not pending

        if not await wait_until(all_answer, self._seconds, every=0.05):
            late = pending[0]
            raise late.failed(f"is not healthy after {self._seconds:.0f} s: {late.last} to GET {late.spec.probe}.")

    async def reachable(self, version: Instance) -> None:
        """Request each public service through the proxy. Raise `Failed` for a wrong answer.

        If there is no answer at all, retry for `NO_ANSWER` seconds: each process already answered a direct request, so
        an overloaded machine is the likely cause.
        """
        pending, status = list(version.spec.services), None

        async def all_answer() -> bool:
            nonlocal status
            while pending:
                status = await self._public_status(pending[0])
                if status in (None, 502, 503):  # the proxy says 503 while a first version is starting
                    return False
                if not _is_good(status):
                    raise _unreachable(pending[0], status)
                del pending[0]
            return True

        if not await wait_until(all_answer, NO_ANSWER, every=0.1):
            raise _unreachable(pending[0], status)

    async def _answers(self, pending: _Pending) -> bool:
        """Return whether a process lives and answers. Raise `Failed` if it ended."""
        process = pending.process
        if not processes.alive(process.pid, process.started):
            raise pending.failed("exited during startup.")
        if not process.port:
            return True
        status = await self._status(process.port, pending.spec.probe, pending.host)
        if status is not None:
            pending.last = f"it responds with {status}"
        return _is_good(status)

    async def _public_status(self, service: Service) -> int | None:
        """Return the status of a service at its public address; 200 if it has none, None if there is no answer."""
        while (host := self._addresses.host(service.name)) and service.web:
            status = await self._status(self._proxy_port, service.web.probe, host)
            if host == self._addresses.host(service.name):
                return status
            # It was renamed meanwhile: the old address proves nothing about this version.
        return 200

    async def _status(self, port: int, path: str, host: str) -> int | None:
        try:
            answer = await self._client.get(f"http://{LOOPBACK}:{port}{path}", headers={"host": host})
        except httpx2.HTTPError:
            return None
        return answer.status_code


def _pending(version: Instance) -> list[_Pending]:
    """Return the processes of a version, in the order of its services."""
    running = {(p.service, p.name): p for p in version.processes}
    return [
        _Pending(process, spec, version.spec.names.host(service.name) or LOOPBACK)
        for service in version.spec.services
        for spec in service.processes
        if (process := running.get((service.name, spec.name)))
    ]


def _is_good(status: int | None) -> bool:
    return status is not None and 200 <= status < 400


def _unreachable(service: Service, status: int | None) -> Failed:
    why = f"{service.name} does not respond through the proxy ({status or 'no response'})."
    return Failed(why, service=service.name)
