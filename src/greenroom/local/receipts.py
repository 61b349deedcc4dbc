"""Receipts of removals: a search for everything that a removed preview may have left on this machine."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from greenroom.core.model.engine import Receipt
from greenroom.core.model.spec import Identity
from greenroom.errors import Failed
from greenroom.local.ground import Ground
from greenroom.local.names import database_prefix, folder_of
from greenroom.local.postgres import Postgres

CHECKED = ("processes", "routes", "worktrees", "files", "state")


async def receipt(ground: Ground, identity: Identity) -> Receipt:
    """Look for everything that a removed preview may have left. Start PostgreSQL to query its databases."""
    found = await leftovers(ground, identity)
    return replace(found, left=(*found.left, "state file")) if identity in ground.state.previews() else found


async def leftovers(ground: Ground, identity: Identity) -> Receipt:
    """Look for the same, except for the state file, which the removal deletes last."""
    left = [f"route http://{host}" for host in ground.proxy.routes.hosts(identity)]
    left += [f"process {pid}" for pid in await asyncio.to_thread(ground.workspace(identity).marked)]
    folder = folder_of(ground.run_as, identity)
    left += [f"folder {path.name}" for path in (folder, ground.state.logs(identity)) if path.exists()]
    left += [f"worktree of {slug}" for slug in await ground.worktrees.recorded(folder)]
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
