"""Commands and processes of a version's services, with their environment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from greenroom.core import messages
from greenroom.core.linking.addresses import link_variables
from greenroom.core.model.catalog import Process as ProcessSpec
from greenroom.core.model.catalog import Service
from greenroom.errors import Failed
from greenroom.local import processes
from greenroom.local.account import Account, environment, interpreter
from greenroom.local.datastores import Datastores
from greenroom.local.machine import MissingDependency
from greenroom.local.needs import data_of
from greenroom.local.ports import free_port
from greenroom.local.processes import Command
from greenroom.local.state import Process
from greenroom.local.trees import Source
from greenroom.local.workspace import Workspace


class Launcher:
    """Starter of the commands of one preview's services."""

    def __init__(self, workspace: Workspace, datastores: Datastores) -> None:
        self._workspace = workspace
        self._datastores = datastores

    async def start(self, source: Source, service: Service, spec: ProcessSpec) -> Process:
        """Start a process of a service, on a new port if it has one. The caller has to record it."""
        if not spec.command:
            raise Failed(f"{service.name}.{spec.name} has no `command:`, which the local engine needs.")
        port = free_port() if spec.port else 0
        command = await self._command(source, service, spec.command, f"{service.name}-{spec.name}", port)
        database = await self._datastores.port(source.spec, service)
        with _named("command", service):
            pid, started = processes.start(command, self._workspace.run_as)
        return Process(service.name, spec.name, pid, started, port, str(command.log), database)

    async def migrate(self, source: Source) -> None:
        """Run the migrations of all services, one after the other. Raise `Failed` for the first that fails."""
        for service in source.spec.services:
            if service.migrate:
                await self._migrate(source, service)

    async def _migrate(self, source: Source, service: Service) -> None:
        seconds = service.migrate_timeout.total_seconds() if service.migrate_timeout else None
        command = await self._command(source, service, service.migrate, f"{service.name}-migrate")
        with _named("migrate", service):
            code = await processes.run(command, self._workspace.run_as, seconds)
        if code == 0:
            return
        ended = f"took longer than {seconds:g} s and was stopped" if code is None else f"failed (exit code {code})"
        why = (
            f"The migration of {service.name} {ended}. The migration command is set under `migrate:` in"
            f" services/{service.name}.yaml."
        )
        raise Failed(why, log=processes.tail(command.log), service=service.name)

    async def _command(
        self, source: Source, service: Service, arguments: tuple[str, ...], name: str, port: int = 0
    ) -> Command:
        run_as = self._workspace.run_as
        home = self._workspace.owned("home")
        program = _interpreter(run_as) if arguments[0] in ("python", "python3") else arguments[0]
        given = await self._given(source, service, port)
        return Command(
            [program, *arguments[1:]],
            source.trees[service.name],
            environment(run_as, given, home),
            self._workspace.log(name),
        )

    async def _given(self, source: Source, service: Service, port: int) -> dict[str, str]:
        spec = source.spec
        given = dict(service.env) | spec.config.variables(service.name)
        for link in spec.links.targets:
            given |= link_variables(link) if link.service == service.name else {}
        for owner, need, variables in data_of(spec, service):
            parts = await self._datastores.address(owner, need)
            given |= {variable: parts[part] for part, variable in variables}
        version = next(v for v in spec.build.versions if v.service == service.name)
        given |= {processes.MARK: self._workspace.mark, "VERSION": version.sha[:7]}
        return given | ({"PORT": str(port)} if port else {})


@contextlib.contextmanager
def _named(setting: str, service: Service) -> Iterator[None]:
    """Let a command that cannot be started name the setting that it comes from: a push does not help."""
    try:
        yield
    except processes.NotStarted as error:
        raise processes.NotStarted(str(error), messages.command_not_found(setting, service.name)) from None


def _interpreter(run_as: Account) -> str:
    try:
        return interpreter(run_as)
    except Failed as error:
        raise MissingDependency(str(error)) from None
