"""The end of processes that should not run: leftovers of an interruption, and those of a preview that sleeps."""

from __future__ import annotations

from greenroom.core.model.engine import Health
from greenroom.local.addresses import Addresses
from greenroom.local.process_set import ProcessSet
from greenroom.local.record_file import WELL, RecordFile


class Cleanup:
    """The end of one preview's processes that should not run."""

    def __init__(self, record: RecordFile, process_set: ProcessSet, addresses: Addresses) -> None:
        self._record = record
        self._processes = process_set
        self._addresses = addresses

    async def end_leftovers(self, *, retry: bool) -> None:
        """End the processes that neither serve nor are caches. With `retry`, a version that failed starts again."""
        serving = self._record.kept.serving
        await self._processes.end_all(keep=(*(serving.processes if serving else ()), *self._record.kept.caches))
        self._record.keep(starting=None, ending=(), failed_key="" if retry else self._record.kept.failed_key)
        self._addresses.claim()

    async def sleep(self) -> None:
        """End every process except the caches. The databases stay as they are."""
        if self._record.kept.serving or self._record.kept.health is not Health.READY:
            await self._processes.end_all(keep=self._record.kept.caches)
            self._record.keep(serving=None, starting=None, ending=(), health=Health.READY, **WELL, failed_key="")
            self._addresses.claim()
