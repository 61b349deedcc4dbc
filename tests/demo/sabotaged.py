"""`greenroom serve`, broken in one place: what a pretender would look like. Called as `sabotaged.py WHAT FOLDER`."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from greenroom import serving, wire
from greenroom.cli import main
from greenroom.core import decision, reasons, told
from greenroom.core.actions import Tell
from greenroom.core.rows import Row
from greenroom.core.status import Reason
from greenroom.local import engine as local_engine
from greenroom.local import names
from greenroom.local import preview as local_preview
from greenroom.local.postgres import Postgres
from greenroom.local.preview import Preview


def proxy_stopped() -> None:
    """Previews run, but the port where people open them is closed."""
    real = serving.running

    @asynccontextmanager
    async def elsewhere(application: Any, port: int = 0, host: str = "127.0.0.1", **more: Any) -> Any:
        async with real(application, 0, host, **more):
            yield f"http://{host}:{port}"  # the address that comments give: nothing listens there

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


def links_lead_away() -> None:
    """Every address in every comment is one that nobody can open."""
    real = told.comment_text

    def text(*arguments: Any) -> str:
        return real(*arguments).replace(".preview.localhost", ".preview.invalid")

    setattr(told, "comment_text", text)  # noqa: B010 -- the module's own name for it


def worker_never_starts() -> None:
    """Only what answers HTTP is started, and that is called the whole preview."""
    real = Preview._start

    async def start(self: Preview, row: Row, trees: Any) -> None:
        web = (replace(s, processes=tuple(p for p in s.processes if p.port)) for s in row.services)
        await real(self, replace(row, services=tuple(web)), trees)

    Preview._start = start  # type: ignore[method-assign]


def comment_says_the_opposite() -> None:
    """The heading says ready, and the sentence below it that nothing answers."""
    setattr(reasons, "ready", lambda: Reason("ready", "Nothing answers."))  # noqa: B010 -- the module's own name


def processes_unmarked() -> None:
    """What runs carries another mark than it should, and stays when its preview is removed."""
    real = names.mark_of
    setattr(local_preview, "mark_of", lambda *arguments: f"other-{real(*arguments)}")  # noqa: B010
    removal_is_nothing()


SABOTAGES = {
    "comment-says-the-opposite": comment_says_the_opposite,
    "links-lead-away": links_lead_away,
    "worker-never-starts": worker_never_starts,
    "processes-unmarked": processes_unmarked,
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
