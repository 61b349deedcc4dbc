"""The databases and caches of one preview. They outlive its versions and end with it, or with the spec's
data generation.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import assert_never

from greenroom.core.model.catalog import Need, Service
from greenroom.core.model.kinds import KINDS, LocalServer
from greenroom.core.model.spec import PreviewSpec
from greenroom.local import caches, process_set, processes, seeds, versions
from greenroom.local.needs import data_of, needs_of, server_of
from greenroom.local.ports import free_port
from greenroom.local.postgres import Postgres
from greenroom.local.process_set import ProcessSet
from greenroom.local.record_file import RecordFile
from greenroom.local.trees import Source
from greenroom.local.workspace import Workspace


class Datastores:
    """The databases and caches of one preview."""

    def __init__(self, postgres: Postgres, workspace: Workspace, record: RecordFile, process_set: ProcessSet) -> None:
        self._postgres = postgres
        self._workspace = workspace
        self._record = record
        self._processes = process_set

    async def prepare(self, source: Source) -> None:
        """Create the databases of the spec's data generation from their seeds, and start its caches.

        A new data generation replaces the databases of the last one.
        """
        spec, record = source.spec, self._record
        if record.kept.data_generation != spec.data.generation:
            record.keep(data_generation=spec.data.generation, databases=())
        for service, need in needs_of(spec):
            server, name = server_of(need, service), self._workspace.database(service.name, need.name)
            if name not in record.kept.secrets:
                record.keep(secrets={**record.kept.secrets, name: secrets.token_hex(16)})
            match server:
                case LocalServer.REDIS:
                    await self._start_cache(need, name)
                case LocalServer.POSTGRESQL:
                    await self._create(need, name, source.trees[service.name])
                case other:
                    assert_never(other)

    async def revive(self, spec: PreviewSpec) -> int:
        """Restart the servers that do not run. Return the port of PostgreSQL; 0 if the spec does not use it."""
        port = 0
        for service, need in needs_of(spec):
            match server_of(need, service):
                case LocalServer.REDIS:  # it comes back empty, as a cache may at any time
                    await self._start_cache(need, self._workspace.database(service.name, need.name))
                case LocalServer.POSTGRESQL:
                    port = await self._port()
                case other:
                    assert_never(other)
        return port

    async def address(self, owner: Service, need: Need) -> dict[str, str]:
        """Return the parts of a need's address."""
        name = self._workspace.database(owner.name, need.name)
        password = self._record.kept.secrets[name]
        match server_of(need, owner):
            case LocalServer.REDIS:
                return caches.parts(next(c.port for c in self._record.kept.caches if c.name == name), password)
            case LocalServer.POSTGRESQL:
                return (await self._postgres.postmaster.server()).parts(name, name, password)
            case other:
                assert_never(other)

    async def port(self, spec: PreviewSpec, service: Service) -> int:
        """Return the port of PostgreSQL that a service gets; 0 if it uses no PostgreSQL database."""
        if all(server_of(need, owner) is not LocalServer.POSTGRESQL for owner, need, _ in data_of(spec, service)):
            return 0
        return await self._port()

    def other_versions(self, service: Service) -> tuple[str, ...]:
        """Return a sentence for each need of a service that runs another version than the service asks for."""
        kept, database = self._record.kept, self._workspace.database
        running = {c.name: c.version for c in kept.caches}
        running |= dict.fromkeys(kept.databases, self._postgres.postmaster.version())
        found = [(need, running.get(database(service.name, need.name), "")) for need in service.needs]
        return tuple(
            f"{need.name} is this machine's {version}; on a cluster it is {KINDS[need.kind].title} {need.version}"
            for need, version in found
            if version and not versions.serves(version, KINDS[need.kind].title, need.version)
        )

    async def end_unused(self, spec: PreviewSpec) -> None:
        """End the caches that a spec does not use."""
        used = {self._workspace.database(service.name, need.name) for service, need in needs_of(spec)}
        running = self._record.kept.caches
        await process_set.end(c for c in running if c.name not in used)
        self._record.keep(caches=tuple(c for c in running if c.name in used))

    async def drop_all(self) -> None:
        """Drop all databases, also those that are not recorded. Their processes must have ended."""
        if self._record.kept.secrets and self._postgres.postmaster.has_data():
            for database in await self._postgres.named(self._workspace.database_prefix):
                await self._postgres.drop(database)

    async def _port(self) -> int:
        return (await self._postgres.postmaster.server()).port

    async def _create(self, need: Need, name: str, tree: Path) -> None:
        """Create a database from its seed unless it exists."""
        if name in self._record.kept.databases:
            return
        template = await seeds.template(self._postgres, tree, need, self._workspace.run_as)
        await self._postgres.drop(name)
        await self._postgres.clone(name, template, self._record.kept.secrets[name])
        self._record.keep(databases=(*self._record.kept.databases, name))

    async def _start_cache(self, need: Need, name: str) -> None:
        """Start a cache unless it runs, on the port that services already know."""
        kept, workspace = self._record.kept, self._workspace
        known = next((c for c in kept.caches if c.name == name), None)
        if known and processes.alive(known.pid, known.started):
            return
        where = (workspace.run_as, workspace.owned("caches", name), workspace.log(name))
        password = kept.secrets[name]
        started = caches.start(need, name, password, known.port if known else free_port(), workspace.mark, where)
        others = (c for c in kept.caches if c.name != name)
        await self._processes.note(started, caches=(*others, started))
        await caches.answers(started, password)
