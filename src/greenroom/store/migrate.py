"""Migration of a database to this version's tables. Alembic is slow to import and only needed here."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from greenroom import logs
from greenroom.config.settings import NO_HISTORY
from greenroom.errors import Failed
from greenroom.store.history import engine


async def migrate(url: str) -> str:
    """Migrate, and return one line with the old and the new revision. Raise `Failed` with the fix."""
    try:
        parsed = make_url(url)
        made = engine(url, writes=True)
    except (SQLAlchemyError, ImportError, ValueError):  # without the URL, which may hold a password
        raise Failed(f"The value of `database:` {' '.join(NO_HISTORY)}") from None
    file = parsed.database if parsed.get_backend_name() == "sqlite" else None
    try:
        if file:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            sqlite3.connect(file).close()  # a file that cannot be opened would leave a thread and its traceback
        async with made.begin() as connection:
            return await connection.run_sync(_upgrade)
    except DBAPIError as error:
        raise Failed(_sentence(file or parsed.render_as_string(), str(error.orig))) from None
    except (
        OSError,
        SQLAlchemyError,
        sqlite3.Error,
        TypeError,
        ValueError,
    ) as error:  # the last two come from unknown driver options
        why = getattr(error, "strerror", None) or str(error)
        raise Failed(_sentence(file or parsed.render_as_string(), why)) from None
    finally:
        await asyncio.shield(made.dispose())


def _sentence(where: str, why: str) -> str:
    where, why = logs.scrub(where), logs.scrub(" ".join(why.split()))
    if "not a database" in why or "malformed" in why:
        return f"{where} is corrupt ({why}). Move it away and start again. Previews do not depend on the history."
    if "locked" in why:
        return f"{where} is locked by another program. Is another Greenroom running on it? Stop it, or set `database:`."
    return f"{where} cannot be used for the history ({why}). Make it writable, or set `database:` in greenroom.yaml."


def _upgrade(connection: Connection) -> str:
    from alembic.command import upgrade
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    before = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(config)
    known = {s.revision for s in scripts.walk_revisions()}
    if before is not None and before not in known:
        raise Failed(
            f"The history was written by a newer Greenroom (revision {before}). Start the newer"
            " Greenroom, or set another `database:`."
        )
    upgrade(config, "head")
    return f"history: {before or 'empty'} -> {scripts.get_current_head()}"
