"""`greenroom serve`, broken in one place: what a pretender would look like. Called as `sabotaged.py WHAT FOLDER`."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import Any

from greenroom import serving, wire
from greenroom.cli import main
from greenroom.local import engine as local_engine
from greenroom.local.postgres import Postgres


def proxy_stopped() -> None:
    """Previews run, but the port where people open them is closed."""
    real = serving.running

    @asynccontextmanager
    async def elsewhere(application: Any, port: int = 0, host: str = "127.0.0.1") -> Any:
        async with real(application, 0, host) as url:
            yield url

    setattr(local_engine, "running", elsewhere)  # noqa: B010 -- the module's own name for it


def seed_row_altered() -> None:
    """One row of every seed is another one."""
    real = Postgres.template

    async def altered(self: Postgres, name: str, seed: str) -> None:
        await real(self, name, seed.replace("Espresso beans", "Instant coffee"))

    Postgres.template = altered  # type: ignore[method-assign]


def removal_is_nothing() -> None:
    """Removing does nothing, and says that it did."""

    async def nothing(self: Any, identity: Any, uid: str) -> None:
        del self._previews[identity]

    local_engine.LocalEngine.remove = nothing  # type: ignore[method-assign]


SABOTAGES = {
    "proxy-stopped": proxy_stopped,
    "seed-row-altered": seed_row_altered,
    "removal-is-nothing": removal_is_nothing,
}

if __name__ == "__main__":
    assert wire
    SABOTAGES[sys.argv[1]]()
    main(["serve", sys.argv[2]], prog_name="greenroom")
