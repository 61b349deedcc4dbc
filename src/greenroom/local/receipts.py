"""Receipts of removals: a search for everything that a removed preview may have left on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from greenroom.core.model.engine import Receipt
from greenroom.core.model.spec import Identity
from greenroom.errors import Failed
from greenroom.local.ground import Ground
from greenroom.local.names import database_prefix, folder_of
from greenroom.local.postgres import Postgres

CHECKED = ("processes", "routes", "worktrees", "files", "state")


async def receipt(ground: Ground, slugs: Iterable[str], identity: Identity) -> Receipt:
    """Look for everything that a removed preview may have left. Start PostgreSQL to query its databases.

    Worktrees are looked for in the checkouts of all `slugs` (owner/name).
    """
    left = [f"route http://{host}" for host in ground.proxy.routes.hosts(identity)]
    left += [f"process {pid}" for pid in await asyncio.to_thread(ground.workspace(identity).marked)]
    folder = folder_of(ground.run_as, identity)
    left += [f"folder {path.name}" for path in (folder, ground.state.logs(identity)) if path.exists()]
    for slug in slugs:
        if f"{folder.resolve()}/trees/" in await ground.worktrees.listed(slug):
            left.append(f"worktree of {slug}")
    if identity in ground.state.previews():
        left.append("state file")
    if not ground.postgres.postmaster.has_data():
        return Receipt(identity, CHECKED, tuple(left))
    try:
        left += await _databases(ground.postgres, identity)
    except Failed as error:
        why = str(error).rstrip(".")
        left.append(f"its databases, which could not be checked ({why})")
        return Receipt(identity, CHECKED, tuple(left))
    return Receipt(identity, (*CHECKED, "databases"), tuple(left))


async def _databases(postgres: Postgres, identity: Identity) -> list[str]:
    return [f"database {name}" for name in await postgres.named(database_prefix(identity))]
