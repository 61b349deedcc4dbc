"""The one place that builds real parts from configuration, and runs them until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog
from starlette.types import ASGIApp

from greenroom import config, logs, outgoing
from greenroom.argocd.engine import ArgoEngine, ArgoSettings
from greenroom.argocd.sets import Frame
from greenroom.background import supervised
from greenroom.config import Configuration, SecretSource, Settings
from greenroom.controller.board import Board, RepositoryHealth
from greenroom.controller.control import Control
from greenroom.controller.freshness import Freshness
from greenroom.controller.gather import Lists, Sources
from greenroom.controller.loop import DISTANCE, Loop, spaced
from greenroom.controller.reconcile import Parts, Reconciler
from greenroom.core.catalogue import Platform, Repository
from greenroom.core.comment import Key, Signer
from greenroom.core.model import Identity
from greenroom.errors import Doubt, Failed, FixConfiguration, GreenroomError, Mistake
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.transport import Transport
from greenroom.local.engine import LocalEngine, LocalSettings
from greenroom.local.proxy import BY_PATH
from greenroom.registry.client import Credentials, Registry
from greenroom.serving import running
from greenroom.store.history import History
from greenroom.store.migrate import migrate as migrate_history
from greenroom.store.rows import Deployment
from greenroom.web.admin import admin
from greenroom.web.metrics import Metrics, metrics
from greenroom.web.plugin import plugin
from greenroom.web.webhook import DeploymentSeen, Hint, webhook

log = structlog.get_logger(__name__)

RELOAD_SECONDS = 1.0
UNREAD_SECONDS = 0.5
GITHUB_SECONDS = 20.0
STOP_SECONDS = 4.0
AnyEngine = LocalEngine | ArgoEngine


async def migrate(folder: Path) -> str:
    """Bring the history of the configuration in a folder to this version; one line that says from where to where."""
    return await migrate_history(config.load(folder).settings.history)


def render(folder: Path, *, namespace_names: bool = True) -> str:
    """The objects of the mode without a controller, as YAML documents (JSON is YAML). Raises `FixConfiguration`."""
    from greenroom.argocd.render import rendered

    loaded = config.load(folder)
    if not loaded.settings.argocd.chart:  # with `engine: local` it may be left out
        raise FixConfiguration("Argo CD needs the preview chart.", (config.NO_CHART,))
    objects = rendered(_frame(loaded), loaded.platform, loaded.settings.github.api_url, namespace_names=namespace_names)
    return "".join(f"---\n{json.dumps(o, indent=2)}\n" for o in objects)


async def serve(folder: Path) -> int:
    """Run until SIGTERM, Ctrl-C or the end of its terminal; returns the exit code.

    Raises `GreenroomError` for what is wrong at the start.
    """
    logs.configure()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            loop.add_signal_handler(number, stop.set)
    async with Instance.open(folder) as instance:
        log.info("greenroom runs", **instance.addresses)
        told = asyncio.create_task(stop.wait())
        ends: list[asyncio.Future[Any]] = [told, instance.lost]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if instance.lost.done():
            log.error("greenroom stops", why=instance.lost.result())
            return 1
        log.info("greenroom stops: the pass that runs ends first")
    return 0


class Instance:
    """A running Greenroom: loop, engine, and everything that listens. `addresses` are base URLs by name."""

    def __init__(
        self, folder: Path, loaded: Configuration, reconciler: Reconciler, metrics: Metrics, engine: AnyEngine
    ) -> None:
        self.addresses: dict[str, str] = {}
        self._folder = folder
        self._digest = loaded.digest
        self._settings = loaded.settings
        self._reconciler = reconciler
        self._board = reconciler.parts.board
        self._metrics = metrics
        self._slugs: dict[int, str] = {}
        self._left: dict[str, Repository] = {}
        self._leads = False
        self._advised: tuple[Mistake, ...] = ()
        self.lost = engine.lost
        self._engine = engine
        resync = loaded.settings.resync.total_seconds()
        self.loop = Loop(self._pass, self._trouble, resync=resync, distance=self._distance)

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator[Instance]:
        """Build everything, check what can be checked at the start, run; stop in order at the end."""
        loaded = config.load(folder)
        settings = loaded.settings
        secrets = _Secrets(settings)
        made: list[Instance] = []

        def wake(repository_id: int) -> None:
            for instance in made:
                instance.wake_id(repository_id)

        engine = _engine(loaded, wake)
        async with AsyncExitStack() as stack:
            if isinstance(engine, ArgoEngine):  # it says what is wrong with its settings before a folder is made
                await stack.enter_async_context(engine)
            await _make_history(settings)
            history = await stack.enter_async_context(History(settings.history))
            client = await stack.enter_async_context(outgoing.client(GITHUB_SECONDS))
            board = Board()
            sources = _sources(loaded, secrets, client)
            if isinstance(engine, LocalEngine):  # it starts processes, so everything else is right by now
                await stack.enter_async_context(engine)
            parts = Parts(engine, sources, Lists(sources.github), history, board)
            reconciler = Reconciler(parts, _with_port(loaded.platform, engine.proxy_port))
            github = sources.github
            counted = Metrics(board, lambda: github.counts, lambda: github.budget, github.content.spent)
            instance = cls(folder, loaded, reconciler, counted, engine)
            made.append(instance)
            instance._advise(loaded)
            reconciler.related = instance.loop.wake
            await instance._listen(stack, secrets, history)
            await instance._check_token()
            beside = [
                asyncio.create_task(instance._lead()),
                asyncio.create_task(supervised("reload of the configuration", instance._reload)),
            ]
            try:
                yield instance
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
                asyncio.get_running_loop().call_later(STOP_SECONDS, client.give_up)
                await instance.loop.stop()

    async def _lead(self) -> None:
        """Become the one writer, which may take until another instance ends; only then look at repositories."""
        try:
            await self._engine.lead()
            self._leads = True
            await self._keep()  # without it no repository is looked at, and nobody would be told
        except Exception as error:
            log.exception("this instance cannot lead")
            if not self.lost.done():
                self.lost.set_result(f"It cannot lead: {error or type(error).__name__}.")

    async def _keep(self) -> None:
        """Loop over every repository of the catalogue, and over those that left it while previews of them exist."""
        try:
            self._left = {r.name: r for r in await self._reconciler.left()}
        except GreenroomError as error:
            log.warning("repositories that left the catalogue are looked for after the next pass", why=str(error))
        self.loop.keep(self._names)
        self._board.keep(self._names)

    @property
    def _names(self) -> set[str]:
        return {r.name for r in self._reconciler.platform.repositories} | self._left.keys()

    # --- the loop's ends ---

    async def _pass(self, name: str) -> float | None:
        repository = self._reconciler.platform.repository(name)
        if repository is None and self._unread():
            return UNREAD_SECONDS  # what seems to have left may be one of those, under another name
        if repository is None:
            await self._keep()
            repository = self._left.get(name)
        if repository is None:
            return None
        with self._metrics.timed() as timed:
            again = await self._reconciler.reconcile(repository)
            timed("ok")
        identities = [i for i, s in self._board.statuses.items() if s.repository == name]
        self._slugs |= {i.repository_id: name for i in identities}
        await self._keep()  # the last preview of one that left may be gone, and one under another name is found again
        return again

    def _distance(self) -> float:
        """Return the seconds between two passes of a repository, from GitHub's remaining budget if it is known."""
        budget = self._reconciler.parts.sources.github.budget
        return spaced(budget.remaining, budget.limit) if budget else DISTANCE

    def _unread(self) -> bool:
        """Whether some repository of the catalogue was not looked at yet, with or without success."""
        return any(r.name not in self._board.repositories for r in self._reconciler.platform.repositories)

    def _trouble(self, name: str, sentence: str) -> None:
        log.warning("a pass ended in doubt; nothing was removed", repository=name, why=sentence)
        if name not in self._names:
            return  # it left the catalogue while it was looked at
        known = self._board.repositories.get(name)
        repository = self._reconciler.platform.repository(name)
        slug = repository.slug if repository else ""
        since = (known.trouble_since if known and known.trouble else None) or self._board.now
        read_at = known.read_at if known else None
        self._board.repositories[name] = RepositoryHealth(name, slug, read_at, logs.scrub(sentence), since)
        self._board.version += 1

    def wake_id(self, repository_id: int) -> None:
        """Look again at the repository with that id; at all, while it is not known which that is."""
        name = self._slugs.get(repository_id)
        if name is None:
            self.loop.wake_all()
        else:
            self.loop.wake(name)

    def _hint(self, hint: Hint) -> None:
        if hint.number is not None and hint.updated_at is not None:
            identity = Identity(hint.repository_id, hint.number)
            self._reconciler.parts.sources.freshness.hinted(identity, hint.updated_at)
        named = [r.name for r in self._reconciler.platform.repositories if r.slug.lower() == hint.slug.lower()]
        if named:
            self._slugs[hint.repository_id] = named[0]
            self.loop.hint(named[0])
        elif hint.repository_id in self._slugs:
            self.loop.hint(self._slugs[hint.repository_id])

    # --- listening ---

    async def _listen(self, stack: AsyncExitStack, secrets: _Secrets, history: History) -> None:
        from greenroom.web.dashboard import dashboard

        seen: asyncio.Queue[Deployment] = asyncio.Queue()
        noting = asyncio.create_task(supervised("history of deployments", lambda: _note_deployments(seen, history)))
        stack.push_async_callback(_ended, noting)
        control = Control(self._reconciler, self.loop)
        title = self._reconciler.platform.installation
        sweep = self._engine.sweep if isinstance(self._engine, ArgoEngine) else None
        listen = self._settings.listen
        hooks = webhook(
            secrets.webhooks, self._hint, lambda d: seen.put_nowait(_deployment(d)), self._metrics.delivered
        )
        applications: dict[str, tuple[str, ASGIApp]] = {
            "webhook": (listen.webhook, hooks),
            "dashboard": (
                listen.dashboard,
                dashboard(self._board, history, title, control, lambda: self._reconciler.platform.label),
            ),
            "admin": (listen.admin, admin(self._board, history, control, sweep)),
            "metrics": (listen.metrics, metrics(self._metrics, self._ready)),
        }
        if isinstance(self._engine, ArgoEngine):
            engine = self._engine
            answers = plugin(secrets.plugin, lambda name: engine.answer(name, self._reconciler.platform))
            applications["plugin"] = (listen.plugin, answers)
        for name, (address, application) in applications.items():
            self.addresses[name] = await _bound(stack, name, address, application)
        if self._reconciler.platform.port:
            self.addresses["previews"] = f"http://127.0.0.1:{self._reconciler.platform.port}"

    def _ready(self) -> bool:
        if isinstance(self._engine, ArgoEngine):
            return self._engine.answers  # Argo CD asks through the Service while GitHub may be away
        names = {r.name for r in self._reconciler.platform.repositories}
        return self._leads and all(
            (h := self._board.repositories.get(n)) is not None and h.read_at is not None for n in names
        )

    async def _check_token(self) -> None:
        """A token that GitHub refuses is known at the start; a GitHub that is away is not a reason not to start."""
        with contextlib.suppress(Doubt, TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._reconciler.parts.sources.github.me()

    # --- configuration ---

    async def _reload(self) -> None:
        """Take a changed configuration over when it is right; say what is wrong and keep the old one when it is not."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            found = await asyncio.to_thread(config.digest, self._folder)
            if found == self._digest:
                continue
            try:
                loaded = await asyncio.to_thread(config.load, self._folder)
            except FixConfiguration as error:
                log.error("the changed configuration is wrong; the old one stays", mistakes=config.report(error))
                self._digest = found
                continue
            await self._take(loaded)
            self._digest = found  # last, so that an unexpected failure is tried again

    def _advise(self, loaded: Configuration) -> None:
        """Say what is allowed and probably not meant: once, and again only when it is another thing."""
        for warning in loaded.warnings:
            if warning not in self._advised:
                log.warning("the configuration is allowed and probably not meant", what=str(warning))
        self._advised = loaded.warnings

    async def _take(self, loaded: Configuration) -> None:
        self._advise(loaded)
        if replace(loaded.settings, resync=self._settings.resync) != self._settings:
            log.warning("addresses, credentials, engine and folders change with the next start only")
        before = self._reconciler.platform
        for sentence in _refused(before, loaded.platform):
            log.warning(sentence)
        kept = replace(loaded.platform, installation=before.installation, prefix=before.prefix)
        self._reconciler.platform = _with_port(kept, before.port)
        self.loop.resync = loaded.settings.resync.total_seconds()
        if self._leads:
            await self._keep()
            self.loop.wake_all()
        log.info("the configuration was read again", repositories=len(loaded.platform.repositories))


def _refused(before: Platform, changed: Platform) -> Iterator[str]:
    """What of a changed configuration is not taken over while this runs: every object carries it."""
    for field, was, wanted in (
        ("installation", before.installation, changed.installation),
        ("namePrefix", before.prefix, changed.prefix),
    ):
        if was != wanted:
            yield f"`{field}: {wanted}` needs a restart: everything was made with {was}, which stays until then"


async def _make_history(settings: Settings) -> None:
    """The state folder and the history at this version; a folder that stays empty does not stay."""
    try:
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        if settings.engine == "local" and not os.access(settings.state, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        what = f"{settings.state} cannot be used ({error.strerror})."
        mistake = Mistake("greenroom.yaml", "state", what, "Name a folder that Greenroom may make and write to.")
        raise FixConfiguration(what, (mistake,)) from None
    try:
        await migrate_history(settings.history)
    except GreenroomError:
        with contextlib.suppress(OSError):
            settings.state.rmdir()
        raise


def _with_port(platform: Platform, port: int | None) -> Platform:
    """The platform with the port that the local engine's proxy really has."""
    if port is None:
        return replace(platform, port=None)
    return replace(platform, port=port, inside=f"http://127.0.0.1:{port}{BY_PATH}{{host}}")


class _Secrets:
    """Every secret, read once at the start; each is hidden from all logs from then on.

    Raises `FixConfiguration` with a sentence for each that is missing.
    """

    def __init__(self, settings: Settings) -> None:
        self._missing: list[Mistake] = []
        github, known = settings.github, settings.registry.credentials or {}
        self.token = self._read(github.token)
        self.webhooks = [self._read(s) for s in github.webhook_secrets]
        self.signing = self._read(github.signing_key)
        self.older = [self._read(s) for s in github.older_keys]
        self.plugin = self._read(settings.argocd.token) if settings.engine == "argocd" else ""
        self.registry = {host: Credentials(c.user, self._read(c.password)) for host, c in known.items()}
        if settings.database_source:
            self._read(settings.database_source)
        if self._missing:
            raise FixConfiguration("Not every secret is there.", tuple(dict.fromkeys(self._missing)))

    def _read(self, source: SecretSource) -> str:
        try:
            value = source.read().reveal()
        except FixConfiguration as error:
            self._missing += error.mistakes
            return ""
        logs.hide(value)
        return value


def _key(secret: str) -> Key:
    """A key whose public id tells nothing of it but which one it is."""
    return Key(hashlib.sha256(b"greenroom key id " + secret.encode()).hexdigest()[:8], secret.encode())


def _sources(loaded: Configuration, secrets: _Secrets, client: httpx2.AsyncClient) -> Sources:
    github, registry = loaded.settings.github, loaded.settings.registry
    installation = loaded.platform.installation
    host = urlsplit(github.api_url).netloc
    signer = Signer(host, installation, _key(secrets.signing), tuple(_key(s) for s in secrets.older))
    clock = Clock()
    prefix = f"<!-- greenroom:1 {installation} "
    return Sources(
        github=GitHub(Transport(client, Token(secrets.token), github.api_url, clock), clock, prefix),
        registry=Registry(client, secrets.registry, registry.insecure, registry.realms),
        signer=signer,
        freshness=Freshness(),
    )


def _engine(loaded: Configuration, wake: Callable[[int], None]) -> AnyEngine:
    settings = loaded.settings
    if settings.engine == "argocd":
        return _argocd(loaded, wake)
    local = LocalSettings(
        state=settings.state,
        checkouts=settings.local.checkouts,
        installation=loaded.platform.installation,
        proxy_port=settings.local.proxy_port,
        probe_seconds=settings.local.probe_timeout.total_seconds(),
    )
    return LocalEngine(local, wake)


def _frame(loaded: Configuration) -> Frame:
    platform, argocd = loaded.platform, loaded.settings.argocd
    return Frame(
        installation=platform.installation,
        prefix=platform.prefix,
        namespace=argocd.namespace,
        project=argocd.project,
        destination=argocd.destination,
        chart=argocd.chart,
        plugin=argocd.plugin,
    )


def _argocd(loaded: Configuration, wake: Callable[[int], None]) -> ArgoEngine:
    platform, argocd = loaded.platform, loaded.settings.argocd
    settings = ArgoSettings(
        frame=_frame(loaded),
        chart_version=platform.cluster.chart_version,
        scheme=platform.scheme,
        probe=argocd.probe,
        kubeconfig=argocd.kubeconfig,
        previews_kubeconfig=argocd.previews_kubeconfig,
        holder=os.environ.get("POD_NAME", "") or f"{socket.gethostname()}-{os.getpid()}",
        logs=True,
        delete_orphans=argocd.sweep == "delete",
    )
    return ArgoEngine(settings, wake)


async def _bound(stack: AsyncExitStack, name: str, address: str, application: ASGIApp) -> str:
    host, _, port = address.rpartition(":")
    try:
        return await stack.enter_async_context(running(application, int(port), host.strip("[]")))
    except OSError as error:
        why = os.strerror(error.errno) if not isinstance(error, socket.gaierror) and error.errno else error.strerror
        sentence = f"{address} for the {name} cannot be used ({why}). Set `listen.{name}` in greenroom.yaml."
        raise Failed(sentence) from None


def _deployment(seen: DeploymentSeen) -> Deployment:
    return Deployment(
        key=seen.key,
        at=seen.at,
        repository_id=seen.hint.repository_id,
        repository=seen.hint.slug,
        number=None,
        environment=seen.environment,
        sha=seen.sha,
        digest="",
        state=seen.state,
        url=seen.url,
        source="github",
    )


async def _note_deployments(seen: asyncio.Queue[Deployment], history: History) -> None:
    while True:
        deployment = await seen.get()
        try:
            await history.record_deployments(deployment)
        except Failed as error:
            log.warning("a deployment was not noted", why=str(error))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
