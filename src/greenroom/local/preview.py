"""Drive one preview: the version of its row started beside the one that serves, probed, then switched; watched after.

Everything that exists is in the state file before or right after it exists; what a kill -9 left between the two is
found by its mark and ended before anything is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import shutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import structlog

from greenroom.background import supervised
from greenroom.config.needs import LOCAL
from greenroom.core.catalogue import Need, ProcessKind, Service
from greenroom.core.catalogue import Process as ProcessSpec
from greenroom.core.model import Health, Identity
from greenroom.core.rows import Row, Version, link_variables
from greenroom.errors import Failed, GreenroomError
from greenroom.local import caches, files, machine, processes
from greenroom.local.account import Account, environment, interpreter
from greenroom.local.machine import AT_THE_NEXT_START, SOON, Lacks, Trouble
from greenroom.local.names import database_prefix, folder_of, mark_of, older_mark
from greenroom.local.postgres import Postgres
from greenroom.local.postmaster import free_port
from greenroom.local.processes import Command
from greenroom.local.proxy import Proxy
from greenroom.local.state import Instance, Kept, Process, State
from greenroom.local.worktrees import Worktrees
from greenroom.logs import hide, scrub

log = structlog.get_logger(__name__)
TICK = 0.5
DRAIN = 10.0
NEEDS = ""  # where crashes are counted, beside the names of services
NO_TEXT = "\0"
WELL: Mapping[str, object] = {"why": "", "fix": "", "log": ()}
RESTARTS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0)  # after a `Trouble`, which may end at any moment


@dataclass(frozen=True, slots=True)
class Ground:
    """What all previews of one engine stand on. `probe_seconds` is how long a version may take to answer."""

    state: State
    run_as: Account
    postgres: Postgres
    worktrees: Worktrees
    proxy: Proxy
    client: httpx2.AsyncClient
    installation: str
    proxy_port: int
    probe_seconds: float
    wake: Callable[[int], None]

    def mark(self, identity: Identity) -> str:
        """The mark of a preview's processes."""
        return mark_of(self.installation, self.state.folder, identity)

    def marked(self, identity: Identity) -> list[int]:
        """Every process of a preview that runs, noted or not, of an earlier version too."""
        older = older_mark(self.installation, identity)
        return processes.marked(self.mark(identity), older, folder_of(self.run_as, identity))

    @property
    def disks(self) -> tuple[Path, ...]:
        """A folder on each disk that previews need."""
        return (self.state.folder, self.run_as.home)


def key_of(row: Row) -> str:
    """What of a row makes it another version to run: not its label, not its names."""
    links = [(k.service, link_variables(k)) for k in row.links]
    told = (row.head_sha, row.versions, row.services, links, row.incarnation, row.nonce, row.given)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


class Preview:
    """One preview and the task that drives it. `row` is the served one; None once it is withdrawn.

    `kept` matches the state file, except for a new preview (`noted=False`), whose file the task writes before it starts
    anything. A change that cannot be written does not take effect, and the preview shows the trouble instead.
    """

    def __init__(self, ground: Ground, kept: Kept, row: Row | None, *, noted: bool = True) -> None:
        self._ground = ground
        self.kept = _public(kept)
        self._noted = noted
        self._begun = False
        self._tidy = False
        self._trouble: Kept | None = None
        self._failures = 0
        self._removal = ""  # why its removal failed
        self.row = row
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._crashes: dict[str, int] = {}
        self._tried: Instance | None = None  # what people reach for the moment in which it must prove itself

    @property
    def shown(self) -> Kept:
        """The state to show: `kept`, or the trouble of this machine, which may be impossible to write down."""
        trouble = self._trouble
        if trouble is None:
            return self.kept
        return replace(
            self.kept, health=Health.FAILED, why=trouble.why, fix=trouble.fix, log=trouble.log, since=trouble.since
        )

    def begin(self) -> None:
        """Start driving."""
        name = f"preview {self.kept.identity}"
        self._task = asyncio.create_task(supervised(name, self._drive), name=name)

    def serve(self, row: Row | None) -> None:
        """Adopt another row; without one, the running version stays. A row that cannot be written is adopted later."""
        self.row = row
        try:
            self._adopt()
        except (GreenroomError, OSError) as error:
            self._stumble(error)
        self._route()
        self._changed.set()

    def _adopt(self) -> None:
        """Write the served row to the state file, which also creates the file of a new preview."""
        if self.row is not None:
            self._keep(row=self.row)

    async def leave(self) -> None:
        """Stop driving; what runs goes on."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def remove(self) -> None:
        """End and delete everything of it, the state file last.

        Until then the state says REMOVING, so that a removal that was killed is known. One that fails raises, and the
        preview is FAILED with the reason: the plan asks for its removal again.
        """
        await self.leave()
        try:
            await self._remove()
        except Exception as error:
            found = machine.as_trouble(error)
            self._removal = f"Its removal failed: {machine.excuse(found, self._ground.disks) or found}"
            try:
                self._say_why_it_stays()
            except Trouble as unwritten:
                self._stumble(Trouble(self._removal, log=unwritten.log))
            self.begin()  # a row that is served again finds it driven
            raise

    async def _remove(self) -> None:
        removing: Mapping[str, object] = {"health": Health.REMOVING, "databases": (), "failed_key": "", **WELL}
        try:
            self._keep(**removing)
        except Trouble:  # its logs are deleted anyway, and may be what fills the disk
            self._ground.state.empty_logs(self.kept.identity)
            self._keep(**removing)
        self._trouble = None
        self._ground.proxy.routes.release(self.kept.identity)
        await self._end_all(keep=())
        self._keep(serving=None, starting=None, caches=())  # nothing to start again, whatever fails from here on
        if self.kept.secrets and self._ground.postgres.postmaster.has_data():
            for database in await self._ground.postgres.named(database_prefix(self.kept.identity)):
                await self._ground.postgres.drop(database)
        for tree in self._ours("trees").glob("*"):
            await self._ground.worktrees.remove(self.kept.row.slug, tree)
        await self._ground.worktrees.remove(self.kept.row.slug, self._ours())
        await asyncio.to_thread(shutil.rmtree, self._ground.state.logs(self.kept.identity), ignore_errors=True)
        # A row that came and went during the removal has claimed them again.
        self._ground.proxy.routes.release(self.kept.identity)
        self._ground.state.forget_preview(self.kept.identity)

    # --- the loop ---

    async def _drive(self) -> None:
        while True:
            row = self.row
            try:
                await self._tidied()
                await self._turn(row)
            except Exception as error:
                pause = self._stumble(error)
            else:
                self._recover()
                pause = TICK
            if not self._superseded(row):
                self._changed.clear()
                await _sleep(self._changed, pause)

    async def _tidied(self) -> None:
        """End processes that are not in the state file, at the start and after every trouble."""
        if self._tidy:
            return
        await self._end_all(keep=(*(self.kept.serving.processes if self.kept.serving else ()), *self.kept.caches))
        self._keep(starting=None, failed_key=self.kept.failed_key if self._begun else "")
        self._route()
        self._tidy = self._begun = True

    def _stumble(self, error: Exception) -> float:
        """Show an error as trouble, in memory only: nothing here may fail. Returns the seconds until the retry."""
        self._tidy = False
        found = machine.as_trouble(error)
        found = machine.excuse(found, self._ground.disks) or found
        known = self._trouble
        since = known.since if known else datetime.now(UTC)
        self._trouble = _public(replace(self.kept, why=str(found), fix=SOON, log=found.log, since=since))
        if known is None or known.why != self._trouble.why:
            unknown = error if not isinstance(error, GreenroomError | OSError) else None
            log.warning(
                "preview failed because of this machine; trying again",
                preview=str(self.kept.identity),
                why=self._trouble.why,
                exc_info=unknown,
            )
            self._ground.wake(self.kept.identity.repository_id)
        self._failures += 1
        return BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS)) - 1]

    def _recover(self) -> None:
        """Clear the trouble once a turn succeeds."""
        self._failures = 0
        if self._trouble is not None:
            self._trouble = None
            log.info("preview recovered", preview=str(self.kept.identity))
            self._ground.wake(self.kept.identity.repository_id)

    def _say_why_it_stays(self) -> None:
        self._keep(health=Health.FAILED, why=self._removal, fix="")

    async def _turn(self, row: Row | None) -> None:
        """Bring about what a row asks for, and look after what serves."""
        self._adopt()
        if row is None and self.kept.health is Health.REMOVING:  # retry a failure that could not be written before
            self._say_why_it_stays()
        if row is not None and row.asleep:
            await self._sleep()
            return
        before = self.kept.serving
        if row is not None and self._wants(row):
            await self._while_wanted(row, self._deploy(row))
        if before is not None and self.kept.serving is not before:
            await self._while_wanted(row, self._drained(before))
            await self._retire(before)
        await self._while_wanted(row, self._watch(row))

    async def _while_wanted(self, row: Row | None, step: Coroutine[Any, Any, None]) -> None:
        """Do a step to its end, or end it as soon as something else than this row is wanted."""
        doing = asyncio.create_task(step)
        try:
            while not doing.done() and not self._superseded(row):
                self._changed.clear()
                changed = asyncio.create_task(self._changed.wait())
                await asyncio.wait((doing, changed), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            doing.cancel()
            await asyncio.wait((doing,))
            if not doing.cancelled():
                doing.exception()  # retrieve it, or asyncio logs an error when this task is canceled too
        if not doing.cancelled():
            doing.result()

    def _superseded(self, row: Row | None) -> bool:
        """Whether another version is wanted than this row's. A row that is withdrawn stops nothing."""
        now = self.row
        if now is None or now is row:
            return False
        return row is None or now.asleep != row.asleep or key_of(now) != key_of(row)

    def _wants(self, row: Row) -> bool:
        key = key_of(row)
        serving = self.kept.serving.key if self.kept.serving else ""
        return key not in (serving, self.kept.failed_key)

    async def _sleep(self) -> None:
        """End every process; the databases stay as they are."""
        if self.kept.serving or self.kept.health is not Health.READY:
            await self._end_all(keep=self.kept.caches)
            self._keep(serving=None, starting=None, health=Health.READY, **WELL, failed_key="")
            self._route()

    async def _deploy(self, row: Row) -> None:
        """Start a row's version and let it serve. A version that does not get that far is ended.

        Only a failure of the commit itself is recorded. `Trouble` and our own errors are raised and retried.
        """
        self._own_address()
        key = key_of(row)
        health = Health.UPDATING if self.kept.serving else Health.STARTING
        self._keep(starting=Instance(key, row), health=health, **WELL, failed_key="")
        try:
            await self._bring_up(row)
        except Failed as error:
            if excused := machine.excuse(error, self._ground.disks):
                raise excused from None
            self._fail(key, error)

    def _own_address(self) -> None:
        """Raise `Trouble` while another preview holds an address of this one: checks would reach the other one."""
        if taken := self._ground.proxy.routes.taken(self.kept.identity, self._hosts()):
            host, other = taken
            raise Trouble(
                f"http://{host} belongs to another preview (pull request {other.number} of the repository with the id"
                f" {other.repository_id}). Remove or release that preview, and this one starts."
            )

    async def _bring_up(self, row: Row) -> None:
        try:
            trees = await self._trees(row)
            await self._databases(row, trees)
            await self._migrate(row, trees)
            await self._start(row, trees)
            await self._probe(self._starting())
            await self._switch()
        finally:
            if starting := self.kept.starting:
                await self._end(starting.processes, processes.BRIEF_SECONDS)
                self._keep(starting=None)

    def _fail(self, key: str, error: Failed) -> None:
        self._keep(health=Health.FAILED, failed_key=key, why=str(error), fix=_fix(error), log=error.log)

    def _starting(self) -> Instance:
        if self.kept.starting is None:
            raise Failed("The version that was starting is gone.")
        return self.kept.starting

    # --- steps ---

    async def _trees(self, row: Row) -> dict[str, Path]:
        """A worktree for each service's commit, by service."""
        base, mark = self._ours("trees"), self._ground.mark(self.kept.identity)
        shas = sorted({v.sha for v in row.versions})
        paths = {sha: await self._ground.worktrees.add(row.slug, sha, base / sha, mark) for sha in shas}
        return {v.service: paths[v.sha] for v in row.versions}

    async def _databases(self, row: Row, trees: dict[str, Path]) -> None:
        """Databases of this incarnation, at their seeds; those of the last one go."""
        if self.kept.incarnation != row.incarnation:
            self._keep(incarnation=row.incarnation, databases=())
        for service, need in _needs(row):
            if need.kind not in LOCAL:
                raise Failed(f"The local engine offers {', '.join(LOCAL)}, not {need.kind} ({service.name}).")
            name = self._database(service.name, need.name)
            if name in self.kept.databases:
                continue
            if name not in self.kept.secrets:
                self._keep(secrets={**self.kept.secrets, name: secrets.token_hex(16)})
            if need.kind in caches.SERVERS:
                await self._cache(need, name)
                continue
            template = await self._template(trees[service.name], need)
            await self._ground.postgres.drop(name)
            await self._ground.postgres.clone(name, template, self.kept.secrets[name])
            self._keep(databases=(*self.kept.databases, name))

    async def _cache(self, need: Need, name: str) -> None:
        """Start a cache that does not run, on the port that services know already."""
        known = next((c for c in self.kept.caches if c.name == name), None)
        if known and processes.alive(known.pid, known.started):
            return
        run_as, data = self._ground.run_as, self._ours("caches") / name
        where = (run_as, run_as.folder(*data.relative_to(run_as.home).parts), self._log(name))
        mark = self._ground.mark(self.kept.identity)
        password = self.kept.secrets[name]
        started = caches.start(need, name, password, known.port if known else free_port(), mark, where)
        await self._note(started, caches=(*(c for c in self.kept.caches if c.name != name), started))
        await caches.answers(started, password)

    async def _template(self, tree: Path, need: Need) -> str:
        if not need.seed:
            return "template0"
        try:
            seed = files.of_commit(tree, need.seed).decode()
        except Failed as error:
            raise Failed(f"The seed {error}") from None
        except UnicodeDecodeError:
            seed = NO_TEXT
        if NO_TEXT in seed:
            how = "Make it with `pg_dump --format=plain --encoding=UTF8`."
            raise Failed(f"The seed {need.seed} is not plain SQL in UTF-8. {how}")
        name = f"seed_{hashlib.sha256(seed.encode()).hexdigest()[:20]}"
        await self._ground.postgres.template(name, seed)
        return name

    def _database(self, service: str, need: str) -> str:
        digest = hashlib.sha256(f"{service}/{need}".encode()).hexdigest()[:8]
        return f"{database_prefix(self.kept.identity)}{digest}"

    async def _migrate(self, row: Row, trees: dict[str, Path]) -> None:
        for service in row.services:
            if not service.migrate:
                continue
            seconds = service.migrate_timeout.total_seconds() if service.migrate_timeout else None
            command = await self._command(row, service, service.migrate, trees, 0, f"{service.name}-migrate")
            code = await processes.run(command, self._ground.run_as, seconds)
            if code:
                raise Failed(
                    f"The migration of {service.name} failed (exit code {code}).", log=processes.tail(command.log)
                )
            if code is None:
                raise Failed(
                    f"The migration of {service.name} took longer than {seconds:g} s and was ended.",
                    log=processes.tail(command.log),
                )

    async def _start(self, row: Row, trees: dict[str, Path]) -> None:
        for service in row.services:
            for process in service.processes:
                if process.kind is not ProcessKind.CRON:
                    started = await self._start_one(row, service, process, trees)
                    instance = self._starting()
                    running = replace(instance, processes=(*instance.processes, started))
                    await self._note(started, starting=running)

    async def _start_one(self, row: Row, service: Service, process: ProcessSpec, trees: dict[str, Path]) -> Process:
        if not process.command:
            raise Failed(f"{service.name}.{process.name} has no `command:`, which the local engine needs.")
        port = free_port() if process.port else 0
        name = f"{service.name}-{process.name}"
        command = await self._command(row, service, process.command, trees, port, name)
        database = await self._database_port(service)
        pid, started = processes.start(command, self._ground.run_as)
        return Process(service.name, process.name, pid, started, port, str(command.log), database)

    async def _command(
        self, row: Row, service: Service, arguments: tuple[str, ...], trees: dict[str, Path], port: int, name: str
    ) -> Command:
        run_as = self._ground.run_as
        home = run_as.folder(*(self._ours() / "home").relative_to(run_as.home).parts)
        python = arguments[0] in ("python", "python3")
        program = _interpreter(run_as) if python else arguments[0]
        given = await self._given(row, service, port)
        return Command(
            [program, *arguments[1:]], trees[service.name], environment(run_as, given, home), self._log(name)
        )

    async def _given(self, row: Row, service: Service, port: int) -> dict[str, str]:
        given = {**dict(service.env), **{name: value for of, name, value in row.given if of == service.name}}
        for link in row.links:
            given |= link_variables(link) if link.service == service.name else {}
        ports = {c.name: c.port for c in self.kept.caches}
        for name, variables in self._data_of(service):
            password = self.kept.secrets[name]
            if name in ports:
                parts = caches.parts(ports[name], password)
            else:
                parts = (await self._ground.postgres.postmaster.server()).parts(name, name, password)
            given |= {variable: parts[part] for part, variable in variables}
        version = next(v for v in row.versions if v.service == service.name)
        given |= {processes.MARK: self._ground.mark(self.kept.identity), "VERSION": version.sha[:7]}
        return given | ({"PORT": str(port)} if port else {})

    def _data_of(self, service: Service) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
        """The databases and caches that a service is told of, its own and those of others, with its words for them."""
        own = [(self._database(service.name, need.name), need.variables) for need in service.needs]
        return own + [(self._database(need.service, need.name), need.variables) for need in service.shared_needs]

    async def _database_port(self, service: Service) -> int:
        """The port of PostgreSQL that a service is told of; 0 when of none."""
        cached = {c.name for c in self.kept.caches}
        if all(name in cached for name, _ in self._data_of(service)):
            return 0
        return (await self._ground.postgres.postmaster.server()).port

    async def _probe(self, instance: Instance) -> None:
        """Wait until every process lives and every web process answers."""
        deadline = asyncio.get_running_loop().time() + self._ground.probe_seconds
        for service in instance.row.services:
            for spec in service.processes:
                process = next(
                    (p for p in instance.processes if (p.service, p.name) == (service.name, spec.name)), None
                )
                if process is not None:
                    host = instance.row.naming.host(service.name) or "127.0.0.1"
                    await self._answers(process, spec, host, deadline)

    async def _answers(self, process: Process, spec: ProcessSpec, host: str, deadline: float) -> None:
        name = f"{process.service}.{process.name}"
        last = "it does not answer"
        while True:
            if not processes.alive(process.pid, process.started):
                raise Failed(f"{name} ended while it started.", log=processes.tail(Path(process.log)))
            status = await self._status(process.port, spec.probe, host) if process.port else 200
            if isinstance(status, int) and 200 <= status < 400:
                return
            last = f"it answers {status}" if isinstance(status, int) else last
            if asyncio.get_running_loop().time() > deadline:
                seconds = self._ground.probe_seconds
                sentence = f"{name} is not healthy after {seconds:.0f} s: {last} to GET {spec.probe}."
                raise Failed(sentence, log=processes.tail(Path(process.log)))
            await asyncio.sleep(0.05)

    async def _status(self, port: int, path: str, host: str) -> int | None:
        try:
            answer = await self._ground.client.get(f"http://127.0.0.1:{port}{path}", headers={"host": host})
        except httpx2.HTTPError:
            return None
        return answer.status_code

    async def _switch(self) -> None:
        """Let the new version serve once it answers through the proxy that people use.

        Until then only the route is another one: the state says what serves for good, and the route goes back to it.
        """
        self._tried = new = replace(self._starting(), ready_at=datetime.now(UTC))
        try:
            self._route()
            await self._answers_people(new)
            self._crashes.clear()
            self._trouble = None
            self._keep(serving=new, starting=None, health=Health.READY, **WELL)
        finally:
            self._tried = None
            self._route()

    async def _answers_people(self, new: Instance) -> None:
        for service in new.row.services:
            while (host := self._host(service.name)) and service.web:
                status = await self._status(self._ground.proxy_port, service.web.probe, host)
                if host != self._host(service.name):
                    continue  # renamed meanwhile: the old address proves nothing about this version
                if status is None or not 200 <= status < 400:
                    raise Failed(f"{service.name} does not answer through the proxy ({status or 'no answer'}).")
                break

    async def _drained(self, old: Instance) -> None:
        """Let the requests end that the old version has begun to answer."""
        await asyncio.gather(*(self._ground.proxy.drained(p.port, DRAIN) for p in old.processes if p.port))

    async def _retire(self, old: Instance) -> None:
        """End a version that does not serve any more, and what only it used."""
        await self._end(old.processes)
        if serving := self.kept.serving:
            await self._forget_trees(serving)
            await self._forget_caches(serving)

    async def _forget_trees(self, instance: Instance) -> None:
        used = {v.sha for v in instance.row.versions}
        folder = folder_of(self._ground.run_as, self.kept.identity) / "trees"
        for tree in folder.glob("*"):
            if tree.name not in used:
                try:
                    await self._ground.worktrees.remove(instance.row.slug, tree)
                except Failed as error:  # it costs a disk some space; the preview's own removal tries again
                    log.warning("an old worktree stays", preview=str(self.kept.identity), why=str(error))

    async def _forget_caches(self, instance: Instance) -> None:
        used = {self._database(service.name, need.name) for service, need in _needs(instance.row)}
        await self._end(tuple(c for c in self.kept.caches if c.name not in used))
        self._keep(caches=tuple(c for c in self.kept.caches if c.name in used))

    # --- watching ---

    async def _watch(self, row: Row | None) -> None:
        """Start again what crashed, of what serves and of what it needs, with growing waits; say so meanwhile.

        What is not READY though its version is wanted becomes so once it answers.
        """
        serving = self.kept.serving
        if serving is None:
            return
        try:
            moved = await self._needs(serving)
        except Failed as error:
            self._tell(row, error)
            await self._pause(NEEDS)
            return
        try:
            if moved:
                self._tell(row, Failed("PostgreSQL came back on another port; what uses it is started again."))
                await self._end(moved)
                await self._again(serving, moved)
            elif dead := [p for p in serving.processes if not processes.alive(p.pid, p.started)]:
                await self._revive(row, serving, dead)
            elif self._unwell(row):
                await self._probe(serving)
        except Failed as error:
            self._tell(row, error)
        else:
            self._crashes.pop(NEEDS, None)
            if self._unwell(row):
                self._keep(health=Health.READY, **WELL, failed_key="")

    async def _needs(self, serving: Instance) -> tuple[Process, ...]:
        """Start again what it needs and does not run; returns the processes that were told of another port of it."""
        port = 0
        for service, need in _needs(serving.row):
            if need.kind in caches.SERVERS:  # it comes back empty, as a cache may at any time
                await self._cache(need, self._database(service.name, need.name))
            else:
                port = (await self._ground.postgres.postmaster.server()).port
        return tuple(p for p in serving.processes if p.database not in (0, port))

    async def _revive(self, row: Row | None, serving: Instance, dead: Sequence[Process]) -> None:
        first = dead[0]
        said = processes.tail(Path(first.log))
        self._tell(row, Failed(f"{first.service}.{first.name} ended; it is started again.", log=said))
        await self._pause(first.service)
        await self._again(serving, dead)

    async def _pause(self, of: str) -> None:
        count = self._crashes.get(of, 0)
        self._crashes[of] = count + 1
        waits = BACKOFF_SECONDS if of == NEEDS else RESTARTS
        await asyncio.sleep(waits[min(count, len(waits) - 1)])

    def _unwell(self, row: Row | None) -> bool:
        """Whether what serves is not known to be well. Why a newer version failed is still to be read, and stays."""
        failed = self.kept.failed_key
        newer = bool(failed) and (row is None or key_of(row) == failed)
        return self.kept.health is not Health.READY and not newer

    def _tell(self, row: Row | None, error: Failed) -> None:
        """Say that what serves is in trouble, unless there is worse to be said."""
        error = machine.excuse(error, self._ground.disks) or error
        if self._unwell(row) or self.kept.health is Health.READY:
            self._keep(health=Health.FAILED, why=str(error), fix=_fix(error), log=error.log)

    async def _again(self, serving: Instance, ended: Sequence[Process]) -> None:
        """Start processes of it again, and wait until all of it answers."""
        trees = await self._trees(serving.row)
        for process in ended:
            service = next(s for s in serving.row.services if s.name == process.service)
            spec = next(p for p in service.processes if p.name == process.name)
            started = await self._start_one(serving.row, service, spec, trees)
            serving = replace(serving, processes=tuple(started if p is process else p for p in serving.processes))
            await self._note(started, serving=serving)
            self._route()
        await self._probe(serving)

    # --- within ---

    async def _note(self, started: Process, **changes: object) -> None:
        """Record a process that was started. If that fails, end the process: nothing would find it later."""
        try:
            self._keep(**changes)
        except BaseException:
            await self._end((started,), processes.BRIEF_SECONDS)
            raise

    def _keep(self, **changes: object) -> None:
        """Change the state, the file first. Raises `Trouble`, and changes nothing, when the file cannot be written."""
        before = self.kept
        kept = _public(replace(before, **changes))  # type: ignore[arg-type]  # the names are Kept's own
        if kept.health is not before.health or kept.why != before.why:
            kept = replace(kept, since=datetime.now(UTC))
        if kept != before or not self._noted:
            self._ground.state.write_preview(kept)
            self.kept, self._noted = kept, True
        if (kept.health, kept.why, kept.serving) != (before.health, before.why, before.serving):
            self._ground.wake(kept.identity.repository_id)

    def _ours(self, *parts: str) -> Path:
        """A folder of this preview in which we alone write."""
        path = folder_of(self._ground.run_as, self.kept.identity).joinpath(*parts)
        return files.ours(self._ground.run_as, *path.relative_to(self._ground.run_as.home).parts)

    def _log(self, name: str) -> Path:
        """The file of one process's output."""
        return self._ground.state.logs(self.kept.identity, make=True) / f"{name}.log"

    def _hosts(self) -> dict[str, str]:
        return {host: service for service, host in (self.row or self.kept.row).naming.hosts}

    def _host(self, service: str) -> str:
        return next((host for host, name in self._hosts().items() if name == service), "")

    def _route(self) -> None:
        serving = self._tried or self.kept.serving
        ports = {p.service: p.port for p in serving.processes if p.port} if serving else {}
        hosts = self._hosts() if serving or self.row else {}  # what only waits for its removal is not starting
        claimed = {host: ports.get(service, 0) for host, service in hosts.items()}
        self._ground.proxy.routes.claim(self.kept.identity, claimed)

    async def _end_all(self, keep: tuple[Process, ...]) -> None:
        """End every process of this preview but these, noted or only marked."""
        noted = [*(self.kept.serving.processes if self.kept.serving else ())]
        noted += self.kept.starting.processes if self.kept.starting else ()
        noted += self.kept.caches
        await self._end(tuple(p for p in noted if p not in keep))
        kept = {p.pid for p in keep}
        for pid in self._ground.marked(self.kept.identity):
            started = processes.started(pid)
            if pid not in kept and started:
                await processes.end(pid, started)

    @staticmethod
    async def _end(found: tuple[Process, ...], grace: float = processes.GRACE_SECONDS) -> None:
        await asyncio.gather(*(processes.end(p.pid, p.started, grace) for p in found))


async def _sleep(until: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await until.wait()


def _interpreter(run_as: Account) -> str:
    try:
        return interpreter(run_as)
    except Failed as error:
        raise Lacks(str(error)) from None


def _public(kept: Kept) -> Kept:
    """The same with nothing secret in what people read of it, whoever wrote it there; its passwords are known from now.

    A process may print its whole environment before it ends.
    """
    for password in kept.secrets.values():
        hide(password)
    return replace(kept, why=scrub(kept.why), log=tuple(scrub(line) for line in kept.log))


def _fix(error: Failed) -> str:
    """Return the fix for failures that a push cannot fix."""
    if isinstance(error, Trouble):
        return SOON
    return AT_THE_NEXT_START if isinstance(error, Lacks) else ""


def _needs(row: Row) -> list[tuple[Service, Need]]:
    return [(service, need) for service in row.services for need in service.needs]


def running_url(kept: Kept, service: str, proxy_port: int) -> str:
    """The address of a public service, or empty."""
    host = kept.row.naming.host(service)
    return f"http://{host}:{proxy_port}" if host else ""


def version_of(instance: Instance, service: str) -> Version | None:
    """The version of a service in an instance."""
    return next((v for v in instance.row.versions if v.service == service), None)
