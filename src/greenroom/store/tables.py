"""The two tables. One definition serves SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import JSON, BigInteger, Column, DateTime, Dialect, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC times in both directions, because SQLite drops the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a time for the database."""
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a time from the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_JSON = JSON().with_variant(JSONB(), "postgresql")
_ID = BigInteger().with_variant(Integer, "sqlite")
metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("key", String(400), nullable=False, unique=True),
    Column("at", UtcTime, nullable=False),
    Column("repository_id", BigInteger, nullable=False),
    Column("repository", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("data", _JSON, nullable=False),
    Index("events_by_preview", "repository_id", "number", "id"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("key", String(400), nullable=False, unique=True),
    Column("at", UtcTime, nullable=False),
    Column("repository_id", BigInteger, nullable=False),
    Column("repository", String(200), nullable=False),
    Column("number", Integer, nullable=True),
    Column("environment", String(255), nullable=False),
    Column("sha", String(64), nullable=False),
    Column("digest", String(80), nullable=False),
    Column("state", String(32), nullable=False),
    Column("url", Text, nullable=False),
    Column("source", String(16), nullable=False),
    Column("data", _JSON, nullable=False),
    Index("deployments_by_time", "at"),
)
