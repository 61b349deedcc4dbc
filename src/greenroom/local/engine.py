"""The local engine: previews that run as processes on this machine.

When the `async with` block ends, previews keep running, and the next start finds them again. PostgreSQL keeps running
as long as there is a preview. `stop_everything` stops all of them at the end of the demo.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

import structlog

from greenroom.background import Tasks
from greenroom.core.comment import statuses
from greenroom.core.model.catalog import Platform
from greenroom.core.model.engine import EngineState, Health, ObservedPreview, PreviewSet, Receipt
from greenroom.core.model.seeds import SeedBuild
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.core.model.status import Reason, Stage, Status
from greenroom.errors import Doubt, Failed
from greenroom.local import account, machine
from greenroom.local.ground import opened
from greenroom.local.observation import observed
from greenroom.local.preview import Preview
from greenroom.local.preview_sets import PreviewSets
from greenroom.local.proxy import BY_PATH
from greenroom.local.receipts import receipt
from greenroom.local.settings import LocalSettings
from greenroom.local.state import PreviewRecord

log = structlog.get_logger(__name__)


class LocalEngine:
    """Previews as processes on this machine. `wake` is called with a repository id when one of its previews changes."""

    def __init__(self, settings: LocalSettings, wake: Callable[[int], None]) -> None:
        self._settings = settings
        self._wake = wake
        self._stack = AsyncExitStack()
        self._previews: dict[Identity, Preview] = {}
        self._tasks = Tasks()
        self._resumed: dict[Identity, asyncio.Task[None]] = {}
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        try:
            with machine.errors_as_trouble():
                await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _open(self) -> None:
        ground = opened(self._settings, self._status, self._wake)
        self._ground = await self._stack.enter_async_context(ground)
        self._specs = PreviewSets(self._ground.state)
        for identity, kept in sorted(self._ground.state.previews().items(), key=_serving_first):
            if kept.health is Health.REMOVING:
                self._resume(kept)
            else:
                self._drive(kept, self._specs.spec(identity))
        for preview_set in self._specs.all().values():
            self._start_new(preview_set)

    async def __aexit__(self, *error: object) -> None:
        await self._tasks.aclose()
        await asyncio.gather(*(p.leave() for p in self._previews.values()))
        try:
            if not self._previews:  # nothing else would stop it
                await self._ground.postgres.postmaster.stop()
        finally:
            await self._stack.aclose()

    @property
    def proxy_port(self) -> int:
        """Return the port that the proxy really has."""
        return self._ground.proxy_port

    answers: bool | None = None
    """None, because nothing requests specs from this engine."""

    async def check(self) -> None:
        """Do nothing: `__aenter__` raises what is wrong, and undoes what it did."""

    def adapted(self, platform: Platform) -> Platform:
        """Return the platform with the port that the proxy really has, and its addresses for calls between services."""
        return replace(platform, port=self.proxy_port, inside=f"http://127.0.0.1:{self.proxy_port}{BY_PATH}{{host}}")

    def show(self, statuses: Mapping[Identity, Status], read: Iterable[int], troubles: Mapping[str, str]) -> None:
        """Do nothing: the dashboard and the command line show all that there is on one machine."""

    async def lead(self) -> None:
        """Return at once: the lock on the state folder, taken at the start, makes this instance the only writer."""

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Allow writes within the block. Raise `Doubt` when the lock that we hold is no longer the state folder's."""
        state = self._ground.state
        if not state.is_locked_by(self._ground.lock):
            raise Doubt(
                f"The lock in {state.folder} was removed or replaced, so Greenroom has stopped writing. Restart"
                " Greenroom."
            )
        yield

    async def observe(self) -> EngineState:
        """Return everything that this engine holds."""
        with machine.errors_as_trouble():
            return EngineState({i: self._observed(p) for i, p in self._previews.items()}, self._specs.all())

    async def serve(self, preview_set: PreviewSet) -> None:
        """Store the set durably, then pass the specs to the previews. A missing spec removes nothing.

        A preview that cannot write its own file adopts its spec later. Raise `Trouble` when the set cannot be stored.
        """
        self._specs.store(preview_set)
        for identity, preview in self._previews.items():
            if identity.repository_id == preview_set.repository_id:
                preview.serve(preview_set.specs.get(identity.number))
        self._start_new(preview_set)

    async def remove(self, identity: Identity, uid: str) -> None:
        """Remove one preview. Raise `Doubt` if its spec is still served, or if its uid is not this one."""
        if self._specs.spec(identity) is not None:
            raise Doubt(f"The spec of {identity} still exists. Nothing was removed.")
        if resumed := self._resumed.get(identity):
            await asyncio.wait([resumed])
        preview = self._previews.get(identity)
        if preview is None:
            return
        if preview.kept.uid != uid:
            raise Doubt(f"The preview {identity} has been replaced by another one. Nothing was removed.")
        with machine.errors_as_trouble():
            await self._remove(identity, preview)

    async def build_seed(self, build: SeedBuild) -> None:
        """Raise `Failed`, because this engine restores dumps into its own server."""
        raise Failed(f"The local engine does not build seed images, so it cannot build one from {build.path}.")

    async def receipt(self, identity: Identity) -> Receipt:
        """Look for everything that a removed preview may have left. Start PostgreSQL to query its databases."""
        with machine.errors_as_trouble():
            return await receipt(self._ground, identity)

    async def stop_everything(self) -> None:
        """End every preview's processes and the database server. Specs and state stay."""
        for preview in tuple(self._previews.values()):
            await preview.stop()
        await self._ground.postgres.postmaster.stop()

    def _start_new(self, preview_set: PreviewSet) -> None:
        for number, spec in preview_set.specs.items():
            identity = Identity(preview_set.repository_id, number)
            if identity not in self._previews:
                kept = PreviewRecord(identity, secrets.token_hex(8), spec, datetime.now(UTC))
                self._drive(kept, spec, noted=False)

    async def _remove(self, identity: Identity, preview: Preview) -> None:
        await preview.remove()
        del self._previews[identity]
        self._start_new(self._specs.of(identity))  # its spec may be served again by now
        self._wake(identity.repository_id)

    def _resume(self, kept: PreviewRecord) -> None:
        """Continue a removal that the last process had begun: it was confirmed, and cannot be undone."""
        preview = self._previews[kept.identity] = Preview(self._ground, kept, None)
        if spec := self._specs.spec(kept.identity):
            preview.serve(spec)
        resumed = self._go_on(kept.identity, preview)
        self._resumed[kept.identity] = self._tasks.start(f"{kept.identity} removal", resumed)

    async def _go_on(self, identity: Identity, preview: Preview) -> None:
        try:
            await self._remove(identity, preview)
        except Exception as error:  # the preview shows why, and the plan asks for its removal again
            log.warning("an unfinished removal failed again", preview=str(identity), why=str(error))

    def _drive(self, kept: PreviewRecord, spec: PreviewSpec | None, *, noted: bool = True) -> None:
        preview = Preview(self._ground, kept, kept.spec if spec is not None else None, noted=noted)
        self._previews[kept.identity] = preview
        preview.serve(spec)
        preview.begin()

    def _status(self, identity: Identity) -> tuple[Stage, Reason]:
        """Return what a preview's comment says, without the log: more people may see its address than its log."""
        preview = self._previews[identity]
        shown = replace(self._observed(preview), log=())
        return statuses.while_wanted(
            preview.spec or preview.kept.spec, shown, self._settings.sleep_label, datetime.now(UTC)
        )

    def _observed(self, preview: Preview) -> ObservedPreview:
        return observed(preview.shown, self.proxy_port, preview.other_versions)


def _serving_first(found: tuple[Identity, PreviewRecord]) -> tuple[bool, datetime]:
    """Return a sort key that puts serving previews first, so that an address claimed twice stays with its holder."""
    kept = found[1]
    ready = kept.serving.ready_at if kept.serving else None
    return ready is None, ready or kept.since


async def stop_all(settings: LocalSettings) -> None:
    """End everything that runs for a state folder, and remove its files. Call this only when no instance runs on it."""
    engine = LocalEngine(replace(settings, proxy_port=0), lambda repository_id: None)
    async with engine:
        await engine.stop_everything()
    account.forget(account.account(settings.state))
