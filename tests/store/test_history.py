"""History: kept once, never changed, and previews never depend on it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from greenroom.core.model.spec import Identity
from greenroom.errors import Failed
from greenroom.store.history import History, engine
from greenroom.store.migrate import migrate
from greenroom.store.rows import Deployment, Event

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def event(key: str, number: int = 1, at: datetime = NOW) -> Event:
    return Event(key, at, 7, "shop", number, "started", "It started.", {"sha": "a" * 40})


def deployment(key: str) -> Deployment:
    return Deployment(key, NOW, 7, "shop", 1, "preview/pr-1", "a" * 40, "sha256:b", "success", "http://x", "greenroom")


@pytest.fixture
async def url(tmp_path: Path) -> str:
    made = f"sqlite+aiosqlite:///{tmp_path / 'history.sqlite3'}"
    assert await migrate(made) == "history: empty -> 0001"
    return made


async def test_what_is_recorded_twice_is_kept_once(url: str) -> None:
    async with History(url) as history:
        assert await history.record(event("a"), event("b")) == 2
        assert await history.record(event("a"), event("c", 2)) == 1
        assert [e.key for e in await history.events()] == ["c", "b", "a"]
        assert [e.key for e in await history.events(Identity(7, 2))] == ["c"]
        assert [e.key for e in await history.named("shop", 1)] == ["b", "a"]
        assert await history.named("shop", 3) == await history.named("web", 1) == ()
        assert (await history.events(limit=1))[0] == event("c", 2)
        assert await history.record_deployments(deployment("a"), deployment("a")) == 1
        assert await history.deployments() == (deployment("a"),)


async def test_times_come_back_in_utc(url: str) -> None:
    async with History(url) as history:
        await history.record(event("a", at=NOW.astimezone(UTC) + timedelta(microseconds=7)))
        [found] = await history.events()
        assert found.at == NOW + timedelta(microseconds=7)
        assert found.at.tzinfo is UTC


@pytest.mark.parametrize("statement", ["UPDATE events SET text = 'x'", "DELETE FROM events", "DELETE FROM deployments"])
async def test_the_database_itself_refuses_to_change_history(url: str, statement: str) -> None:
    async with History(url) as history:
        await history.record(event("a"))
        await history.record_deployments(deployment("a"))
    writes = engine(url, writes=True)
    with pytest.raises(DBAPIError, match="append-only"):
        async with writes.begin() as connection:
            await connection.execute(text(statement))
    await writes.dispose()


async def test_many_writers_lose_nothing(url: str) -> None:
    async with History(url) as one, History(url) as other:
        await asyncio.gather(*(h.record(event(f"{i}-{j}")) for i, h in enumerate((one, other)) for j in range(20)))
        assert len(await one.events(limit=100)) == 40


async def test_migrating_again_changes_nothing(url: str) -> None:
    async with History(url) as history:
        await history.record(event("a"))
    assert await migrate(url) == "history: 0001 -> 0001"
    async with History(url) as history:
        assert len(await history.events()) == 1


async def test_a_corrupt_file_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"
    file.write_bytes(b"this is no database" * 100)
    with pytest.raises(Failed, match=r"is corrupt .* Move it away"):
        await migrate(f"sqlite+aiosqlite:///{file}")


def _garbage(file: Path) -> None:
    for path in file.parent.glob("history.sqlite3*"):
        path.write_bytes(b"garbage!" * 4000)


def _no_table(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE events")
    connection.close()


def _no_json(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO events SELECT 9, 'x', at, 7, 'shop', 1, 'ready', 'x', '{' FROM events LIMIT 1")
    connection.close()


@pytest.mark.parametrize("spoil", [_garbage, _no_table, _no_json])
async def test_a_history_that_breaks_while_it_runs_is_a_sentence(
    spoil: Callable[[Path], None], url: str, tmp_path: Path
) -> None:
    async with History(url) as history:
        await history.record(event("a"))
    async with History(url) as history:
        spoil(tmp_path / "history.sqlite3")
        for reading in (history.events(Identity(7, 1)), history.named("shop", 1)):
            with pytest.raises(
                Failed, match=r"^The history cannot be read \([^\n]+\)\. Previews do not depend on it\.$"
            ):
                await reading


async def test_a_number_that_no_database_holds_is_a_sentence(url: str) -> None:
    async with History(url) as history:
        with pytest.raises(Failed, match="cannot be read"):
            await history.named("shop", 10**30)


async def test_a_newer_history_is_refused(url: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "history.sqlite3") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(Failed, match="newer Greenroom"):
        await migrate(url)


NOWHERE = "postgresql+psycopg://nobody:hunter22@127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "is not a valid history URL"),
        ("mysql://ada:hunter22@db/x", "is not a valid history URL"),
        ("sqlite:///x", "is not a valid history URL"),
        (NOWHERE, "cannot be used for the history"),
        (f"{NOWHERE}?nonsense=1", 'invalid connection option "nonsense"'),
        ("postgresql+psycopg://127.0.0.1:1/x?password=hunter22", "cannot be used for the history"),
        ("sqlite+aiosqlite:///{folder}/file/history.sqlite3", "(File exists)"),
        ("sqlite+aiosqlite:////proc/nowhere/history.sqlite3", "(No such file or directory)"),
        ("sqlite+aiosqlite:///{folder}", "(unable to open database file)"),
    ],
)
async def test_what_cannot_hold_a_history_is_one_sentence_without_a_password(
    url: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed) as found:
        await migrate(url.format(folder=tmp_path))
    assert words in str(found.value)
    assert "\n" not in str(found.value)
    assert "hunter22" not in str(found.value)
