"""`greenroom serve`, broken in one place: what a pretender would look like. Called as `sabotaged.py WHAT FOLDER`."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from greenroom import asgi_server, bootstrap
from greenroom.cli import main
from greenroom.core import messages
from greenroom.core.comment import body, updates
from greenroom.core.model.actions import UpdateComment
from greenroom.core.model.spec import PreviewSpec
from greenroom.core.model.status import Reason
from greenroom.core.planning import decision
from greenroom.local import engine as local_engine
from greenroom.local import ground as local_ground
from greenroom.local import names, workspace
from greenroom.local.deployment import Deployment
from greenroom.local.postgres import Dump, Postgres
from greenroom.local.trees import Source


def proxy_stopped() -> None:
    """Previews run, but the port where people open them is closed."""
    real = asgi_server.running

    @asynccontextmanager
    async def elsewhere(application: Any, port: int = 0, host: str = "127.0.0.1", **more: Any) -> Any:
        async with real(application, 0, host, **more):
            yield f"http://{host}:{port}"  # the address that comments give: nothing listens there

    setattr(local_ground, "running", elsewhere)  # noqa: B010 -- the module's own name for it


def seed_row_altered() -> None:
    """One row of every seed is another one."""
    real = Postgres.template

    async def altered(self: Postgres, name: str, seed: Dump) -> None:
        seed.path.write_text(seed.path.read_text().replace("Espresso beans", "Instant coffee"))
        await real(self, name, seed)

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
    real = Deployment.wants

    def wants(self: Deployment, spec: PreviewSpec) -> bool:
        return real(self, spec) and not any(link.wanted for link in spec.links.targets)

    Deployment.wants = wants  # type: ignore[method-assign]


def nobody_is_informed() -> None:
    """The comment of what used a preview that went is never written again."""
    real = updates.comments_to_write

    def write(*arguments: Any) -> tuple[UpdateComment, ...]:
        return tuple(t for t in real(*arguments) if "that grace chose with" not in t.text)

    setattr(decision, "comments_to_write", write)  # noqa: B010 -- the module's own name for it


def links_lead_away() -> None:
    """Every address in every comment is one that nobody can open."""
    real = body.comment_text

    def text(*arguments: Any) -> str:
        return real(*arguments).replace(".preview.localhost", ".preview.invalid")

    setattr(updates, "comment_text", text)  # noqa: B010 -- the module's own name for it


def worker_never_starts() -> None:
    """Only what answers HTTP is started, and that is called the whole preview."""
    real = Deployment._start

    async def start(self: Deployment, source: Source) -> None:
        web = (replace(s, processes=tuple(p for p in s.processes if p.port)) for s in source.spec.services)
        config = replace(source.spec.config, services=tuple(web))
        await real(self, replace(source, spec=replace(source.spec, config=config)))

    Deployment._start = start  # type: ignore[method-assign]


def comment_says_the_opposite() -> None:
    """The heading says ready, and the sentence below it that nothing answers."""
    setattr(messages, "ready", lambda: Reason("ready", "Nothing answers."))  # noqa: B010 -- the module's own name


def processes_unmarked() -> None:
    """What runs carries another mark than it should, and stays when its preview is removed."""
    real = names.mark_of
    setattr(workspace, "mark_of", lambda *arguments: f"other-{real(*arguments)}")  # noqa: B010
    removal_is_nothing()


SABOTAGES = {
    "comment-says-the-opposite": comment_says_the_opposite,
    "links-lead-away": links_lead_away,
    "worker-never-starts": worker_never_starts,
    "processes-unmarked": processes_unmarked,
    "database-stays": database_stays,
    "link-stays": link_stays,
    "nobody-is-told": nobody_is_informed,
    "proxy-stopped": proxy_stopped,
    "seed-row-altered": seed_row_altered,
    "removal-is-nothing": removal_is_nothing,
}

if __name__ == "__main__":
    assert bootstrap
    SABOTAGES[sys.argv[1]]()
    main(["serve", sys.argv[2]], prog_name="greenroom")
