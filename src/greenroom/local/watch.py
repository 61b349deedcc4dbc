"""The watch over the version that serves: crashed processes and needs are restarted, with growing pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from greenroom.core.model.engine import Health
from greenroom.core.model.spec import PreviewSpec
from greenroom.errors import Failed
from greenroom.local import machine, process_set, processes
from greenroom.local.addresses import Addresses
from greenroom.local.crashes import NEEDS, Crashes
from greenroom.local.datastores import Datastores
from greenroom.local.launcher import Launcher
from greenroom.local.probes import Probes
from greenroom.local.process_set import ProcessSet
from greenroom.local.record_file import WELL, RecordFile
from greenroom.local.state import Instance, Process
from greenroom.local.trees import Trees
from greenroom.local.version_key import key_of


class Restarts:
    """Restarts of the processes of one preview's serving version."""

    def __init__(
        self, record: RecordFile, trees: Trees, launcher: Launcher, process_set: ProcessSet, addresses: Addresses
    ) -> None:
        self._record = record
        self._trees = trees
        self._launcher = launcher
        self._processes = process_set
        self._addresses = addresses

    async def restart(self, serving: Instance, ended: Sequence[Process]) -> Instance:
        """Start these processes of the serving version again. Return the version with the new processes."""
        source = await self._trees.source(serving.spec)
        for process in ended:
            service = next(s for s in serving.spec.services if s.name == process.service)
            spec = next(p for p in service.processes if p.name == process.name)
            started = await self._launcher.start(source, service, spec)
            serving = replace(serving, processes=tuple(started if p is process else p for p in serving.processes))
            await self._processes.note(started, serving=serving)
            self._addresses.claim()
        return serving


class Watch:
    """The watch over the version of one preview that serves."""

    def __init__(
        self,
        record: RecordFile,
        datastores: Datastores,
        restarts: Restarts,
        probes: Probes,
        crashes: Crashes,
        disks: tuple[Path, ...],
    ) -> None:
        self._record = record
        self._datastores = datastores
        self._restarts = restarts
        self._probes = probes
        self._crashes = crashes
        self._disks = disks

    async def check(self, spec: PreviewSpec | None) -> None:
        """Restart what crashed of the serving version and its needs, and show that meanwhile.

        A version that is wanted but not READY becomes READY once it answers.
        """
        serving = self._record.kept.serving
        if serving is None:
            return
        try:
            port = await self._datastores.revive(serving.spec)
        except Failed as error:
            self._tell(spec, error)
            await self._crashes.pause(NEEDS)
            return
        try:
            await self._restore(spec, serving, port)
        except Failed as error:
            self._tell(spec, error)
        else:
            self._crashes.forget(NEEDS)
            if self._unwell(spec):
                self._record.keep(health=Health.READY, **WELL, failed_key="")

    async def _restore(self, spec: PreviewSpec | None, serving: Instance, port: int) -> None:
        """Restart the processes that ended, or that use another port of PostgreSQL than this one."""
        if moved := [p for p in serving.processes if p.database not in (0, port)]:
            self._tell(
                spec, Failed("PostgreSQL restarted on another port. Greenroom is restarting the processes that use it.")
            )
            await process_set.end(moved)
            await self._probes.healthy(await self._restarts.restart(serving, moved))
        elif dead := [p for p in serving.processes if not processes.alive(p.pid, p.started)]:
            await self._revive(spec, serving, dead)
        elif self._unwell(spec):
            await self._probes.healthy(serving)

    async def _revive(self, spec: PreviewSpec | None, serving: Instance, dead: Sequence[Process]) -> None:
        first = dead[0]
        said = processes.tail(Path(first.log))
        why = f"{first.service}.{first.name} exited; Greenroom is restarting it."
        self._tell(spec, Failed(why, log=said, service=first.service))
        await self._crashes.pause(first.service)
        await self._probes.healthy(await self._restarts.restart(serving, dead))

    def _unwell(self, spec: PreviewSpec | None) -> bool:
        """Return whether the serving version may be unhealthy; False while a newer version's failure is shown."""
        failed = self._record.kept.failed_key
        newer = bool(failed) and (spec is None or key_of(spec) == failed)
        return self._record.kept.health is not Health.READY and not newer

    def _tell(self, spec: PreviewSpec | None, error: Failed) -> None:
        """Record a failure of the serving version, unless the failure of a newer version is shown."""
        error = machine.excuse(error, self._disks) or error
        if self._unwell(spec) or self._record.kept.health is Health.READY:
            self._record.fail(error)
