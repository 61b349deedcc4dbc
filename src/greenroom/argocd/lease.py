"""One writer: every write runs within the Lease, and is cut off before another instance may lead.

Ages are measured with our own monotonic clock, from the moment when a renewal was seen. Clocks are never compared.
https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from greenroom.argocd.client import LEASES, Conflict, Kube, Object
from greenroom.argocd.timing import DEFAULT, Timing
from greenroom.errors import Doubt, GreenroomError

log = structlog.get_logger(__name__)


class Lease:
    """The Lease that makes this process the only writer.

    `holder` names the process. A restart with the same name acquires the Lease at once.
    """

    def __init__(self, kube: Kube, namespace: str, name: str, holder: str, timing: Timing = DEFAULT) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._holder = holder
        self._seen = ("", 0.0)
        self._other = ""
        self._timing = timing
        self._clock = timing.clock
        self._renewed_at = -math.inf
        self._writes: set[asyncio.Timeout] = set()

    def check(self) -> None:
        """Raise `Doubt` when we may not write: the Lease was never acquired, or could not be renewed for too long."""
        if self._left() <= 0:
            if self._other:
                raise Doubt("This instance writes nothing, because another instance holds the Lease.")
            if self._renewed_at == -math.inf:
                raise Doubt("This instance writes nothing, because it does not hold the Lease.")
            raise Doubt("This instance writes nothing, because it could not renew its Lease in time.")

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Allow writes in this context. Raise `Doubt` when we may not write, and cut off writes that outlast the Lease.

        Another instance waits for a third of the Lease longer, so that none of our writes is under way by then.
        """
        self.check()
        try:
            async with asyncio.timeout(self._left()) as end:
                self._writes.add(end)
                try:
                    yield
                finally:
                    self._writes.discard(end)
        except TimeoutError:
            if not end.expired():
                raise
            raise Doubt(
                "The Lease expired during a write, so Greenroom canceled the write and will try again."
            ) from None

    def _left(self) -> float:
        """Return the seconds for which we may write."""
        return self._renewed_at + self._timing.lease_duration * 2 / 3 - self._clock.monotonic()

    def _lasts_from(self, moment: float) -> None:
        """Count the Lease from this moment. Writes in progress may continue until its new end, and no longer."""
        self._renewed_at = moment
        for end in self._writes:
            if not end.expired():
                end.reschedule(asyncio.get_running_loop().time() + self._left())

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        told = False
        while True:
            try:
                if await self._try():
                    return
                if not told:
                    log.info("another instance is running; this one is on standby", lease=self._name)
                told = True
            except GreenroomError as error:
                log.warning("the Lease could not be read; retrying", why=str(error))
            await self._clock.sleep(self._timing.lease_retry)

    async def keep(self) -> str:
        """Renew the Lease until that fails for too long. Return a sentence that says why the Lease is lost."""
        while True:
            await self._clock.sleep(self._timing.lease_renewal)
            try:
                if not await self._try():
                    self._lasts_from(-math.inf)
                    return "Another process took or changed the Lease, so this instance is stopping."
            except GreenroomError as error:
                log.warning("the Lease was not renewed", why=str(error))
            if self._left() <= 0:
                return (
                    "The Lease could not be renewed in time, so this instance is stopping before another instance takes"
                    " over."
                )

    async def release(self) -> None:
        """Release the Lease, so that the next instance can acquire it at once."""
        self._lasts_from(-math.inf)
        found = await self._kube.get(LEASES, self._namespace, self._name)
        if found and found["spec"].get("holderIdentity") == self._holder:
            found["spec"]["holderIdentity"] = ""
            await self._kube.replace(LEASES, self._namespace, self._name, found)

    async def _try(self) -> bool:
        asked_at = self._clock.monotonic()
        found = await self._kube.get(LEASES, self._namespace, self._name)
        try:
            if found is None:
                await self._kube.create(LEASES, self._namespace, self._body({}))
            elif self._free(found):
                await self._kube.replace(LEASES, self._namespace, self._name, self._body(found))
            else:
                return False
        except Conflict:
            return False
        self._lasts_from(asked_at)
        return True

    def _free(self, found: Object) -> bool:
        spec = found.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        self._other = "" if holder == self._holder else holder
        if not self._other:
            return True
        version = found["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, self._clock.monotonic())
        return self._clock.monotonic() - self._seen[1] > float(
            spec.get("leaseDurationSeconds") or self._timing.lease_duration
        )

    def _body(self, found: Object) -> Object:
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = found.get("spec") or {"acquireTime": now}
        spec |= {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": int(self._timing.lease_duration),
            "renewTime": now,
        }
        metadata = found.get("metadata") or {"name": self._name, "namespace": self._namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
