"""Driver of one preview: it starts a new version beside the one that serves, probes it, switches to it and watches it.

The state file records everything just before or just after it is created. If a `kill -9` comes between the two, the
driver finds the leftover processes by their mark, and ends them before it starts anything.
"""

from __future__ import annotations

from functools import partial

from greenroom.background import Tasks
from greenroom.core.model.catalog import Service
from greenroom.core.model.engine import Health
from greenroom.core.model.spec import PreviewSpec
from greenroom.errors import GreenroomError
from greenroom.local.addresses import Addresses
from greenroom.local.cleanup import Cleanup
from greenroom.local.crashes import Crashes
from greenroom.local.datastores import Datastores
from greenroom.local.deployment import Deployment
from greenroom.local.failed_version import FailedVersion
from greenroom.local.ground import Ground
from greenroom.local.launcher import Launcher
from greenroom.local.probes import Probes
from greenroom.local.process_set import ProcessSet
from greenroom.local.receipts import leftovers
from greenroom.local.record_file import RecordFile
from greenroom.local.removal import Removal
from greenroom.local.state import PreviewRecord
from greenroom.local.switch import Retirement, Switch
from greenroom.local.trees import Trees
from greenroom.local.troubles import Troubles
from greenroom.local.wanted import Wanted
from greenroom.local.watch import Restarts, Watch

TICK = 0.5


class Preview:
    """One preview and the task that drives it.

    `kept` matches the state file, except for a new preview (`noted=False`), whose file the task writes before it starts
    anything. A change that cannot be written does not take effect, and the preview shows the trouble instead.
    """

    def __init__(self, ground: Ground, kept: PreviewRecord, spec: PreviewSpec | None, *, noted: bool = True) -> None:
        wake = partial(ground.wake, kept.identity.repository_id)
        workspace = ground.workspace(kept.identity)
        self._wanted = wanted = Wanted(spec)
        self._record = record = RecordFile(ground.state, kept, wake, noted=noted)
        self._troubles = troubles = Troubles(record, ground.disks, wake)
        self._processes = process_set = ProcessSet(record, workspace)
        self._addresses = addresses = Addresses(ground.proxy.routes, record, wanted)
        crashes = Crashes()
        self._datastores = datastores = Datastores(ground.postgres, workspace, record, process_set)
        trees = Trees(ground.worktrees, workspace)
        launcher = Launcher(workspace, datastores)
        probes = Probes(ground.client, ground.proxy_port, ground.probe_seconds, addresses)
        switch = Switch(record, addresses, probes, crashes, troubles)
        restarts = Restarts(record, trees, launcher, process_set, addresses)
        self._failed = failed = FailedVersion(record, trees, ground.disks)
        self._deployment = Deployment(record, trees, datastores, launcher, process_set, switch, failed)
        self._cleanup = Cleanup(record, process_set, addresses)
        self._retirement = Retirement(record, ground.proxy, trees, datastores)
        self._watch = Watch(record, datastores, restarts, probes, crashes, ground.disks)
        left = partial(leftovers, ground, kept.identity)
        self._removal = Removal(record, workspace, process_set, addresses, trees, datastores, troubles, left)
        self._tasks = Tasks()
        self._begun = False
        self._tidy = False

    @property
    def spec(self) -> PreviewSpec | None:
        """Return the spec that is served; None once it is withdrawn."""
        return self._wanted.spec

    @property
    def kept(self) -> PreviewRecord:
        """Return the recorded state."""
        return self._record.kept

    @property
    def shown(self) -> PreviewRecord:
        """Return the state to show: `kept`, or this machine's trouble, which may be impossible to write to disk."""
        return self._troubles.shown

    def other_versions(self, service: Service) -> tuple[str, ...]:
        """Return a sentence for each need of a service that runs another version than the service asks for."""
        return self._datastores.other_versions(service)

    def begin(self) -> None:
        """Start the task that drives the preview."""
        self._tasks.keep(f"preview {self.kept.identity}", self._drive)

    def serve(self, spec: PreviewSpec | None) -> None:
        """Adopt another spec, or adopt it later if it cannot be written. If it is None, the running version stays."""
        self._wanted.serve(spec)
        try:
            self._adopt()
        except (GreenroomError, OSError) as error:
            self._stumble(error)
        self._addresses.claim()

    async def leave(self) -> None:
        """Stop the task that drives the preview. Its processes keep running."""
        await self._tasks.aclose()

    async def stop(self) -> None:
        """Stop the task and end all processes. The recorded state stays."""
        await self.leave()
        await self._processes.end_all(keep=())

    async def remove(self) -> None:
        """End and delete everything that belongs to the preview, the state file last.

        If that fails, raise the error and mark the preview FAILED with the reason: the plan asks for its removal again.
        """
        await self.leave()
        try:
            await self._removal.remove()
        except Exception:
            self._tidy = False
            self.begin()  # in case a spec is served again
            raise

    async def _drive(self) -> None:
        while True:
            spec = self.spec
            try:
                await self._tidied()
                await self._turn(spec)
            except Exception as error:
                pause = self._stumble(error)
            else:
                self._troubles.recover()
                pause = TICK
            await self._wanted.pause(spec, pause)

    async def _tidied(self) -> None:
        """End processes that are not in the state file, at the start and after every error."""
        if self._tidy:
            return
        await self._cleanup.end_leftovers(retry=not self._begun)  # a restart may fix what failed before it
        self._tidy = self._begun = True

    def _stumble(self, error: Exception) -> float:
        """Show an error as trouble. Return the seconds until the retry."""
        self._tidy = False
        return self._troubles.show(error)

    def _adopt(self) -> None:
        """Write the served spec to the state file, which also creates the file of a new preview."""
        if self.spec is not None:
            self._record.keep(spec=self.spec)

    async def _turn(self, spec: PreviewSpec | None) -> None:
        """Apply a spec (sleep, or deploy its version), then watch the version that serves."""
        self._adopt()
        if spec is None and self.kept.health is Health.REMOVING:  # its failure could not be written before
            self._removal.show_failure()
        if spec is not None and spec.asleep:
            await self._cleanup.sleep()
            return
        before = self.kept.serving
        if spec is not None:
            await self._apply(spec)
        if before is not None and self.kept.serving is not before:
            await self._wanted.run(spec, self._retirement.drained(before))
            await self._retirement.retire(before)
        await self._wanted.run(spec, self._watch.check(spec))

    async def _apply(self, spec: PreviewSpec) -> None:
        if self._failed.fetch_is_due(spec):
            await self._wanted.run(spec, self._failed.fetch(spec))
        if self._deployment.wants(spec):
            await self._wanted.run(spec, self._deploy(spec))

    async def _deploy(self, spec: PreviewSpec) -> None:
        self._addresses.check_owned()
        await self._deployment.deploy(spec)
