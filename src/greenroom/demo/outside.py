"""Observer of the demo: pages behind the comments' links, GitHub's state, the system's processes, PostgreSQL's catalog.

It uses none of Greenroom's own functions and builds no addresses. The comment gives the address of a preview.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString, TypeVar
from urllib.parse import urlsplit

import httpx2

from greenroom.demo.stage import BOT, Stage

T = TypeVar("T")
SERVICE_ROW = re.compile(r"^\| (?P<service>[\w-]+) \| (?P<link>\S+) \| (?P<version>.*) \|$", re.MULTILINE)
HEADING = "### Preview "


SENTENCES = {
    "waiting": r"Waiting for image \S+\. (The current version, \w{7}, keeps running\. )?Greenroom deploys the commit",
    "ready": r"All services are up\. \| service \| open ",
    "held": r"(In the configuration, `label:` changed from `[\w-]+` to `[\w-]+`, but this pull request still has the"
    r" old label\."
    r"|The new configuration would make this preview move from `"
    r"|\d previews in this repository lost their label within an hour\. Greenroom removes at most 3 of them without"
    r" confirmation, so this preview waits\.)",
    "blocked": r"Another repository had the same name before, and its previews \(.*\) still use names and addresses"
    r" that this repository's previews need\. ",
    "failed": r"\S.* No version is running\. ",
    "expiring": r"The preview will be removed at 2\d{3}-\d\d-\d\d \d\d:\d\d UTC"
    r", after 3 d without activity\. ",
    "removed": r"The (pull request was closed by \w+|preview expired because there was no activity)\."
    r" All of the preview's resources have been deleted\. ",
}
"""Regular expressions for the text below each heading. The comment is matched as a single line."""


class NotSeen(Exception):
    """Error if a step did not see what it had to see. The text says what was there."""


async def until(check: Callable[[], Awaitable[T]], seconds: float = 20.0) -> T:
    """Repeat a check until it holds, then return its result. Raise `NotSeen` with its last complaint on a timeout."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await check()
        except (NotSeen, httpx2.HTTPError) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise NotSeen(str(error) or type(error).__name__) from None
        await asyncio.sleep(0.05)


def demand(holds: object, complaint: str) -> None:
    """Raise `NotSeen` with the complaint unless `holds` is true."""
    if not holds:
        raise NotSeen(complaint)


def read(comment: str) -> str:
    """Return a comment as people see it, in one line and without the signed line, which is hidden from them."""
    return " ".join(re.sub(r"<!--.*?(-->|$)", "", comment, flags=re.DOTALL).split())


class Eyes:
    """View of the stage from outside, without asking Greenroom."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._led: dict[tuple[str, int], str] = {}
        self._folders: dict[tuple[str, int], set[Path]] = defaultdict(set)

    # --- HTTP ---

    async def get(self, service: str, number: int, path: str = "/") -> httpx2.Response:
        """Open a page of a preview at the address in the comment."""
        return await self._ask("GET", service, number, path)

    async def post(self, service: str, number: int, path: str, data: object) -> httpx2.Response:
        """Send JSON to a preview at the address in the comment."""
        return await self._ask("POST", service, number, path, data)

    async def _ask(self, method: str, service: str, number: int, path: str, data: object = None) -> httpx2.Response:
        self._worktrees_of(service, number)  # the folders are gone once the preview is removed
        link = self.link(service, number)
        where = urlsplit(link)
        # Browsers resolve every name under localhost to this machine (RFC 6761), but not every resolver does.
        demand((where.hostname or "").endswith(".localhost"), f"{link} leads away from this machine")
        url = f"{where.scheme}://127.0.0.1:{where.port or 80}{path}"
        return await self.stage.client.request(method, url, headers={"host": where.netloc}, json=data)

    def link(self, service: str, number: int) -> str:
        """Return the link in the comment, or its last link once the comment has none."""
        comments = self.comments(service, number)
        found = {m["service"]: m["link"] for text in comments for m in SERVICE_ROW.finditer(text) if m["link"] != "-"}
        if service in found:
            self._led[service, number] = found[service]
        said = read(" ".join(comments[-1:]))[:300]
        demand((service, number) in self._led, f"no comment leads to {service} of {service}#{number}: {said}")
        return self._led[service, number]

    async def answers(self, service: str, number: int, path: str = "/") -> str:
        """Return the text of a page. Raise `NotSeen` unless it answers 200."""
        response = await self.get(service, number, path)
        if response.status_code != 200:
            said = " ".join(self.comments(service, number)[-1:])
            raise NotSeen(
                f"{self.link(service, number)}{path} returns {response.status_code}; its comment: {read(said)[:300]}"
            )
        return response.text

    async def products(self, number: int) -> dict[str, Any]:
        """Return the catalog's products from its JSON."""
        found: dict[str, Any] = json.loads(await self.answers("catalog", number, "/products"))
        return found

    async def dashboard(self, path: str = "/") -> str:
        """Return a page of the dashboard as a person reads it."""
        response = await self.stage.client.get(f"http://127.0.0.1:{self.stage.ports['dashboard']}{path}")
        demand(response.status_code == 200, f"the dashboard returns {response.status_code}")
        return response.text

    # --- GitHub ---

    def comments(self, repository: str, number: int) -> list[str]:
        """Return the bot's comments on a pull request."""
        pull_request = self.stage.world.pull_request(f"shop/{repository}", number)
        return [c.body for c in pull_request.comments if c.author.login == BOT]

    def comment(self, repository: str, number: int) -> str:
        """Return the bot's only comment. Raise `NotSeen` if there are none or several."""
        found = self.comments(repository, number)
        demand(len(found) == 1, f"{repository}#{number} has {len(found)} comments of the bot")
        return found[0]

    async def says(self, repository: str, number: int, state: str, *words: str) -> str:
        """Return the comment. Raise `NotSeen` unless heading and sentence match the state and all words are there."""
        text = self.comment(repository, number)
        seen = read(text)
        complain = f"the comment on {repository}#{number} does not say"
        demand(seen.startswith(f"{HEADING}{state} "), f"{complain} {HEADING + state!r}: {seen[-300:]}")
        sentence = SENTENCES[state]
        demand(re.match(f"{HEADING}{state} {sentence}", seen), f"{complain} {sentence!r}: {seen[-300:]}")
        if state == "ready":
            down = [m["service"] for m in SERVICE_ROW.finditer(text) if m["link"] == "-" or "not ready" in m["version"]]
            demand(not down, f"the comment on {repository}#{number} calls {down} not ready: {seen[-300:]}")
        for word in words:
            demand(word in text, f"{complain} {word!r}: {seen[-300:]}")
        return text

    def labels(self, repository: str, number: int) -> list[str]:
        """Return the labels of a pull request."""
        return self.stage.world.pull_request(f"shop/{repository}", number).labels

    # --- the machine ---

    def processes(self, repository: str, number: int) -> dict[int, str]:
        """Return the live processes in worktrees of one preview's commits, as pid to command line."""
        folders = self._worktrees_of(repository, number)
        return {pid: _command(pid) for pid, folder in _working_folders() if folders & {folder, *folder.parents}}

    def _worktrees_of(self, repository: str, number: int) -> set[Path]:
        """Return every folder that git has, or had in an earlier check, for a commit of a pull request."""
        pull_request = self.stage.world.pull_request(f"shop/{repository}", number)
        commits = {i.data["sha"] for i in pull_request.timeline if i.type == "PullRequestCommit"}
        for note in (self.stage.shop.folder / repository / ".git" / "worktrees").glob("*"):
            try:
                if (note / "HEAD").read_text().strip() in commits:
                    self._folders[repository, number].add(Path((note / "gitdir").read_text().strip()).parent)
            except OSError:
                continue  # git is creating or deleting it
        return self._folders[repository, number]

    async def price_index(self, number: int) -> tuple[int, int]:
        """Return the runs and the average price in cents that the catalog's worker wrote to the preview's database."""
        databases = await self.databases("catalog", number)
        demand(len(databases) == 1, f"catalog#{number} has {len(databases)} databases")
        rows = await self._query(databases[0], "SELECT runs, average_cents FROM price_index")
        demand(rows, f"the worker of catalog#{number} has written nothing")
        return int(rows[0][0]), int(rows[0][1])

    async def databases(self, repository: str, number: int) -> list[str]:
        """Return a preview's databases from PostgreSQL's own catalog, or none if no server was ever needed."""
        if not (self.stage.state / "postgres.json").exists():
            return []
        prefix = f"gr_{self.stage.world.repository(f'shop/{repository}').id}_{number}_"
        query = "SELECT datname FROM pg_database WHERE starts_with(datname::text, %s)"
        return [str(r[0]) for r in await self._query("postgres", query, prefix)]

    async def _query(self, database: str, query: LiteralString, *values: str) -> list[tuple[Any, ...]]:
        """Query PostgreSQL directly. Raise `NotSeen` if it refuses."""
        import psycopg

        password = json.loads((self.stage.state / "postgres.json").read_text())["password"]
        url = f"postgresql://postgres:{password}@127.0.0.1:{self._database_port()}/{database}"
        try:
            async with await psycopg.AsyncConnection.connect(url) as connection:
                return await (await connection.execute(query, values)).fetchall()
        except psycopg.Error as error:
            raise NotSeen(f"PostgreSQL says of {database}: {str(error).strip()}") from None

    def _database_port(self) -> int:
        """Return the port in PostgreSQL's own `postmaster.pid`."""
        home = self.stage.state / "home.json"
        folder = Path(json.loads(home.read_text())["home"]) if home.exists() else self.stage.state / "run"
        return int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[3])

    async def worktrees(self, repository: str) -> int:
        """Return the number of worktrees that git lists in addition to the repository's own."""
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

    async def gone(self, repository: str, number: int) -> None:
        """Check that nothing is left of a preview: no process, no database, and its address returns 404."""
        demand(self._worktrees_of(repository, number), f"{repository}#{number} has never had a worktree")
        left = self.processes(repository, number)
        demand(not left, f"{repository}#{number} still has processes: {sorted(left)}")
        databases = await self.databases(repository, number)
        demand(not databases, f"{repository}#{number} still has databases: {databases}")
        status = (await self.get(repository, number)).status_code
        demand(status == 404, f"{self.link(repository, number)} still returns {status}")


def _working_folders() -> Iterator[tuple[int, Path]]:
    """Yield each process with its working directory, even if that was deleted. Zombies have none."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            yield int(folder.name), Path(str((folder / "cwd").readlink()).removesuffix(" (deleted)"))
        except OSError:
            continue


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
