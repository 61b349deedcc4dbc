"""One world of a chaos run: lives begin in a storm, are judged in the calm, end in a second storm, are judged again."""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

from chaos import judge
from chaos.eyes import Eyes
from chaos.judge import BOT, HOST, Intent, Key, Observations, Violation
from chaos.people import Life
from chaos.scene import SECRETS, SERVICES, Scene, scene
from chaos.weather import Weather

Json = dict[str, Any]
LOOK_SECONDS = 0.4
BOUND = {"local": 200.0, "argocd": 200.0}
"""Seconds until everything must be right. A limit without a number pauses all requests for a minute, and two doubts in a row
add 10 and 60 s to that."""
QUIET_SECONDS = 6.0
QUIET_REQUESTS = 60
QUIET_WRITES = 0
COMMITS = 7
TIED_TURN = 20


@dataclass(slots=True)
class Result:
    """What one world came to. `events` is what the driver did; `journal` and `log` are for the report."""

    seed: str
    engine: str
    lives: int
    violations: list[Violation] = field(default_factory=list)
    seconds: float = 0.0
    events: list[str] = field(default_factory=list)
    journal: list[Json] = field(default_factory=list)
    answers: list[Json] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    names: dict[Key, str] = field(default_factory=dict)
    shorts: dict[int, tuple[str, str]] = field(default_factory=dict)
    starts: int = 0
    numbers: dict[str, float] = field(default_factory=dict)


class World:
    """One world being played."""

    def __init__(self, found: Scene, seed: str, lives: int, first: int, only: frozenset[str]) -> None:
        self.scene = found
        self.eyes = Eyes(found)
        self.sightings = Observations()
        self.lives: list[Life] = []
        self._expiring = False
        self.weather = Weather(found, self.lives, seed, only)
        for n in range(lives):
            service = SERVICES[n % len(SERVICES)]
            name, place = f"life-{first + n}", n // len(SERVICES) * COMMITS
            shas = found.good[service.name][place : place + COMMITS]
            bad = found.bad[service.name][place : place + 2]
            chance = random.Random(f"{seed} {name}")
            self.lives.append(Life(found, self.eyes, name, service, chance, self.lives, shas, bad))

    @property
    def intents(self) -> list[Intent]:
        return [life.intent for life in self.lives if hasattr(life, "intent")]

    # --- looking ---

    async def watch(self) -> None:
        """Look which previews there are, for as long as the world lasts."""
        while True:
            try:
                at, found = time.monotonic(), await self.eyes.uids()
                if found is not None:
                    self.sightings.add(at, found)
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(LOOK_SECONDS)

    # --- playing ---

    async def storm(self, seconds: float, *, ending: bool) -> None:
        """Lives begin and go on, or end, while everything goes wrong."""
        blowing = asyncio.create_task(self.weather.storm(seconds))
        try:
            async with asyncio.TaskGroup() as group:
                for life in self.lives:
                    group.create_task(self._ends(life, seconds) if ending else self._lives(life, seconds))
            await blowing
        finally:
            blowing.cancel()
        await self.weather.clear()

    async def _lives(self, life: Life, seconds: float) -> None:
        end = time.monotonic() + seconds
        await life.pause(seconds * 0.4)
        await life.begin()
        while time.monotonic() < end - 1:
            await life.pause(seconds / 4)
            await life.acts()

    async def _ends(self, life: Life, seconds: float) -> None:
        await life.pause(seconds / 2)
        if life.chance.random() < 0.4:
            await life.acts()
            await life.pause(seconds / 4)
        await life.finish()

    async def calm(self, bound: float) -> list[Violation]:
        """Wait until nothing is wrong; what still is when the time is up."""
        end, turn = time.monotonic() + bound, 0
        while True:
            turn += 1
            if turn % 3 == 0:
                await self._releases()
            if self._expiring and turn % 9 == 0:  # only a few expire in each hour
                await self._pass(hours=1.1)
            if turn % 10 == 0:  # GitHub goes on: somebody says something somewhere
                await asyncio.gather(*(life.do("comment", body="Nice.", by=life.who) for life in self.lives[-3:]))
            await self.weather.watched()
            found = await self._complaints()
            if not found or time.monotonic() > end:
                return found
            if turn == TIED_TURN and {f.key for f in found} & judge.tied((await self.scene.truth())["journal"]):
                await self._pass(hours=1.1)  # Greenroom waits an hour, because it cannot know what came last
            await asyncio.sleep(1.0)

    async def _releases(self) -> None:
        """A person releases what waits for one: unlabeled by many at once, under names of before, or what uses those.

        A preview under another name restarts all that use it, and more than a tenth of them wait for a person.
        """
        truth = await self.scene.truth(10**9, 10**9, 10**9)
        wanted = {(p["repo"], p["number"]) for p in truth["pulls"] if judge.asks(p)}
        named = ("config-names", "restart:") if self.weather.renamed else ("config-names",)
        await self.weather.release(lambda key, hold: key not in wanted or hold.startswith(named))

    async def _complaints(self) -> list[Violation]:
        truth = await self.scene.truth(10**9, 10**9, 10**9)
        for intent in self.intents:
            pull = next(p for p in truth["pulls"] if (p["repo"], p["number"]) == intent.key)
            for comment in pull["comments"]:
                if comment["author"] == BOT:
                    intent.hosts |= set(HOST.findall(comment["body"]))
        looks = await self.eyes.looks(self.intents)
        found = judge.complaints(truth, looks, self.intents, self.scene.room, self.scene.ended)
        return [*found, *await self._lost_data()]

    async def _lost_data(self) -> list[Violation]:
        """What was written into a database of a preview that is still the same is still there."""
        found = []
        uids = await self.eyes.uids() or {}
        for intent in self.intents:
            kept = {token for uid, token in intent.tokens if uid in uids.get(intent.key, ())}
            if kept and (lost := kept - await self.eyes.read(intent.key)):
                found.append(Violation(1, intent.key, f"{len(lost)} of {len(kept)} rows of its database are lost"))
        return found

    async def settle(self) -> None:
        await asyncio.gather(*(life.settle() for life in self.lives))

    async def time_passes(self) -> None:
        """Days go by: what nobody works on is warned of and expires, a few in each hour."""
        self._expiring = True
        for life in self.lives:
            if life.chance.random() < 0.3:
                await life.keep()
        await self._pass(days=2, hours=1)
        await asyncio.sleep(10)
        for life in self.lives:
            if life.chance.random() < 0.3:
                await life.talk()
        await self._pass(days=1, hours=1)
        for _ in range(3):
            await asyncio.sleep(9)
            await self._pass(hours=1.1)
        truth = await self.scene.truth(10**9, 10**9, 10**9)
        on = {(p["repo"], p["number"]): judge.asks(p) for p in truth["pulls"]}
        for life in self.lives:
            life.labeled = on[life.intent.key]

    async def _pass(self, days: float = 0, hours: float = 0) -> None:
        self.scene.say(f"{days} days and {hours} hours pass")
        await self.scene.do({"op": "advance", "seconds": days * 86400 + hours * 3600})

    # --- judging at the end ---

    async def quiet(self) -> tuple[list[Violation], dict[str, float]]:
        """How many requests a world makes in which nothing happens."""
        before = len((await self.scene.truth(10**9, 10**9, 0))["requests"])
        await asyncio.sleep(QUIET_SECONDS)
        asked = (await self.scene.truth(10**9, 10**9, before))["requests"]
        writes = [
            f"{method} {path}" for _, method, path, _ in asked if method != "GET" and not path.endswith("/graphql")
        ]
        found = []
        if len(asked) > QUIET_REQUESTS:
            found.append(Violation(6, None, f"{len(asked)} requests to GitHub in {QUIET_SECONDS:.0f} quiet seconds"))
        if len(writes) > QUIET_WRITES:
            found.append(Violation(6, None, f"writes to GitHub although nothing happens: {sorted(set(writes))[:5]}"))
        return found, {"quiet requests": len(asked), "quiet writes": len(writes)}

    async def trouble(self) -> list[Violation]:
        """Repositories that are still in trouble."""
        listed = (await self.scene.admin("/api/previews"))["repositories"]
        return [Violation(6, None, f"{r['name']} is still in trouble: {r['trouble']}") for r in listed if r["trouble"]]

    async def reads_on(self) -> list[Violation]:
        """Whether a change of the configuration is still taken over: a service that is added is listed."""
        await self.scene.do({"op": "repository", "slug": "acme/extra", "private": False})
        self.scene.extend()
        for _ in range(60):
            listed = (await self.scene.admin("/api/previews"))["repositories"]
            if "extra" in [r["name"] for r in listed if r["read_at"]]:
                return []
            await asyncio.sleep(0.5)
        return [Violation(6, None, "a service was added to the configuration, and 30 s later it is not known")]

    def log(self) -> list[Violation]:
        """Tracebacks in Greenroom's log, one of each kind."""
        text = self.scene.log.read_text(errors="replace")
        found = {}
        for line in text.splitlines():
            if "Traceback (most recent call last)" in line:
                error = re.findall(r'\\n(\w[\w.]*(?:Error|Exception|Full|Doubt|Failed)[^\\"]{0,160})', line)
                where = re.findall(r'File \\"[^"]*?/(greenroom/[\w/]+\.py)\\", line \d+, in (\w+)', line)
                last = where[-1] if where else ("?", "?")
                found[f"{error[-1] if error else line[:200]} in {last[0]}:{last[1]}"] = line
        return [Violation(6, None, f"a traceback: {kind}") for kind in found]


async def play(
    engine: str,
    seed: str,
    lives: int,
    *,
    first: int = 0,
    storm: float = 10.0,
    expire: bool = False,
    only: frozenset[str] = frozenset(),
    room: int = 500,
) -> Result:
    """Play one world and judge it."""
    begun = time.monotonic()
    result = Result(seed, engine, lives)
    async with scene(engine, seed, (lives // len(SERVICES) + 1) * COMMITS) as found:
        found.room = room
        found.configure()
        world = World(found, seed, lives, first, only)
        found.start()
        if not await found.runs():
            raise RuntimeError(f"greenroom does not start: {found.log.read_text()[-2000:]}")
        watching = asyncio.create_task(world.watch())
        try:
            await _played(world, result, storm, expire=expire)
        finally:
            watching.cancel()
            result.starts, result.events = found.starts, found.events
            result.shorts = {found.ids[s.name]: (s.short, f"{s.short}-too") for s in SERVICES if s.name in found.ids}
            result.names = {i.key: i.life for i in world.intents}
            result.log = found.log.read_text(errors="replace").splitlines()
    result.violations = list(dict.fromkeys(result.violations))
    result.seconds = time.monotonic() - begun
    return result


async def _played(world: World, result: Result, storm: float, *, expire: bool) -> None:
    bound = BOUND[world.scene.engine]
    await world.storm(storm, ending=False)
    await world.settle()
    world.scene.say("calm: everything that is wanted is to be there")
    calm = time.monotonic()
    result.violations += await world.calm(bound)
    result.numbers["first calm"] = round(time.monotonic() - calm, 1)
    if expire:
        await world.time_passes()
        result.violations += await world.calm(bound)
    await world.storm(storm, ending=True)
    world.scene.say("calm: everything that is over is to be gone")
    await asyncio.gather(*(life.finish() for life in world.lives))
    calm = time.monotonic()
    result.violations += await world.calm(bound)
    result.numbers["second calm"] = round(time.monotonic() - calm, 1)
    result.violations += await world.reads_on()
    quiet, numbers = await world.quiet()
    result.numbers |= numbers
    truth = await world.scene.truth()
    result.journal, result.answers = truth["journal"], truth["answers"]
    result.violations += quiet + await world.trouble() + world.log() + world.weather.violations
    result.violations += judge.removals(world.sightings, result.answers, result.journal, world.weather.released)
    files = {"the log": world.scene.log.read_text(errors="replace")}
    for path in world.scene.state.glob("history.sqlite3*"):
        files["the history"] = files.get("the history", "") + path.read_bytes().decode("latin-1")
    result.violations += judge.leaks(truth, result.journal, SECRETS.values(), files)
