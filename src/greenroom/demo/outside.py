"""Look from outside: pages over HTTP, GitHub's own state, processes of the system, the database server's catalogue."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

from greenroom.core.model import Identity
from greenroom.demo.stage import BOT, Stage
from greenroom.local.names import mark_of

Check = Callable[[], Awaitable[str]]


class NotSeen(Exception):
    """What a step had to see was not there; the text says what was."""


async def until(check: Check, seconds: float = 20.0) -> str:
    """What the check says once it holds. Raises `NotSeen` with its last complaint when the time is up."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await check()
        except (NotSeen, httpx2.HTTPError) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise NotSeen(str(error) or type(error).__name__) from None
        await asyncio.sleep(0.05)


def demand(holds: object, complaint: str) -> None:
    """Raise `NotSeen` unless it holds."""
    if not holds:
        raise NotSeen(complaint)


def read(comment: str) -> str:
    """A comment as people see it, in one line: without the signed line, which is hidden from them."""
    return " ".join(re.sub(r"<!--.*?(-->|$)", "", comment, flags=re.DOTALL).split())


class Eyes:
    """What can be seen of the stage without asking Greenroom."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    # --- HTTP ---

    async def get(self, service: str, number: int, path: str = "/") -> httpx2.Response:
        """A page of a preview, through the port that people use."""
        host = f"{service}-pr-{number}.preview.localhost"
        url = f"http://127.0.0.1:{self.stage.ports['previews']}{path}"
        return await self.stage.client.get(url, headers={"host": host})

    async def post(self, service: str, number: int, path: str, data: object) -> httpx2.Response:
        """Send JSON to a preview."""
        host = f"{service}-pr-{number}.preview.localhost"
        url = f"http://127.0.0.1:{self.stage.ports['previews']}{path}"
        return await self.stage.client.post(url, headers={"host": host}, json=data)

    async def answers(self, service: str, number: int, path: str = "/") -> str:
        """The text of a page that answers 200."""
        response = await self.get(service, number, path)
        if response.status_code != 200:
            said = " ".join(self.comments(service, number)[-1:])
            raise NotSeen(
                f"{service}-pr-{number}{path} answers {response.status_code}; its comment: {read(said)[:300]}"
            )
        return response.text

    async def products(self, number: int) -> dict[str, Any]:
        """The catalog's products as JSON."""
        found: dict[str, Any] = json.loads(await self.answers("catalog", number, "/products"))
        return found

    async def dashboard(self, path: str = "/") -> str:
        """A page of the dashboard, as somebody reads it."""
        response = await self.stage.client.get(f"http://127.0.0.1:{self.stage.ports['dashboard']}{path}")
        demand(response.status_code == 200, f"the dashboard answers {response.status_code}")
        return response.text

    # --- GitHub ---

    def comments(self, repository: str, number: int) -> list[str]:
        """What our bot wrote on a pull request."""
        pull_request = self.stage.world.pull_request(f"shop/{repository}", number)
        return [c.body for c in pull_request.comments if c.author.login == BOT]

    def comment(self, repository: str, number: int) -> str:
        """The one comment; `NotSeen` when there are none, or two."""
        found = self.comments(repository, number)
        demand(len(found) == 1, f"{repository}#{number} has {len(found)} comments of the bot")
        return found[0]

    async def says(self, repository: str, number: int, *words: str) -> str:
        """The one comment, once it holds all these words."""
        text = self.comment(repository, number)
        for word in words:
            demand(word in text, f"the comment on {repository}#{number} does not say {word!r}: {read(text)[-300:]}")
        return text

    def labels(self, repository: str, number: int) -> list[str]:
        """The labels of a pull request."""
        return self.stage.world.pull_request(f"shop/{repository}", number).labels

    # --- the machine ---

    def processes(self, repository: str, number: int) -> dict[int, str]:
        """Live processes of one preview: pid to command line, by the mark in their environment."""
        identity = Identity(self.stage.world.repository(f"shop/{repository}").id, number)
        mark = mark_of(self.stage.installation, self.stage.state, identity)
        return _environments(f"GREENROOM_PREVIEW={mark}".encode())

    async def databases(self, repository: str, number: int) -> list[str]:
        """Databases of one preview in PostgreSQL's own catalogue; none when no server was ever needed."""
        import psycopg

        note = self.stage.state / "postgres.json"
        if not note.exists():
            return []
        password = json.loads(note.read_text())["password"]
        url = f"postgresql://postgres:{password}@127.0.0.1:{self._database_port()}/postgres"
        prefix = f"gr_{self.stage.world.repository(f'shop/{repository}').id}_{number}_"
        query = "SELECT datname FROM pg_database WHERE starts_with(datname::text, %s)"
        async with await psycopg.AsyncConnection.connect(url) as connection:
            return [str(r[0]) for r in await (await connection.execute(query, (prefix,))).fetchall()]

    def _database_port(self) -> int:
        """PostgreSQL's own note of its port."""
        home = self.stage.state / "home.json"
        folder = Path(json.loads(home.read_text())["home"]) if home.exists() else self.stage.state / "run"
        return int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[3])

    async def worktrees(self, repository: str) -> int:
        """How many worktrees git itself knows beside the repository's own."""
        child = await asyncio.create_subprocess_exec(
            "git",
            "-C",
            str(self.stage.shop.folder / repository),
            "worktree",
            "list",
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await child.communicate()
        return len(output.decode().splitlines()) - 1

    async def gone(self, repository: str, number: int) -> str:
        """Nothing is left of a preview: no process, no database, no answer."""
        left = self.processes(repository, number)
        demand(not left, f"{repository}#{number} still has processes: {sorted(left)}")
        databases = await self.databases(repository, number)
        demand(not databases, f"{repository}#{number} still has databases: {databases}")
        status = (await self.get(repository, number)).status_code
        demand(status == 404, f"{repository}-pr-{number} still answers {status}")
        return "no process, no database, its address answers 404"


def _environments(mark: bytes) -> dict[int, str]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if state not in "ZX":
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
    return found
