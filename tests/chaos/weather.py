"""Everything that goes wrong around Greenroom: GitHub, its process, its disk, its files, and names that change.

Three tracks blow at once, each drawn from the seed. `clear` ends every fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2

from chaos.judge import LABEL, Violation
from chaos.people import Life
from chaos.scene import SERVICES, Scene

SKY = {
    "502": (0.1, 1.0),
    "page": (0.1, 0.6),
    "cut": (0.05, 0.4),
    "hang": (0.02, 0.15),
    "limit": (0.05, 0.4),
    "truncated": (0.1, 0.6),
    "empty-list": (0.1, 0.6),
    "graphql-errors": (0.1, 0.6),
    "wrong-date": (0.05, 0.3),
    "dropped-write": (0.1, 0.6),
    "server-error": (0.05, 0.6),
    "lost-patch": (0.1, 0.6),
    "shape": (0.05, 0.5),
    "lag": (0.3, 0.9),
    "behind": (1.5, 6.0),
    "webhook-lost": (0.1, 0.9),
    "webhook-duplicated": (0.1, 0.5),
    "webhook-late": (0.1, 0.5),
    "webhook-reordered": (0.1, 0.5),
}
WRONG_YAML = ("public: !!bool maybe", "resync: [", "nonsense: 1", "resync: 2 fortnights", "\ttab: 1", "limits: &a [*a]")
GARBAGE = (b"", b"{", b"null", b"[]", b"\x00" * 64, b'{"uid": 1}')


class Weather:
    """The faults of one world. `lives` are those whose pull requests there are; violations are noted here too.

    `only` names the faults that may happen, all when it is empty: for the smallest world that still shows a violation.
    """

    def __init__(self, scene: Scene, lives: list[Life], seed: str, only: frozenset[str] = frozenset()) -> None:
        self._scene = scene
        self._lives = lives
        self._only = only
        self._chance = {t: random.Random(f"{seed} {t}") for t in ("sky", "machine", "names")}
        self.down = False
        self.released: list[tuple[float, tuple[int, int]]] = []
        self.renamed = False  # whether any preview was to take another name
        self.violations: list[Violation] = []

    async def storm(self, seconds: float) -> None:
        """Let all of it happen for that long."""
        end = time.monotonic() + seconds
        await asyncio.gather(
            self._track(self._sky, end), self._track(self._machine, end), self._track(self._names, end)
        )

    async def clear(self) -> None:
        """End every fault; everything that a person must mend is mended."""
        scene = self._scene
        await scene.weather()
        self._filler.unlink(missing_ok=True)
        scene.send(signal.SIGCONT)
        scene.label = LABEL
        scene.configure()
        await self.watched()

    async def watched(self) -> None:
        """Start Greenroom if it does not run; if it ended by itself, that is a violation."""
        scene = self._scene
        if scene.process and scene.process.poll() is None and not self.down:
            return
        if not self.down and scene.process:
            last = scene.log.read_text(errors="replace").strip().splitlines()[-1:]
            text = f"`greenroom serve` ended by itself with {scene.process.returncode}: {' '.join(last)[-400:]}"
            self.violations.append(Violation(6, None, text))
            scene.say(text)
        for _ in range(5):
            scene.start()
            if await scene.runs():
                self.down = False
                return
            await scene.end()
        raise RuntimeError(f"greenroom does not start: {scene.log.read_text(errors='replace')[-1500:]}")

    async def _track(self, step: Callable[[], Awaitable[None]], end: float) -> None:
        while time.monotonic() < end:
            await step()

    def _may(self, fault: str) -> bool:
        return not self._only or fault in self._only

    # --- GitHub ---

    async def _sky(self) -> None:
        chance = self._chance["sky"]
        weather: dict[str, object] = {"stormy": 0}
        names = sorted(filter(self._may, SKY))
        for name in chance.sample(names, min(len(names), chance.choice((0, 1, 1, 2, 3, 5)))):
            weather[name] = round(chance.uniform(*SKY[name]), 2)
        numbers = [life.intent.number for life in self._lives if hasattr(life, "intent")]
        if numbers and chance.random() < 0.2 and self._may("hidden"):
            weather["hidden"] = chance.sample(numbers, 1)
        if numbers and chance.random() < 0.2 and self._may("locked"):
            weather["locked"] = chance.sample(numbers, 1)
        self._scene.say(f"GitHub: {weather}")
        await self._scene.weather(**weather)
        await asyncio.sleep(chance.uniform(0.5, 3.0))

    # --- its process, disk and files ---

    async def _machine(self) -> None:
        chance = self._chance["machine"]
        await asyncio.sleep(chance.uniform(0.5, 3.0))
        await self.watched()
        steps: list[Callable[[random.Random], Awaitable[None]]] = [self._kill, self._kill, self._stop, self._wrong_yaml]
        steps += [self._term]
        if self._scene.engine == "local":
            steps += [self._corrupt]
            steps += [self._full, self._full] if self._scene.state.is_mount() else []
        else:
            steps += [self._cluster, self._cluster]
        if steps := [s for s in steps if self._may(s.__name__.strip("_"))]:
            step = chance.choice(steps)
            self._scene.say(f"the machine: {step.__name__.strip('_')}")
            await step(chance)

    async def _kill(self, chance: random.Random) -> None:
        self.down = True
        await self._scene.end(signal.SIGKILL)
        await asyncio.sleep(chance.uniform(0, 1.5))
        await self.watched()

    async def _term(self, chance: random.Random) -> None:
        self.down = True
        code = await self._scene.end(signal.SIGTERM)
        if code not in (0, -signal.SIGTERM):  # before its handlers are there, the signal alone ends it
            self.violations.append(Violation(6, None, f"SIGTERM ended it with {code}"))
        await self.watched()

    async def _stop(self, chance: random.Random) -> None:
        self._scene.send(signal.SIGSTOP)
        await asyncio.sleep(chance.uniform(0.3, 3.0))
        self._scene.send(signal.SIGCONT)

    async def _wrong_yaml(self, chance: random.Random) -> None:
        path = self._scene.platform / "greenroom.yaml"
        path.write_text(chance.choice(WRONG_YAML) + "\n")
        await asyncio.sleep(chance.uniform(1.0, 3.0))
        self._scene.configure()

    @property
    def _filler(self) -> Path:
        return self._scene.state / "filler"

    async def _full(self, chance: random.Random) -> None:
        """Fill the disk but for some KiB; sometimes it is killed and started meanwhile."""
        spare = chance.choice((0, 0, 4096, 8192, 24576))
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while file.write(bytes(65536)) == 65536:
                pass
        with contextlib.suppress(OSError):
            os.truncate(self._filler, max(0, self._filler.stat().st_size - spare))
        await asyncio.sleep(chance.uniform(0.3, 2.5))
        if chance.random() < 0.2:
            self.down = True
            await self._scene.end()
            self._scene.start()
            await self._scene.runs(3)
            await self._scene.end()
        self._filler.unlink(missing_ok=True)
        await self.watched()

    async def _corrupt(self, chance: random.Random) -> None:
        """Kill it and corrupt one of its files; it starts, or says in one sentence why not. A person restores the file."""
        self.down = True
        await self._scene.end()
        state = self._scene.state
        files = [*state.glob("previews/*.json"), *state.glob("rows/*.json"), *state.glob("history.sqlite3")]
        if not files:
            await self.watched()
            return
        path = chance.choice(sorted(files))
        whole = path.read_bytes()
        beside = {each: each.read_bytes() for each in path.parent.glob(f"{path.name}-*")}  # SQLite's newest changes
        path.write_bytes(chance.choice((*GARBAGE, whole[: len(whole) // 2])))
        self._scene.start()
        await self._scene.runs(6)
        await self._scene.end()
        path.write_bytes(whole)
        for each, content in beside.items():
            each.write_bytes(content)
        await self.watched()

    async def _cluster(self, chance: random.Random) -> None:
        """The API server or Argo CD is in trouble for a while."""
        scene = self._scene
        names = {
            "errors": 0.5,
            "cuts": 0.3,
            "conflicts": 0.4,
            "argo-away": 1,
            "slow": 0.3,
            "forgets": 1,
            "lost-answers": 0.3,
        }
        trouble = {name: names[name] for name in chance.sample(sorted(names), chance.choice((1, 1, 2)))}
        scene.say(f"the cluster: {trouble}")
        await scene.client.post(f"{scene.cluster['control']}/trouble", json=trouble)
        await asyncio.sleep(chance.uniform(0.5, 4.0))
        await scene.client.post(f"{scene.cluster['control']}/trouble", json={})

    # --- names ---

    async def _names(self) -> None:
        chance = self._chance["names"]
        await asyncio.sleep(chance.uniform(1.0, 5.0))
        steps = [self._rename_repository, self._rename_short, self._other_label, self._rename_label]
        steps += [self._delete_label, self._private, self._other_domain]
        if steps := [s for s in steps if self._may(s.__name__.strip("_"))]:
            step, service = chance.choice(steps), chance.choice(SERVICES).name
            self._scene.say(f"names: {step.__name__.strip('_')} {service}")
            await step(service, chance)

    async def _rename_repository(self, service: str, chance: random.Random) -> None:
        scene, old = self._scene, self._scene.slugs[service]
        new = old.removesuffix("-renamed") if old.endswith("-renamed") else f"{old}-renamed"
        await scene.do({"op": "rename_repository", "old": old, "new": new})
        scene.slugs[service] = new
        await asyncio.sleep(chance.uniform(0.2, 3.0))
        scene.configure()

    async def _rename_short(self, service: str, chance: random.Random) -> None:
        """Another short name renames every preview; a person releases that, or takes it back."""
        self.renamed = True
        scene, old = self._scene, self._scene.shorts[service]
        scene.shorts[service] = old.removesuffix("-too") if old.endswith("-too") else f"{old}-too"
        scene.configure()
        await asyncio.sleep(chance.uniform(1.5, 4.0))
        if chance.random() < 0.5:
            scene.shorts[service] = old
            scene.configure()
        else:
            await self.release(lambda key, hold: hold.startswith("config-names"))

    async def _other_domain(self, service: str, chance: random.Random) -> None:
        """Another domain gives every preview another address, once a person releases that."""
        self.renamed = True
        scene, old = self._scene, self._scene.domain
        scene.domain = "review.localhost" if old == "preview.localhost" else "preview.localhost"
        scene.configure()
        await asyncio.sleep(chance.uniform(1.5, 4.0))
        if chance.random() < 0.5:
            scene.domain = old
            scene.configure()
        else:
            await self.release(lambda key, hold: hold.startswith("config-names"))

    async def _other_label(self, service: str, chance: random.Random) -> None:
        self._scene.label = "review-app"
        self._scene.configure()
        self._scene.label = LABEL  # people go on to use the old one
        await asyncio.sleep(chance.uniform(1.0, 3.0))
        self._scene.configure()

    async def _rename_label(self, service: str, chance: random.Random) -> None:
        order = {"op": "rename_label", "slug": self._scene.slugs[service]}
        with contextlib.suppress(httpx2.HTTPError):
            await self._scene.do({**order, "old": LABEL, "new": "preview-old"})
            await asyncio.sleep(chance.uniform(0.5, 3.0))
            await self._scene.do({**order, "slug": self._scene.slugs[service], "old": "preview-old", "new": LABEL})

    async def _delete_label(self, service: str, chance: random.Random) -> None:
        """An admin deletes the label in the repository; people put it on again one by one."""
        mine = [life for life in self._lives if life.service.name == service and life.labeled]
        with contextlib.suppress(httpx2.HTTPError):
            await self._scene.do({"op": "delete_label", "slug": self._scene.slugs[service], "label": LABEL})
        for life in mine:
            life.labeled = False
        await asyncio.sleep(chance.uniform(0.5, 3.0))
        for life in mine:
            if not life.labeled:
                await life.label()

    async def _private(self, service: str, chance: random.Random) -> None:
        slug, private = self._scene.slugs[service], chance.random() < 0.5
        await self._scene.do({"op": "private", "slug": slug, "private": private or service == "vault"})

    async def release(self, which: Callable[[tuple[int, int], str], bool]) -> None:
        """Release, as a person does, the holds that are meant."""
        scene = self._scene
        keys = {
            (name, life.intent.number): life.intent.key
            for life in self._lives
            if hasattr(life, "intent")
            for name in (life.service.short, f"{life.service.short}-too")
        }
        try:
            found = (await scene.admin("/api/previews")).get("previews", [])
            held = {p["name"]: p["hold"] for p in found if p.get("hold")}
            meant = {
                n: h
                for n, h in held.items()
                if (k := keys.get((n.partition("#")[0], int(n.partition("#")[2])))) and which(k, h)
            }
            if meant:
                at = time.monotonic()
                body = {"previews": sorted(meant), "holds": meant, "by": "grace"}
                answer = await scene.admin("/api/release", body)
                scene.say(f"released {sorted(meant)}: {str(answer)[:300]}")
                removed = [n for n, h in meant.items() if not h.startswith("restart:")]  # a restart removes nothing
                self.released += [(at, keys[n.partition("#")[0], int(n.partition("#")[2])]) for n in removed]
        except (httpx2.HTTPError, ValueError, KeyError) as error:
            scene.say(f"a release did not come through: {type(error).__name__}")
