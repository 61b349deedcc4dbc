"""`greenroom serve`, broken in one place: what a pretender would look like. Called as `sabotaged.py WHAT FOLDER`."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import Any

from greenroom import serving, wire
from greenroom.cli import main
from greenroom.core import decision, told
from greenroom.core.actions import Tell
from greenroom.core.rows import Row
from greenroom.local import engine as local_engine
from greenroom.local.postgres import Postgres
from greenroom.local.preview import Preview


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


def database_stays() -> None:
    """No database is ever dropped."""

    async def nothing(self: Postgres, database: str) -> None:
        """Nothing."""

    Postgres.drop = nothing  # type: ignore[method-assign]


def link_stays() -> None:
    """What used a preview that went is said to be on staging, and still runs with the old address."""
    real = Preview._wants

    def wants(self: Preview, row: Row) -> bool:
        return real(self, row) and not any(link.wanted for link in row.links)

    Preview._wants = wants  # type: ignore[method-assign]


def nobody_is_told() -> None:
    """The comment of what used a preview that went is never written again."""
    real = told.tells

    def tells(*arguments: Any) -> tuple[Tell, ...]:
        return tuple(t for t in real(*arguments) if "which grace chose, has" not in t.text)

    setattr(decision, "tells", tells)  # noqa: B010 -- the module's own name for it


SABOTAGES = {
    "database-stays": database_stays,
    "link-stays": link_stays,
    "nobody-is-told": nobody_is_told,
    "proxy-stopped": proxy_stopped,
    "seed-row-altered": seed_row_altered,
    "removal-is-nothing": removal_is_nothing,
}

if __name__ == "__main__":
    assert wire
    SABOTAGES[sys.argv[1]]()
    main(["serve", sys.argv[2]], prog_name="greenroom")
