"""Resources that all previews of one engine share: the state folder and its lock, the proxy, PostgreSQL, worktrees."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from greenroom.asgi_server import running
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Reason, Stage
from greenroom.errors import Failed
from greenroom.local import account
from greenroom.local.account import Account
from greenroom.local.postgres import Postgres
from greenroom.local.proxy import Proxy
from greenroom.local.settings import LocalSettings
from greenroom.local.state import State
from greenroom.local.workspace import Workspace
from greenroom.local.worktrees import Worktrees


@dataclass(frozen=True, slots=True)
class Ground:
    """Resources that all previews of one engine share. A version has `probe_seconds` to answer.

    `lock` is the handle of the state folder's lock.
    """

    state: State
    lock: int
    run_as: Account
    postgres: Postgres
    worktrees: Worktrees
    proxy: Proxy
    client: httpx2.AsyncClient
    installation: str
    proxy_port: int
    probe_seconds: float
    wake: Callable[[int], None]

    def workspace(self, identity: Identity) -> Workspace:
        """Return the place of one preview on this machine."""
        return Workspace(identity, self.installation, self.state, self.run_as)

    @property
    def disks(self) -> tuple[Path, ...]:
        """Return a folder on each disk that previews need."""
        return (self.state.folder, self.run_as.home)


@asynccontextmanager
async def opened(
    settings: LocalSettings, status: Callable[[Identity], tuple[Stage, Reason]], wake: Callable[[int], None]
) -> AsyncIterator[Ground]:
    """Lock the state folder, start the proxy, and close all resources after the block.

    `status` returns the stage and reason in a preview's comment. Raise `Failed` if the folder or the port is in use.
    """
    async with AsyncExitStack() as stack:
        state = State(settings.state)
        lock = state.lock()
        stack.callback(os.close, lock)
        proxy = Proxy(status)
        stack.push_async_callback(proxy.aclose)
        port = await _listen(stack, proxy, settings.proxy_port)
        client = await stack.enter_async_context(httpx2.AsyncClient(timeout=5, trust_env=False))
        run_as = account.account(settings.state)
        postgres = Postgres(settings.state, run_as)
        stack.push_async_callback(postgres.postmaster.leave)
        yield Ground(
            state=state,
            lock=lock,
            run_as=run_as,
            postgres=postgres,
            worktrees=Worktrees(settings.checkouts),
            proxy=proxy,
            client=client,
            installation=settings.installation,
            proxy_port=port,
            probe_seconds=settings.probe_seconds,
            wake=wake,
        )


async def _listen(stack: AsyncExitStack, proxy: Proxy, port: int) -> int:
    """Start the proxy on a port, or on a free one if it is 0. Return the port."""
    try:
        url = await stack.enter_async_context(running(proxy, port, websockets=True))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise Failed(
            f"Port {port} for previews cannot be used ({why}). Set `local.proxyPort` in greenroom.yaml to another port."
        ) from None
    return int(url.rpartition(":")[2])
