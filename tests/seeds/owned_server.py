"""A PostgreSQL server with the role that owns the data of a seed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from greenroom.local import account
from greenroom.local.postgres_server import Server
from greenroom.local.postmaster import Postmaster


@contextmanager
def owned_server() -> Iterator[Server]:
    """Run a server. The password of the role `app` is its name."""
    state = Path(tempfile.mkdtemp(prefix="greenroom-test-"))
    state.chmod(0o755)
    run_as = account.account(state)
    started = asyncio.run(Postmaster(state, run_as).server())
    with psycopg.connect(started.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD 'app'")
    yield started
    asyncio.run(Postmaster(state, run_as).stop())
    account.forget(run_as)
    shutil.rmtree(state)
