"""The switch from the version that serves to a new one, and the end of the old one."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime

from greenroom.core.model.engine import Health
from greenroom.local import process_set
from greenroom.local.addresses import Addresses
from greenroom.local.crashes import Crashes
from greenroom.local.datastores import Datastores
from greenroom.local.probes import Probes
from greenroom.local.proxy import Proxy
from greenroom.local.record_file import WELL, RecordFile
from greenroom.local.state import Instance
from greenroom.local.trees import Trees
from greenroom.local.troubles import Troubles

DRAIN = 10.0  # seconds


class Switch:
    """The switch of one preview to the version that is being started."""

    def __init__(
        self, record: RecordFile, addresses: Addresses, probes: Probes, crashes: Crashes, troubles: Troubles
    ) -> None:
        self._record = record
        self._addresses = addresses
        self._probes = probes
        self._crashes = crashes
        self._troubles = troubles

    async def make(self) -> None:
        """Switch to the new version once it answers, directly and then through the proxy that people use.

        During the check through the proxy only the route points to it. The state still names the old version, and the
        route returns to that version if the check fails. On a first start nothing else answers at the hosts, so they
        lead to the new version from the beginning: its services call each other before all of them are healthy.
        """
        old = self._record.kept.serving
        with self._addresses.trying(self._record.starting) if old is None else contextlib.nullcontext():
            await self._probes.healthy(self._record.starting)
        new = replace(self._record.starting, ready_at=datetime.now(UTC))
        with self._addresses.trying(new):
            await self._probes.reachable(new)
            self._crashes.clear()
            self._troubles.clear()
            ending = old.processes if old else ()
            self._record.keep(serving=new, starting=None, ending=ending, health=Health.READY, **WELL)


class Retirement:
    """The end of the versions of one preview that no longer serve."""

    def __init__(self, record: RecordFile, proxy: Proxy, trees: Trees, datastores: Datastores) -> None:
        self._record = record
        self._proxy = proxy
        self._trees = trees
        self._datastores = datastores

    async def drained(self, old: Instance) -> None:
        """Wait, for at most `DRAIN` seconds, until the old version has completed its requests."""
        await asyncio.gather(*(self._proxy.drained(p.port, DRAIN) for p in old.processes if p.port))

    async def retire(self, old: Instance) -> None:
        """End a version that no longer serves, and remove the worktrees and caches that only it used."""
        await process_set.end(old.processes)
        self._record.keep(ending=())
        if serving := self._record.kept.serving:
            await self._trees.remove_unused(serving.spec)
            await self._datastores.end_unused(serving.spec)
