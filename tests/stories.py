"""What scenario tests speak: people, CI and accidents on one side, passes of the controller on the other."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import httpx2

from greenroom.controller.ci import CiAdvice
from greenroom.controller.freshness import Freshness
from greenroom.controller.gather import Lists, Sources
from greenroom.controller.readback import Readback
from greenroom.controller.reconcile import Parts, Reconciler
from greenroom.controller.status_store import Board
from greenroom.core.comment.signed_block import Key, Signer
from greenroom.core.linking.addresses import host_of
from greenroom.core.model.catalog import Image, Limits, Platform, Process, Repository, Service
from greenroom.core.model.engine import (
    BuildFailed,
    EngineState,
    Health,
    ObservedPreview,
    PreviewSet,
    Receipt,
    Release,
    Running,
)
from greenroom.core.model.records import EMPTY, StoredPreview, records
from greenroom.core.model.seeds import SeedBuild
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.core.model.status import Status
from greenroom.core.planning import preview_sets
from greenroom.errors import Doubt, GreenroomError, NotStored, RetryLater, TooLarge
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.transport import Transport
from greenroom.registry.client import Registry
from greenroom.simulator.app import Simulator
from greenroom.simulator.registry import Images
from greenroom.simulator.world import World
from greenroom.store.history import History

BOT = "greenroom[bot]"
SLUG = "acme/shop"


def sha(of: str) -> str:
    return hashlib.sha1(of.encode(), usedforsecurity=False).hexdigest()


def _calls(spec: PreviewSpec) -> frozenset[str]:
    return frozenset(host_of(link.url) for link in spec.links.targets)


def _record(preview_set: PreviewSet, number: int) -> StoredPreview:
    return records(preview_set).get(number, EMPTY)


@dataclass
class MemoryEngine:
    """The four verbs in memory. What it holds survives the controller, as a cluster does."""

    previews: dict[Identity, ObservedPreview] = field(default_factory=dict)
    sets: dict[int, PreviewSet] = field(default_factory=dict)
    removed: list[Identity] = field(default_factory=list)
    builds: list[SeedBuild] = field(default_factory=list)
    failed_builds: dict[str, BuildFailed] = field(default_factory=dict)
    observed: int = 0  # how often
    left: tuple[str, ...] = ()
    broken: str = ""
    unable: str = ""
    too_large: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    doubts: dict[int, str] = field(default_factory=dict)
    on_serve: Callable[[], None] = lambda: None
    leads_for: int | None = None  # so many effects more; None for ever
    stuck: frozenset[int] = frozenset()
    rolling: frozenset[int] = frozenset()  # repositories whose previews keep running with their current links

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        if self.leads_for == 0:
            raise Doubt("This instance does not hold the Lease.")
        self.leads_for = self.leads_for and self.leads_for - 1
        yield

    async def observe(self) -> EngineState:
        if self.broken:
            raise Doubt(self.broken)
        self.observed += 1
        return EngineState(
            dict(self.previews),
            dict(self.sets),
            doubts=dict(self.doubts),
            unable=self.unable,
            failed_builds=dict(self.failed_builds),
            building=frozenset(b.key for b in self.builds) - self.failed_builds.keys(),
        )

    async def serve(self, preview_set: PreviewSet) -> None:
        assert not self.unable
        self.on_serve()
        before = self.sets.get(preview_set.repository_id, PreviewSet(preview_set.repository_id, ""))
        moved = {n for n, spec in preview_set.specs.items() if spec != before.specs.get(n)}
        if large := frozenset(moved & self.too_large):
            raise TooLarge("Specs are too large.", large)
        moved |= {
            n
            for n in records(preview_set).keys() | records(before).keys()
            if _record(preview_set, n) != _record(before, n)
        }
        if refused := frozenset(moved & self.refused):
            raise NotStored("A policy refuses it.", refused)
        assert preview_set.generation > self.sets.get(preview_set.repository_id, PreviewSet(0, "", -1)).generation
        self.sets[preview_set.repository_id] = preview_set
        for number, spec in preview_set.specs.items():
            identity = Identity(preview_set.repository_id, number)
            services = tuple(
                Running(v.service, f"https://{spec.names.host(v.service)}", v.sha, v.digest, True)
                for v in spec.build.versions
            )
            known = self.previews.get(identity)
            uid = known.uid if known else f"uid-{len(self.removed)}-{identity}"
            calls = known.calls if known and preview_set.repository_id in self.rolling else _calls(spec)
            manual_overrides = known.manual_overrides if known else ()
            health = Health.PREPARED if spec.prepared else Health.READY
            self.previews[identity] = ObservedPreview(
                identity, uid, spec, health, services, calls=calls, manual_overrides=manual_overrides
            )

    def roll_out(self) -> None:
        """Make every preview run with the links of its spec."""
        self.rolling = frozenset()
        self.previews = {i: replace(p, calls=_calls(p.spec)) for i, p in self.previews.items()}

    def set_by_hand(self, identity: Identity, *parameters: tuple[str, str]) -> None:
        """Change the parameters of one Application in Argo CD, as a person would."""
        self.previews[identity] = replace(self.previews[identity], manual_overrides=parameters)

    async def remove(self, identity: Identity, uid: str) -> None:
        assert identity.number not in self.sets[identity.repository_id].specs, "removed although its row is served"
        assert not self.unable
        assert self.previews[identity].uid == uid
        if identity.number in self.stuck:
            raise RetryLater(f"The preview {identity} does not go yet.", after=1.0)
        del self.previews[identity]
        self.removed.append(identity)

    async def build_seed(self, build: SeedBuild) -> None:
        self.builds.append(build)

    async def receipt(self, identity: Identity) -> Receipt:
        return Receipt(identity, ("memory",), self.left)


@dataclass
class Story:
    world: World
    images: Images
    engine: MemoryEngine
    api_url: str
    registry: str
    client: httpx2.AsyncClient
    empty: Path
    forgetful: bool = False
    history_broken: bool = False
    simulator: Simulator | None = None
    errors: list[str] = field(default_factory=list)

    def set_up(self) -> None:
        self.world.token("t0ken-of-the-bot", BOT)
        self.world.repository(SLUG)
        for person in ("ada", "grace"):
            self.world.collaborator(SLUG, person, "write")
        self.world.collaborator(SLUG, "eve", "triage")
        service = Service("web", "shop", Image(f"{self.registry}/shop/web"), (Process("web", port=8080),))
        repository = Repository("shop", SLUG, (service,))
        self.platform = Platform("test", "preview.example.com", (repository,), limits=Limits(50, 50, 50))
        self.board = Board()
        self._controller: Reconciler | None = None
        self._histories: list[History] = []

    # --- people and CI ---

    def pull_request(self, branch: str = "feature", *, by: str = "ada", image: bool = True, **more: object) -> int:
        made = self.world.open_pull_request(SLUG, head=branch, sha=sha(branch), by=by, **more)  # type: ignore[arg-type]
        if image:
            self.images.push("shop/web", made.head_sha)
        return made.number

    def labeled(self, branch: str = "feature", **more: object) -> int:
        number = self.pull_request(branch, **more)  # type: ignore[arg-type]
        self.world.label(SLUG, number, "preview", "ada")
        return number

    def run(self, name: str = "build", *, of: str = "feature", end: str = "", slug: str = SLUG, **more: str) -> int:
        """A workflow run for the head of a branch, as the API knows it: in progress, or ended with a conclusion."""
        run = self.world.run_workflow(slug, sha(of), name=name, branch="feature", **more)
        if end:
            self.world.finish_run(slug, run.id, end)
        return run.id

    def pass_time(self, **delta: float) -> None:
        self.world.advance(timedelta(**delta))

    # --- the controller ---

    def controller(self) -> Reconciler:
        if self._controller is None or self.forgetful:
            clock = Clock(self.ticks)  # a hand moves time itself, not GitHub's Date alone
            transport = Transport(self.client, Token("t0ken-of-the-bot"), self.api_url, clock)
            github = GitHub(transport, clock, "<!-- greenroom:1 test ")
            signer = Signer("127.0.0.1", "test", Key("k1", b"signing key"))
            ci = CiAdvice(github, ticks=self.ticks, patience=5)
            sources = Sources(github, Registry(self.client), signer, Freshness(self.ticks), ci, Readback(self.ticks))
            parts = Parts(self.engine, sources, Lists(github), self._history(), self.board)
            self._controller = Reconciler(parts, self.platform)
        self._controller.platform = self.platform
        return self._controller

    def _history(self) -> History:
        """The history of a controller that starts: the one that there is, or in the mode that forgets an empty one."""
        if self.forgetful or not self._histories:
            path = self.empty.with_name(f"history-{len(self._histories)}.sqlite3")
            shutil.copyfile(self.empty, path)
            self._histories.append(History(f"sqlite+aiosqlite:///{path}"))
            if self.history_broken:
                with sqlite3.connect(path) as database:
                    database.execute("DROP TABLE events")
                database.close()
        return self._histories[-1]

    async def close(self) -> None:
        for history in self._histories:
            await history.__aexit__()

    def ticks(self) -> float:
        """The monotonic clock of everything here: the hand that moves GitHub's clock moves it, too."""
        return self.world.now().timestamp()

    def restart(self) -> None:
        """The controller ends, and the next pass is another one's."""
        self._controller = None

    async def one_pass(self, repository: Repository | None = None) -> str:
        """One pass; the sentence of what went wrong, or empty. The clock ticks a second, as a pass takes time."""
        self.pass_time(seconds=1)
        controller = self.controller()
        try:
            await controller.reconcile(repository or self.platform.repositories[0])
        except GreenroomError as error:
            self.errors.append(str(error))
            return str(error)
        await controller.parts.sources.ci.settled()
        return ""

    async def passes(self, count: int = 8) -> None:
        for _ in range(count):
            await self.one_pass()

    async def release(self, *numbers: int) -> None:
        held = [self.status(n) for n in numbers]
        controller = self.controller()
        await controller.facts(self.platform.repositories[0])
        repository_id = self.world.repository(SLUG).id
        holds = [Release(s.identity, s.hold, "grace", controller.now()) for s in held if s.hold]
        await controller.amend(
            repository_id, lambda preview_set: preview_sets.released(preview_set, holds, controller.now())
        )

    # --- what is seen ---

    @property
    def living(self) -> set[int]:
        return {i.number for i in self.engine.previews}

    def status(self, number: int) -> Status:
        found = self.board.find("shop", number)
        assert found is not None
        return found

    def comments(self, number: int) -> list[str]:
        return [c.body for c in self.world.pull_request(SLUG, number).comments if c.author.login == BOT]

    def comment(self, number: int) -> str:
        [body] = self.comments(number)
        return body

    def prepares_nothing(self) -> None:
        """Turn off `prepare`: without its image, a pull request has no preview."""
        self.configure(repositories=tuple(replace(r, prepare=False) for r in self.platform.repositories))

    def configure(self, **changes: object) -> None:
        self.platform = replace(self.platform, **changes)  # type: ignore[arg-type]
