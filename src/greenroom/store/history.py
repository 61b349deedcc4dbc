"""Append to history and read it. No statement here changes or deletes a row, and the database rejects both.

In SQLite, a transaction that reads and then writes loses updates unless it begins IMMEDIATE, so writes do. Reads have
an engine of their own so that they never wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Self

from sqlalchemy import ColumnElement, Table, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from greenroom.core.model.spec import Identity
from greenroom.errors import Failed
from greenroom.store import tables
from greenroom.store.rows import Deployment, Event

BUSY_SECONDS = 5
_WRONG = (SQLAlchemyError, OSError, ValueError, OverflowError)  # the last two come from damaged or invalid rows


def engine(url: str, *, writes: bool) -> AsyncEngine:
    """Return an engine with the pragmas that history needs."""
    made = create_async_engine(url)
    if made.dialect.name == "sqlite":
        _sqlite(made, writes=writes)
    return made


def _sqlite(made: AsyncEngine, *, writes: bool) -> None:
    @event.listens_for(made.sync_engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={BUSY_SECONDS * 1000}"):
                cursor.execute(f"PRAGMA {pragma}")
        except Exception:
            connection.close()  # no other code closes it, and it has a thread
            raise
        cursor.close()

    @event.listens_for(made.sync_engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class History:
    """The history at a database URL; `migrate` must have run. Use as `async with`."""

    def __init__(self, url: str) -> None:
        self._writes = engine(url, writes=True)
        self._reads = engine(url, writes=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._writes.dispose()
        await self._reads.dispose()

    async def record(self, *found: Event) -> int:
        """Append events and return how many were new. Raise `Failed` when the database cannot store them."""
        return await self._append(tables.events, [asdict(e) for e in found])

    async def record_deployments(self, *found: Deployment) -> int:
        """Append deployments and return how many were new."""
        return await self._append(tables.deployments, [asdict(d) for d in found])

    async def events(self, identity: Identity | None = None, limit: int = 50) -> tuple[Event, ...]:
        """Return the latest events of one preview, or of all, newest first."""
        known = tables.events.c
        wanted = (known.repository_id == identity.repository_id, known.number == identity.number) if identity else ()
        return await self._events(wanted, limit)

    async def named(self, repository: str, number: int, limit: int = 50) -> tuple[Event, ...]:
        """Return the latest events of a preview by the name that people know, for one that no longer exists."""
        return await self._events((tables.events.c.repository == repository, tables.events.c.number == number), limit)

    async def _events(self, wanted: Sequence[ColumnElement[bool]], limit: int) -> tuple[Event, ...]:
        query = select(tables.events).where(*wanted)
        query = query.order_by(tables.events.c.at.desc(), tables.events.c.id.desc()).limit(limit)
        return tuple(Event(**{k: v for k, v in row.items() if k != "id"}) for row in await self._all(query))

    async def deployments(self, limit: int = 1000) -> tuple[Deployment, ...]:
        """Return the latest deployments, newest first."""
        query = select(tables.deployments).order_by(tables.deployments.c.at.desc()).limit(limit)
        return tuple(Deployment(**{k: v for k, v in row.items() if k != "id"}) for row in await self._all(query))

    async def _append(self, table: Table, rows: Sequence[dict[str, Any]]) -> int:
        if not rows:
            return 0
        insert = postgresql.insert if self._writes.dialect.name == "postgresql" else sqlite.insert
        statement = insert(table).on_conflict_do_nothing(index_elements=["key"])
        new = 0
        try:
            async with self._writes.begin() as connection:
                for row in rows:
                    new += (await connection.execute(statement.values(row))).rowcount
        except _WRONG as error:
            raise Failed(f"The history cannot be written ({_why(error)}). Previews do not depend on it.") from None
        return new

    async def _all(self, query: Any) -> list[dict[str, Any]]:
        try:
            async with self._reads.connect() as connection:
                return [dict(row) for row in (await connection.execute(query)).mappings()]
        except _WRONG as error:
            raise Failed(f"The history cannot be read ({_why(error)}). Previews do not depend on it.") from None


def _why(error: Exception) -> str:
    """Return the database's own error message in one line. From SQLAlchemy's message, use the first line."""
    return " ".join(str(getattr(error, "orig", None) or error).splitlines()[:1]) or type(error).__name__
