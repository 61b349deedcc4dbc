"""A workshop for each test; nothing of it runs afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from greenroom.local import processes
from greenroom.local.engine import stop_all
from local.workshop import Workshop


@pytest.fixture
async def shop() -> AsyncIterator[Workshop]:
    folder = Path(tempfile.mkdtemp(prefix="greenroom-test-"))
    folder.chmod(0o755)
    made = Workshop(folder)
    yield made
    await stop_all(made.settings)
    left = made.pids()
    shutil.rmtree(folder)
    processes.reap()
    assert left == []
