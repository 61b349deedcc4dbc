"""One writer: whatever writes does so within the Lease, and is cut off before another instance may lead.

Ages are measured with our own monotonic clock from the moment a renewal was seen; clocks are never compared.
https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog

from greenroom.argocd.kube import LEASES, Conflict, Kube, Object
from greenroom.errors import Doubt, GreenroomError

log = structlog.get_logger(__name__)

DURATION = 15.0
RENEW_EVERY = 2.0


class Lease:
    """The place of the one writer. `holder` names this process; a restart under the same name takes it at once."""

    def __init__(self, kube: Kube, namespace: str, name: str, holder: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._holder = holder
        self._seen = ("", 0.0)
        self._renewed_at = -DURATION
        self._writes: set[asyncio.Timeout] = set()

    def check(self) -> None:
        """Raises `Doubt` when we may not write: the Lease was never taken, or could not be renewed for too long."""
        if self._left() <= 0:
            raise Doubt("This instance does not hold the Lease (another one runs); it writes nothing.")

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Within it may be written. Raises `Doubt` when we may not, and cuts off what lasts longer than the Lease.

        Another instance waits for a third of the Lease longer, so that nothing of ours is on its way by then.
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
            raise Doubt("The Lease ended in the middle of a write, which was cut off; it is decided anew.") from None

    def _left(self) -> float:
        """Seconds for which we may write."""
        return self._renewed_at + DURATION * 2 / 3 - time.monotonic()

    def _lasts_from(self, moment: float) -> None:
        """Count from there; what is being written now may go on as long, and no longer."""
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
                    log.info("another instance runs; this one stands by", lease=self._name)
                told = True
            except GreenroomError as error:
                log.warning("the Lease could not be read; asked again", why=str(error))
            await asyncio.sleep(1.0)

    async def keep(self) -> str:
        """Renew until that fails for too long; returns the sentence why it is lost."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                if not await self._try():
                    self._lasts_from(-DURATION)
                    return "Another instance took the Lease; this one stops."
            except GreenroomError as error:
                log.warning("the Lease was not renewed", why=str(error))
            if self._left() <= 0:
                return "The Lease could not be renewed in time; this instance stops before another one starts."

    async def release(self) -> None:
        """Give the place to the next one at once."""
        self._lasts_from(-DURATION)
        found = await self._kube.get(LEASES, self._namespace, self._name)
        if found and found["spec"].get("holderIdentity") == self._holder:
            found["spec"]["holderIdentity"] = ""
            await self._kube.replace(LEASES, self._namespace, self._name, found)

    async def _try(self) -> bool:
        asked_at = time.monotonic()
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
        if spec.get("holderIdentity") in ("", None, self._holder):
            return True
        version = found["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, time.monotonic())
        return time.monotonic() - self._seen[1] > float(spec.get("leaseDurationSeconds") or DURATION)

    def _body(self, found: Object) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = found.get("spec") or {"acquireTime": now}
        spec |= {"holderIdentity": self._holder, "leaseDurationSeconds": int(DURATION), "renewTime": now}
        metadata = found.get("metadata") or {"name": self._name, "namespace": self._namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
