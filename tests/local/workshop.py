"""What the tests of the local engine work with: a repository, a state folder, specs, and eyes that look from outside."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import psycopg

from builders import PARTS, changed
from greenroom.core.model.catalog import Image, Need, Process, Service
from greenroom.core.model.engine import Health, Ledger, ObservedPreview, PreviewSet
from greenroom.core.model.spec import Build, Config, Identity, Names, Origin, PreviewSpec, Times, Version
from greenroom.local import account, processes
from greenroom.local.account import Account
from greenroom.local.engine import LocalEngine
from greenroom.local.names import mark_of
from greenroom.local.postgres_server import Server
from greenroom.local.postmaster import Postmaster
from greenroom.local.settings import LocalSettings
from greenroom.local.state import PreviewRecord, State

NOW = datetime(2026, 3, 2, tzinfo=UTC)
SERVER = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
{extra}
class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({{"release": "{release}", "environment": dict(os.environ)}}).encode()
        self.send_response({status}); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(201); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answers).serve_forever()
"""
SEED = "CREATE TABLE things (name text);\nCOPY things FROM stdin;\none\ntwo\n\\.\n"
IDENTITY = Identity(7, 1)


def git(repository: Path, *arguments: str) -> str:
    named = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *named, "-C", str(repository), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


class Workshop:
    """A repository, a state folder and specs for one preview."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "repository"
        self.repository.mkdir()
        git(self.repository, "init", "--quiet", "--initial-branch", "main")
        self.settings = LocalSettings(folder / "state", {"acme/shop": self.repository}, "test", probe_seconds=10)

    def commit(self, release: str, *, extra: str = "", status: int | str = 200, **files: str) -> str:
        (self.repository / "server.py").write_text(SERVER.format(release=release, extra=extra, status=status))
        for name, content in files.items():
            (self.repository / name.replace("__", ".")).write_text(content)
        git(self.repository, "add", "--all")
        git(self.repository, "commit", "--quiet", "--allow-empty", "--message", release)
        return git(self.repository, "rev-parse", "HEAD")

    def spec(self, sha: str, **changes: object) -> PreviewSpec:
        service = Service(
            "web", "shop", Image("r.example.com/web"), (Process("web", command=("python", "server.py"), port=80),)
        )
        base = PreviewSpec(
            id=IDENTITY,
            names=Names("preview-shop-1", "preview-shop-1", "preview", {"web": "web-pr-1.preview.localhost"}, "shop"),
            build=Build(sha, (Version("web", sha, f"r.example.com/web:{sha}", f"sha256:{sha}"),)),
            config=Config((service,)),
            pull_request=Origin("acme/shop", "ada"),
            times=Times(NOW, NOW),
        )
        of_spec = {*PARTS, *(name for names in PARTS.values() for name in names)}
        given = {k: v for k, v in changes.items() if k in of_spec}
        of_service = {k: v for k, v in changes.items() if k not in given}
        return changed(base, services=(replace(service, **of_service),), **given)  # type: ignore[arg-type]

    def pids(self) -> list[int]:
        """Live processes of the preview."""
        return sorted(processes.marked(mark_of("test", self.settings.state, IDENTITY)))

    @property
    def run_as(self) -> Account:
        """The account that previews run as."""
        return account.account(self.settings.state)

    def record(self) -> PreviewRecord:
        """The state file of the preview."""
        return State(self.settings.state).previews()[IDENTITY]

    def postmaster(self) -> Postmaster:
        """Another view of the PostgreSQL of the state folder."""
        return Postmaster(self.settings.state, self.run_as)

    def server(self) -> Server:
        """The PostgreSQL server that runs."""
        found = self.postmaster().found()
        assert found is not None
        return found

    @staticmethod
    def preview_set(spec: PreviewSpec | None, generation: int) -> PreviewSet:
        return PreviewSet(7, "shop", generation, {1: spec} if spec else {}, Ledger())


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.02)


async def seen(engine: LocalEngine) -> ObservedPreview:
    return (await engine.observe()).previews[IDENTITY]


async def wait(engine: LocalEngine, health: Health, sha: str = "", seconds: float = 20) -> ObservedPreview:
    async def there() -> bool:
        found = await seen(engine)
        return found.health is health and (not sha or any(s.sha == sha for s in found.services))

    await until(there, seconds)
    return await seen(engine)


async def get(engine: LocalEngine, host: str = "web-pr-1.preview.localhost") -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{engine.proxy_port}/", headers={"host": host})


def quiet(repository_id: int) -> None:
    assert repository_id == 7


NEED = (Need("db", "postgresql", "16", (("url", "DATABASE_URL"),), seed="seed.sql"),)


async def names(connection: psycopg.AsyncConnection) -> list[str]:
    return [r[0] for r in await (await connection.execute("SELECT name FROM things ORDER BY 1")).fetchall()]


@contextlib.contextmanager
def taken(port: int) -> Iterator[None]:
    """Somebody else listens there; nothing else of this program runs until they do."""
    deadline = time.monotonic() + 5
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while True:
            try:
                squatter.bind(("127.0.0.1", port))
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        squatter.listen()
        yield
