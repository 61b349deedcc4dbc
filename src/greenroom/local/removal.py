"""The removal of one preview. It can be interrupted at any point, and continues at the next start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from greenroom.core.messages.words import listed
from greenroom.core.model.engine import Health, Receipt
from greenroom.errors import Failed
from greenroom.local.addresses import Addresses
from greenroom.local.datastores import Datastores
from greenroom.local.machine import Trouble
from greenroom.local.process_set import ProcessSet
from greenroom.local.record_file import WELL, RecordFile
from greenroom.local.trees import Trees
from greenroom.local.troubles import Troubles
from greenroom.local.workspace import Workspace

_REMOVING: Mapping[str, object] = {"health": Health.REMOVING, "databases": (), "failed_key": "", **WELL}


class Removal:
    """The removal of everything that belongs to one preview."""

    def __init__(
        self,
        record: RecordFile,
        workspace: Workspace,
        process_set: ProcessSet,
        addresses: Addresses,
        trees: Trees,
        datastores: Datastores,
        troubles: Troubles,
        left: Callable[[], Awaitable[Receipt]],
    ) -> None:
        self._record = record
        self._workspace = workspace
        self._processes = process_set
        self._addresses = addresses
        self._trees = trees
        self._datastores = datastores
        self._troubles = troubles
        self._left = left
        self._failure = ""

    async def remove(self) -> None:
        """End and delete everything, the state file last. If that fails, show why and raise the error.

        Until then the health is REMOVING, so that the next start finds an interrupted removal.
        """
        try:
            await self._remove()
        except Exception as error:
            self._failure = f"Its removal failed: {self._troubles.explained(error)}"
            try:
                self.show_failure()
            except Trouble as unwritten:
                self._troubles.show(Trouble(self._failure, log=unwritten.log))
            raise

    def show_failure(self) -> None:
        """Record that the removal failed. Raise `Trouble` if that cannot be written."""
        self._record.keep(health=Health.FAILED, why=self._failure, fix="", failing="")

    async def _remove(self) -> None:
        self._begin()
        self._troubles.clear()
        self._addresses.release()
        await self._processes.end_all(keep=())
        self._record.keep(serving=None, starting=None, caches=())  # a later failure restarts nothing
        await self._datastores.drop_all()
        await self._trees.remove_all(self._record.kept.spec.pull_request.slug)
        await asyncio.to_thread(self._workspace.remove_logs)
        # A spec that was served and withdrawn during the removal has claimed the routes again.
        self._addresses.release()
        await self._verify()
        self._addresses.release()  # likewise, for one that came during the verification
        self._record.forget()

    async def _verify(self) -> None:
        """Raise `Failed` while something is left: without the record, nothing would try again to delete it."""
        if left := (await self._left()).left:
            raise Failed(f"These resources still exist: {listed(left)}.")

    def _begin(self) -> None:
        try:
            self._record.keep(**_REMOVING)
        except Trouble:  # the removal deletes its logs anyway, and they may fill the disk
            self._workspace.empty_logs()
            self._record.keep(**_REMOVING)
