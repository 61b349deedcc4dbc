"""The local engine: the four verbs over previews that run as processes.

Leaving it (`async with` ends) lets previews run on, to be found again; `stop_everything` ends them, for the demo's end.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import httpx2
import structlog

from greenroom.core.catalogue import ProcessKind, Service
from greenroom.core.model import Health, Identity, Observed, ObservedPreview, Receipt, RowSet, Running
from greenroom.core.rows import Row
from greenroom.errors import Doubt, Failed
from greenroom.local import account, machine, processes
from greenroom.local.names import database_prefix, folder_of
from greenroom.local.postgres import Postgres
from greenroom.local.preview import (
    Ground,
    Preview,
    running_url,
    version_of,
)
from greenroom.local.proxy import Proxy
from greenroom.local.state import Kept, State
from greenroom.local.worktrees import Worktrees
from greenroom.serving import running

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """`checkouts` maps owner/name to a git repository; `proxy_port` 0 takes a free one."""

    state: Path
    checkouts: Mapping[str, Path]
    installation: str
    proxy_port: int = 0
    probe_seconds: float = 30.0


class LocalEngine:
    """Previews as processes on this machine. `wake` is called with a repository id when something of it changes."""

    def __init__(self, settings: LocalSettings, wake: Callable[[int], None]) -> None:
        self._settings = settings
        self._wake = wake
        self._stack = AsyncExitStack()
        self._previews: dict[Identity, Preview] = {}
        self._rows: dict[int, RowSet] = {}
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
        settings = self._settings
        self._state = State(settings.state)
        self._lock = self._state.lock()
        self._stack.callback(os.close, self._lock)
        proxy = Proxy()
        self._stack.push_async_callback(proxy.aclose)
        try:
            url = await self._stack.enter_async_context(running(proxy, settings.proxy_port, websockets=True))
        except OSError as error:
            why = os.strerror(error.errno or 0)
            sentence = f"Port {settings.proxy_port} for previews cannot be used ({why}). Set `local.proxyPort`."
            raise Failed(sentence) from None
        client = await self._stack.enter_async_context(httpx2.AsyncClient(timeout=5, trust_env=False))
        run_as = account.account(settings.state)
        postgres = Postgres(settings.state, run_as)
        self._stack.push_async_callback(postgres.postmaster.leave)
        self.proxy_port = int(url.rpartition(":")[2])
        self._ground = Ground(
            state=self._state,
            run_as=run_as,
            postgres=postgres,
            worktrees=Worktrees(settings.checkouts),
            proxy=proxy,
            client=client,
            installation=settings.installation,
            proxy_port=self.proxy_port,
            probe_seconds=settings.probe_seconds,
            wake=self._wake,
        )
        self._rows = self._state.rows()
        for identity, kept in sorted(self._state.previews().items(), key=_serving_first):
            if kept.health is Health.REMOVING:
                self._resume(kept)
            else:
                self._drive(kept, self._row_set(identity).rows.get(identity.number))
        for rows in self._rows.values():
            self._start_new(rows)

    async def __aexit__(self, *error: object) -> None:
        for task in self._resumed.values():
            task.cancel()
        await asyncio.gather(*self._resumed.values(), return_exceptions=True)
        await asyncio.gather(*(p.leave() for p in self._previews.values()))
        await self._stack.aclose()

    async def lead(self) -> None:
        """The lock on the state folder, taken at the start, is the place of the one writer."""

    # --- the four verbs, and the place of the one writer ---

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Within it may be written. Raises `Doubt` when our lock is not the state folder's any more."""
        file = self._state.folder / "lock"
        if not file.exists() or not os.path.samestat(os.fstat(self._lock), file.stat()):
            raise Doubt(f"The lock in {self._state.folder} was taken away; nothing is written. Start Greenroom again.")
        yield

    async def observe(self) -> Observed:
        """Everything that this engine holds."""
        with machine.errors_as_trouble():
            return Observed({i: self._observed(p.shown) for i, p in self._previews.items()}, dict(self._rows))

    async def serve(self, rows: RowSet) -> None:
        """Store the set durably, then pass the rows to the previews. A missing row removes nothing.

        A preview that cannot write its own file adopts its row later. Raises `Trouble` when the set cannot be stored.
        """
        known = self._rows.get(rows.repository_id)
        if known and rows.generation <= known.generation:
            raise Doubt(f"Generation {rows.generation} of {rows.repository} is not newer than {known.generation}.")
        self._state.write_rows(rows)
        self._rows[rows.repository_id] = rows
        for identity, preview in self._previews.items():
            if identity.repository_id == rows.repository_id:
                preview.serve(rows.rows.get(identity.number))
        self._start_new(rows)

    async def remove(self, identity: Identity, uid: str) -> None:
        """Remove one preview, if its row is out and it is still that one."""
        if identity.number in self._row_set(identity).rows:
            raise Doubt(f"The row of {identity} is still served; nothing was removed.")
        if resumed := self._resumed.get(identity):
            await asyncio.wait([resumed])
        preview = self._previews.get(identity)
        if preview is None:
            return
        if preview.kept.uid != uid:
            raise Doubt(f"What runs as {identity} is another one than was meant; nothing was removed.")
        with machine.errors_as_trouble():
            await self._remove(identity, preview)

    async def receipt(self, identity: Identity) -> Receipt:
        """Look for everything that a removed preview may have left. Starts PostgreSQL to query it."""
        with machine.errors_as_trouble():
            return await self._receipt(identity)

    async def _receipt(self, identity: Identity) -> Receipt:
        left: list[str] = []
        checked = ["processes", "routes", "worktrees", "files", "state"]
        left += [f"route http://{host}" for host in self._ground.proxy.routes.hosts(identity)]
        left += [f"process {pid}" for pid in await asyncio.to_thread(self._ground.marked, identity)]
        folder = folder_of(self._ground.run_as, identity)
        left += [f"folder {path.name}" for path in (folder, self._state.logs(identity)) if path.exists()]
        for slug in self._settings.checkouts:
            if f"{folder.resolve()}/trees/" in await self._ground.worktrees.listed(slug):
                left.append(f"worktree of {slug}")
        if identity in self._state.previews():
            left.append("state file")
        if self._ground.postgres.postmaster.has_data():
            try:
                left += [f"database {name}" for name in await self._ground.postgres.named(database_prefix(identity))]
                checked.append("databases")
            except Failed as error:
                why = str(error).rstrip(".")
                left.append(f"its databases, which cannot be looked at ({why})")
        return Receipt(identity, tuple(checked), tuple(left))

    async def stop_everything(self) -> None:
        """End every preview's processes and the database server. Rows and state stay."""
        for preview in tuple(self._previews.values()):
            await preview.leave()
            for cache in preview.kept.caches:
                await processes.end(cache.pid, cache.started)
            for pid in self._ground.marked(preview.kept.identity):
                await processes.end(pid, processes.started(pid) or "")
        await self._ground.postgres.postmaster.stop()

    # --- within ---

    def _row_set(self, identity: Identity) -> RowSet:
        return self._rows.get(identity.repository_id) or RowSet(identity.repository_id, "")

    def _start_new(self, rows: RowSet) -> None:
        for number, row in rows.rows.items():
            identity = Identity(rows.repository_id, number)
            if identity not in self._previews:
                kept = Kept(identity, secrets.token_hex(8), row, datetime.now(UTC))
                self._drive(kept, row, noted=False)

    async def _remove(self, identity: Identity, preview: Preview) -> None:
        await preview.remove()
        del self._previews[identity]
        self._start_new(self._row_set(identity))  # somebody wanted it again meanwhile
        self._wake(identity.repository_id)

    def _resume(self, kept: Kept) -> None:
        """Go on with a removal that was begun when the last process ended: it was confirmed, and cannot be undone."""
        preview = self._previews[kept.identity] = Preview(self._ground, kept, None)
        if row := self._row_set(kept.identity).rows.get(kept.identity.number):
            preview.serve(row)
        self._resumed[kept.identity] = asyncio.create_task(self._go_on(kept.identity, preview))

    async def _go_on(self, identity: Identity, preview: Preview) -> None:
        try:
            await self._remove(identity, preview)
        except Exception as error:  # the preview says why, and the plan asks for its removal again
            log.warning("a removal that was begun failed", preview=str(identity), why=str(error))

    def _drive(self, kept: Kept, row: Row | None, *, noted: bool = True) -> None:
        preview = Preview(self._ground, kept, kept.row if row is not None else None, noted=noted)
        self._previews[kept.identity] = preview
        preview.serve(row)
        preview.begin()

    def _observed(self, kept: Kept) -> ObservedPreview:
        services = kept.serving.row.services if kept.serving else kept.row.services
        return ObservedPreview(
            identity=kept.identity,
            uid=kept.uid,
            row=kept.row,
            health=kept.health,
            services=tuple(self._running(kept, s) for s in services),
            since=kept.since,
            why=kept.why,
            fix=kept.fix,
            log=kept.log,
        )

    def _running(self, kept: Kept, service: Service) -> Running:
        instance = kept.serving
        version = version_of(instance, service.name) if instance else None
        live = [p for p in instance.processes if p.service == service.name] if instance else []
        crons = [p.name for p in service.processes if p.kind is ProcessKind.CRON]
        note = f"cron {', '.join(crons)} does not run on the local engine" if crons else ""
        return Running(
            service=service.name,
            url=running_url(kept, service.name, self.proxy_port),
            sha=version.sha if version else "",
            digest=version.digest if version else "",
            ready=bool(live) and all(processes.alive(p.pid, p.started) for p in live),
            since=instance.ready_at if instance else None,
            note=note,
        )


def _serving_first(found: tuple[Identity, Kept]) -> tuple[bool, datetime]:
    """Sort key that puts serving previews first, so that an address claimed twice stays with its holder."""
    kept = found[1]
    ready = kept.serving.ready_at if kept.serving else None
    return ready is None, ready or kept.since


async def stop_all(settings: LocalSettings) -> None:
    """End everything that runs for a state folder, and remove what ran. For when no instance runs on it."""
    engine = LocalEngine(replace(settings, proxy_port=0), lambda repository_id: None)
    async with engine:
        await engine.stop_everything()
    account.forget(account.account(settings.state))
