"""Look at previews from outside: files, processes, databases, worktrees, the cluster's objects, and what hosts answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from chaos.judge import Intent, Key, Look
from chaos.scene import Scene

MARK = b"GREENROOM_PREVIEW="
NAMED = re.compile(r"^(\d+)-(\d+)$")


class Eyes:
    """What can be seen of the previews of a scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    # --- which previews there are ---

    async def uids(self) -> dict[Key, frozenset[str]] | None:
        """The previews that exist, by uid; None while that cannot be seen."""
        if self._scene.engine == "argocd":
            found: dict[Key, set[str]] = defaultdict(set)
            for one in await self._objects():
                found[one["repo"], one["number"]].add(f"{one['kind']} {one['uid']}")
            return {key: frozenset(uids) for key, uids in found.items()}
        return self._noted()

    def _noted(self) -> dict[Key, frozenset[str]] | None:
        found = {}
        for path in (self._scene.state / "previews").glob("*.json"):
            if not (named := NAMED.match(path.stem)):
                continue
            try:
                uid = json.loads(path.read_text())["uid"]
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError):
                return None  # corrupted by us
            if not isinstance(uid, str):
                return None  # so is this one
            found[int(named[1]), int(named[2])] = frozenset({uid})
        return found

    async def _objects(self) -> list[dict[str, Any]]:
        answer = await self._scene.client.get(f"{self._scene.cluster['control']}/look")
        found: list[dict[str, Any]] = answer.json()["objects"]
        return found

    # --- all of it ---

    async def looks(self, intents: Iterable[Intent]) -> dict[Key, Look]:
        """Everything that is to be seen of these pull requests' previews."""
        intents = list(intents)
        uids = await self.uids() or {}
        objects: dict[Key, list[str]] = defaultdict(list)
        running, databases = dict[Key, int](), dict[Key, int]()
        if self._scene.engine == "argocd":
            for one in await self._objects():
                objects[one["repo"], one["number"]].append(f"{one['kind']} {one['name']}")
                running[one["repo"], one["number"]] = one["pods"]
        else:
            running = {k: len(p) for k, p in processes(self._scene.installation).items()}
            databases = {k: len(d) for k, d in (await self.databases()).items()}
        answers = await asyncio.gather(*(self._answers(i) for i in intents))
        return {
            intent.key: Look(
                uid=next((u for u in uids.get(intent.key, ())), ""),
                processes=running.get(intent.key, 0),
                databases=databases.get(intent.key, 0),
                worktrees=self._worktrees(intent.key),
                objects=tuple(objects.get(intent.key, ())),
                answers=answer,
            )
            for intent, answer in zip(intents, answers, strict=True)
        }

    async def _answers(self, intent: Intent) -> dict[str, tuple[int, dict[str, Any]]]:
        return {host: await self.get(host) for host in sorted(intent.hosts)}

    async def get(self, host: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a host's first page; 0 when nothing answers at all."""
        scene = self._scene
        base = scene.cluster["ingress"] if scene.engine == "argocd" else f"http://127.0.0.1:{scene.ports['previews']}"
        try:
            answer = await scene.client.get(base, headers={"host": host})
        except httpx2.HTTPError:
            return 0, {}
        try:
            body = answer.json()
        except ValueError:
            body = {}
        if not isinstance(body, dict):
            return answer.status_code, {}
        if "number" in body:  # a service knows the number of its commit, and its hash is looked up here
            shas = scene.good[host.partition("-pr-")[0]] + scene.bad[host.partition("-pr-")[0]]
            body["commit"] = shas[int(body["number"])]
        return answer.status_code, body

    # --- the local engine's machine ---

    def _home(self) -> Path:
        with contextlib.suppress(OSError, ValueError, KeyError):
            return Path(json.loads((self._scene.state / "home.json").read_text())["home"])
        return self._scene.state / "run"

    def _worktrees(self, key: Key) -> int:
        folder = self._home() / "previews" / f"{key[0]}-{key[1]}" / "trees"
        return len(list(folder.glob("*"))) if self._scene.engine == "local" else 0

    async def databases(self) -> dict[Key, list[str]]:
        """Databases of previews in PostgreSQL's own catalog; none while no server runs."""
        found: dict[Key, list[str]] = defaultdict(list)
        try:
            async with await self._connection("postgres") as connection:
                names = await (await connection.execute("SELECT datname FROM pg_database")).fetchall()
        except (OSError, psycopg.Error):
            return found
        for (name,) in names:
            if made := re.match(r"gr_(\d+)_(\d+)_", name):
                found[int(made[1]), int(made[2])].append(name)
        return found

    async def _connection(self, name: str) -> psycopg.AsyncConnection[Any]:
        try:
            password = json.loads((self._scene.state / "postgres.json").read_text())["password"]
            port = int((self._home() / "postgres" / "postmaster.pid").read_text().splitlines()[3])
        except (ValueError, KeyError, IndexError):
            raise OSError("no server is noted") from None
        url = f"postgresql://postgres:{password}@127.0.0.1:{port}/{name}"
        return await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5)

    async def write(self, key: Key, token: str) -> str:
        """Write a token into a preview's database; the preview's uid, empty when there is none to write into.

        Only one whose processes run counts: until then Greenroom may make the database anew, and nobody can use it.
        """
        try:
            uid = (
                next(iter((self._noted() or {}).get(key, ())), "") if key in processes(self._scene.installation) else ""
            )
            for name in (await self.databases()).get(key, [])[:1] if uid else ():
                async with await self._connection(name) as connection:
                    await connection.execute("CREATE TABLE IF NOT EXISTS chaos (token text)")
                    await connection.execute("INSERT INTO chaos VALUES (%s)", (token,))
                return uid if uid in (self._noted() or {}).get(key, ()) else ""
        except (OSError, psycopg.Error):
            return ""
        return ""

    async def read(self, key: Key) -> set[str]:
        """The tokens in a preview's database; none while it cannot be read."""
        for name in (await self.databases()).get(key, [])[:1]:
            try:
                async with await self._connection(name) as connection:
                    found = await (await connection.execute("SELECT token FROM chaos")).fetchall()
            except (OSError, psycopg.Error):
                return set()
            return {str(spec[0]) for spec in found}
        return set()


def processes(installation: str) -> dict[Key, list[int]]:
    """Live processes of previews of one installation, by the mark in their environment."""
    found: dict[Key, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (folder / "environ").read_bytes().split(b"\0")
            mark = next((e for e in environment if e.startswith(MARK + installation.encode() + b"-")), b"")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0] if mark else "Z"
            if mark and state not in "ZX" and (made := re.search(r"/(\d+)#(\d+)$", mark.decode())):
                found[int(made[1]), int(made[2])].append(int(folder.name))
    return found


def end_everything(scene: Scene) -> None:
    """End the previews and the database server of a scene without Greenroom, and remove what they ran from."""
    for pids in processes(scene.installation).values():
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    home = Eyes(scene)._home()
    with contextlib.suppress(OSError, ValueError, IndexError):
        server = int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(server, signal.SIGQUIT)
        for _ in range(100):
            os.kill(server, 0)
            time.sleep(0.05)
    if home.is_relative_to("/var/tmp") or home.is_relative_to(scene.folder):
        shutil.rmtree(home, ignore_errors=True)
