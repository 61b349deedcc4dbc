"""The real parts, built from a configuration and run until a stop signal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog
from starlette.types import ASGIApp

from greenroom import config, http_client, logs
from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.engine import ArgoEngine
from greenroom.argocd.seed_jobs import BuildSettings
from greenroom.argocd.settings import ArgoSettings
from greenroom.asgi_server import running
from greenroom.background import Tasks
from greenroom.config import Configuration, SecretSource, Settings
from greenroom.controller.ci import CiAdvice
from greenroom.controller.engine import RunnableEngine
from greenroom.controller.freshness import Freshness
from greenroom.controller.gather import Lists, Sources
from greenroom.controller.instance import Instance
from greenroom.controller.reconcile import Parts
from greenroom.controller.status_store import Board
from greenroom.core.comment.signed_block import Key, Signer
from greenroom.errors import Doubt, Failed, FixConfiguration, GreenroomError, Mistake
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.transport import Transport
from greenroom.registry.access import Credentials
from greenroom.registry.client import Registry
from greenroom.store.history import History
from greenroom.store.migrate import migrate as migrate_history
from greenroom.store.rows import Deployment
from greenroom.web.admin import SweepResult, admin
from greenroom.web.metrics import Metrics, metrics
from greenroom.web.plugin import plugin
from greenroom.web.webhook import DeploymentSeen, webhook

log = structlog.get_logger(__name__)

GITHUB_SECONDS = 20.0
IMAGE = "GREENROOM_IMAGE"
STOP_SECONDS = 4.0


async def migrate(folder: Path) -> str:
    """Migrate the history of the configuration in a folder to this version. Return one line with both versions."""
    return await migrate_history(config.load(folder).settings.history)


def render(folder: Path, *, namespace_names: bool = True) -> str:
    """Return the objects of the mode without a controller, as YAML documents (JSON is YAML).

    Raise `FixConfiguration` when the configuration is wrong or cannot be rendered.
    """
    from greenroom.argocd.render import rendered

    loaded = config.load(folder)
    if not loaded.settings.argocd.chart:  # with `engine: local` it may be left out
        raise FixConfiguration("Argo CD needs the preview chart.", (config.NO_CHART,))
    objects = rendered(_frame(loaded), loaded.platform, loaded.settings.github.api_url, namespace_names=namespace_names)
    return "".join(f"---\n{json.dumps(o, indent=2)}\n" for o in objects)


async def serve(folder: Path) -> int:
    """Run until SIGTERM, Ctrl-C or the end of the terminal. Return the exit code.

    Raise `GreenroomError` for an error at the start.
    """
    logs.configure()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            loop.add_signal_handler(number, stop.set)
    async with opened(folder) as (instance, addresses):
        log.info("greenroom runs", **addresses)
        async with asyncio.TaskGroup() as group:
            stopped = group.create_task(stop.wait())
            ends: list[asyncio.Future[Any]] = [stopped, instance.lost]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
        if instance.lost.done():
            log.error("greenroom stops", why=instance.lost.result())
            return 1
        log.info("greenroom is stopping; the current pass finishes first")
    return 0


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Instance, dict[str, str]]]:
    """Build all parts, check what can be checked at the start, and run. Stop the parts in order at the end.

    Yield the instance, and the base URLs of all listeners by name. Raise `GreenroomError` for an error at the start.
    """
    loaded = config.load(folder)
    settings, secrets = loaded.settings, _Secrets(loaded.settings)
    made: list[Instance] = []

    def wake(repository_id: int) -> None:
        for instance in made:
            instance.wake_id(repository_id)

    built = _argocd(loaded, secrets, wake) if settings.engine == "argocd" else _local(loaded, wake)
    await built.engine.check()  # before a folder is created
    async with AsyncExitStack() as stack:
        await _make_history(settings)
        history = await stack.enter_async_context(History(settings.history))
        client = await stack.enter_async_context(http_client.client(GITHUB_SECONDS))
        sources, board = _sources(loaded, secrets, client), Board()
        await stack.enter_async_context(built.engine)  # it may start processes, so everything else is ready by now
        github = sources.github
        counted = Metrics(board, lambda: github.counts, lambda: github.budget, github.content.spent)
        instance = Instance(
            folder, loaded, Parts(built.engine, sources, Lists(github), history, board), built.engine, counted
        )
        made.append(instance)
        addresses = await _listen(stack, settings, _Listening(instance, built, secrets, history, board, counted))
        await _check_token(github)
        async with instance.running():
            try:
                yield instance, addresses
            finally:  # the current pass ends, even if GitHub does not answer
                asyncio.get_running_loop().call_later(STOP_SECONDS, client.give_up)


async def _check_token(github: GitHub) -> None:
    """Raise `FixCredentials` at the start if GitHub rejects the token. Start anyway while GitHub is unavailable."""
    with contextlib.suppress(Doubt, TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await github.me()


# --- listening ---


@dataclass(frozen=True, slots=True)
class _Listening:
    """The parts that the listening applications are built from."""

    instance: Instance
    built: _Built
    secrets: _Secrets
    history: History
    board: Board
    counted: Metrics


async def _listen(stack: AsyncExitStack, settings: Settings, what: _Listening) -> dict[str, str]:
    """Serve every application. Return their base URLs by name."""
    from greenroom.web.dashboard import dashboard

    seen: asyncio.Queue[Deployment] = asyncio.Queue()
    tasks = Tasks()
    stack.push_async_callback(tasks.aclose)
    tasks.keep("deployment history", lambda: _note_deployments(seen, what.history))
    instance, board, history, listen = what.instance, what.board, what.history, settings.listen
    title, control = instance.platform.installation, instance.control
    hooks = webhook(
        what.secrets.webhooks, instance.hint, lambda d: seen.put_nowait(_deployment(d)), what.counted.delivered
    )
    pages = dashboard(board, history, title, control, lambda: instance.platform.label)
    applications: dict[str, tuple[str, ASGIApp]] = {
        "webhook": (listen.webhook, hooks),
        "dashboard": (listen.dashboard, pages),
        "admin": (listen.admin, admin(board, history, control, what.built.sweep)),
        "metrics": (listen.metrics, metrics(what.counted, instance.ready)),
        **what.built.applications(instance),
    }
    addresses = {name: await _bound(stack, name, address, app) for name, (address, app) in applications.items()}
    if instance.platform.port:
        addresses["previews"] = f"http://127.0.0.1:{instance.platform.port}"
    return addresses


async def _make_history(settings: Settings) -> None:
    """Create the state folder, and the history at this version. Remove the folder again if it stays empty."""
    try:
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        if settings.engine == "local" and not os.access(settings.state, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        what = f"{settings.state} cannot be used ({error.strerror})."
        mistake = Mistake(
            "greenroom.yaml", "state", what, "Set `state:` to a folder that Greenroom can create and write to."
        )
        raise FixConfiguration(what, (mistake,)) from None
    try:
        await migrate_history(settings.history)
    except GreenroomError:
        with contextlib.suppress(OSError):
            settings.state.rmdir()
        raise


class _Secrets:
    """All secrets, read once at the start. Each is hidden from all logs from then on.

    The constructor raises `FixConfiguration` with a sentence for each missing secret.
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
            raise FixConfiguration("Some secrets are missing.", tuple(dict.fromkeys(self._missing)))

    def _read(self, source: SecretSource) -> str:
        try:
            value = source.read().reveal()
        except FixConfiguration as error:
            self._missing += error.mistakes
            return ""
        logs.hide(value)
        return value


def _key(secret: str) -> Key:
    """Return a key with a public id that identifies the key and reveals nothing else about it."""
    return Key(hashlib.sha256(b"greenroom key id " + secret.encode()).hexdigest()[:8], secret.encode())


def _sources(loaded: Configuration, secrets: _Secrets, client: httpx2.AsyncClient) -> Sources:
    github, registry = loaded.settings.github, loaded.settings.registry
    host = urlsplit(github.api_url).netloc
    signer = Signer(host, loaded.platform.installation, _key(secrets.signing), tuple(_key(s) for s in secrets.older))
    clock = Clock()
    reads = GitHub(Transport(client, Token(secrets.token), github.api_url, clock), clock, signer.prefix)
    return Sources(
        github=reads,
        registry=Registry(client, secrets.registry, registry.insecure, registry.realms),
        signer=signer,
        freshness=Freshness(),
        ci=CiAdvice(reads),
    )


# --- engines ---


@dataclass(frozen=True, slots=True)
class _Built:
    """An engine and its own extra parts: a sweep, and applications (address, ASGI) by name for an instance."""

    engine: RunnableEngine
    sweep: Callable[[], Awaitable[SweepResult]] | None = None
    applications: Callable[[Instance], Mapping[str, tuple[str, ASGIApp]]] = lambda instance: {}


def _local(loaded: Configuration, wake: Callable[[int], None]) -> _Built:
    try:
        from greenroom.local.engine import LocalEngine
        from greenroom.local.settings import LocalSettings
    except ModuleNotFoundError as error:
        if error.name != "greenroom.local":
            raise
        fix = "Set `engine: argocd`, or run Greenroom from a clone of its repository."
        mistake = Mistake(
            "greenroom.yaml", "engine", "this image is built for clusters and does not contain the local engine.", fix
        )
        raise FixConfiguration("The local engine is not available in this image.", (mistake,)) from None
    settings = loaded.settings
    local = LocalSettings(
        state=settings.state,
        checkouts=settings.local.checkouts,
        installation=loaded.platform.installation,
        proxy_port=settings.local.proxy_port,
        probe_seconds=settings.local.probe_timeout.total_seconds(),
        sleep_label=loaded.platform.lifetime.sleep_label,
    )
    return _Built(LocalEngine(local, wake))


def _frame(loaded: Configuration) -> InstallationSpec:
    platform, argocd = loaded.platform, loaded.settings.argocd
    return InstallationSpec(
        installation=platform.installation,
        prefix=platform.prefix,
        namespace=argocd.namespace,
        project=argocd.project,
        destination=argocd.destination,
        chart=argocd.chart,
        plugin=argocd.plugin,
    )


def _argocd(loaded: Configuration, secrets: _Secrets, wake: Callable[[int], None]) -> _Built:
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
        object_namespace=argocd.object_namespace,
        builds=_builds(loaded),
    )
    engine = ArgoEngine(settings, wake)

    def applications(instance: Instance) -> dict[str, tuple[str, ASGIApp]]:
        answers = plugin(secrets.plugin, lambda name: engine.answer(name, instance.platform))
        return {"plugin": (loaded.settings.listen.plugin, answers)}

    return _Built(engine, engine.sweep, applications)


def _builds(loaded: Configuration) -> BuildSettings | None:
    """Return how seed images are built in the cluster; None if they are not."""
    seeds, github, registry = loaded.settings.seeds, loaded.settings.github, loaded.settings.registry
    if seeds is None:
        return None
    image = os.environ.get(IMAGE, "")
    if not image:
        raise FixConfiguration(
            f"`seeds: {{ build: cluster }}` needs Greenroom's own image in the variable {IMAGE}. The chart sets it."
        )
    installation = loaded.platform.installation
    return BuildSettings(installation, seeds.namespace, image, seeds.secret, github.api_url, tuple(registry.insecure))


async def _bound(stack: AsyncExitStack, name: str, address: str, application: ASGIApp) -> str:
    host, _, port = address.rpartition(":")
    try:
        return await stack.enter_async_context(running(application, int(port), host.strip("[]")))
    except OSError as error:
        why = os.strerror(error.errno) if not isinstance(error, socket.gaierror) and error.errno else error.strerror
        sentence = f"Greenroom cannot listen on {address} ({why}). Change `listen.{name}` in greenroom.yaml."
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
            log.warning("a deployment could not be recorded", why=str(error))
