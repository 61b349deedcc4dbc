"""The addresses of one preview: the hosts of its public services, and the processes that they lead to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from greenroom.local.machine import Trouble
from greenroom.local.record_file import RecordFile
from greenroom.local.routes import Routes
from greenroom.local.state import Instance
from greenroom.local.wanted import Wanted


class Addresses:
    """The claims of one preview on hosts. The hosts are those of the spec that is served now."""

    def __init__(self, routes: Routes, record: RecordFile, wanted: Wanted) -> None:
        self._routes = routes
        self._record = record
        self._wanted = wanted
        self._tried: Instance | None = None  # the version that people reach while it is checked

    def host(self, service: str) -> str:
        """Return the host of a service; empty if it is not public."""
        return next((host for host, name in self._hosts().items() if name == service), "")

    def claim(self) -> None:
        """Lead the hosts to the version that serves."""
        serving = self._tried or self._record.kept.serving
        ports = {p.service: p.port for p in serving.processes if p.port} if serving else {}
        # Without a version and without a spec, the preview only waits for its removal.
        hosts = self._hosts() if serving or self._wanted.spec else {}
        self._routes.claim(self._record.identity, {host: ports.get(service, 0) for host, service in hosts.items()})

    def release(self) -> None:
        """Give up all hosts."""
        self._routes.release(self._record.identity)

    @contextlib.contextmanager
    def trying(self, version: Instance) -> Iterator[None]:
        """Lead the hosts to a version within the block, and afterwards to the one that the record names."""
        self._tried = version
        try:
            self.claim()
            yield
        finally:
            self._tried = None
            self.claim()

    def check_owned(self) -> None:
        """Raise `Trouble` while another preview holds an address of this one: checks would reach the other one."""
        if taken := self._routes.taken(self._record.identity, self._hosts()):
            host, other = taken
            raise Trouble(
                f"http://{host} belongs to another preview (pull request {other.number} of the repository with the id"
                f" {other.repository_id}). This one will start once that preview is removed or released."
            )

    def _hosts(self) -> dict[str, str]:
        spec = self._wanted.spec or self._record.kept.spec
        return {host: service for service, host in spec.names.hosts.items()}
