"""The deployment of a new version: it starts beside the one that serves, and the switch comes last."""

from __future__ import annotations

from dataclasses import replace

from greenroom.core.model.catalog import ProcessKind
from greenroom.core.model.engine import Health
from greenroom.core.model.spec import PreviewSpec
from greenroom.errors import Failed
from greenroom.local import process_set, processes
from greenroom.local.datastores import Datastores
from greenroom.local.failed_version import FailedVersion
from greenroom.local.launcher import Launcher
from greenroom.local.process_set import ProcessSet
from greenroom.local.record_file import WELL, RecordFile
from greenroom.local.state import Instance
from greenroom.local.switch import Switch
from greenroom.local.trees import Source, Trees
from greenroom.local.version_key import key_of


class Deployment:
    """The deployment of one preview's versions."""

    def __init__(
        self,
        record: RecordFile,
        trees: Trees,
        datastores: Datastores,
        launcher: Launcher,
        process_set: ProcessSet,
        switch: Switch,
        failed: FailedVersion,
    ) -> None:
        self._record = record
        self._trees = trees
        self._datastores = datastores
        self._launcher = launcher
        self._processes = process_set
        self._switch = switch
        self._failed = failed

    def wants(self, spec: PreviewSpec) -> bool:
        """Return whether a spec's version neither serves nor failed."""
        kept = self._record.kept
        return key_of(spec) not in (kept.serving.key if kept.serving else "", kept.failed_key)

    async def deploy(self, spec: PreviewSpec) -> None:
        """Start a spec's version and switch to it. End a version that fails before the switch.

        Record only a failure of the commit itself. Raise `Trouble` and our own errors, which are retried.
        """
        key = key_of(spec)
        health = Health.UPDATING if self._record.kept.serving else Health.STARTING
        self._record.keep(starting=Instance(key, spec), health=health, **WELL, failed_key="")
        self._failed.forget()
        try:
            await self._bring_up(spec)
        except Failed as error:
            self._failed.fail(key, error)

    async def _bring_up(self, spec: PreviewSpec) -> None:
        try:
            source = await self._trees.source(spec)
            await self._datastores.prepare(source)
            await self._launcher.migrate(source)
            await self._start(source)
            await self._switch.make()
        finally:
            if starting := self._record.kept.starting:
                await process_set.end(starting.processes, processes.BRIEF_SECONDS)
                self._record.keep(starting=None)

    async def _start(self, source: Source) -> None:
        for service in source.spec.services:
            for spec in service.processes:
                if spec.kind is not ProcessKind.CRON:
                    started = await self._launcher.start(source, service, spec)
                    version = self._record.starting
                    running = replace(version, processes=(*version.processes, started))
                    await self._processes.note(started, starting=running)
