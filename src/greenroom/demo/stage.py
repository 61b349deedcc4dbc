"""Stage of the story: simulator and registry in this process, and `greenroom serve` in a separate process."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx2
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from greenroom.asgi_server import running
from greenroom.background import Tasks
from greenroom.demo.shop import SERVICES, Shop
from greenroom.errors import Failed
from greenroom.simulator.app import Simulator
from greenroom.simulator.registry import Images, registry
from greenroom.simulator.webhooks import Webhooks
from greenroom.simulator.world import World

PEOPLE = ("ada", "grace", "linus")
BOT = "greenroom[bot]"
SECRETS = {
    "GREENROOM_GITHUB_TOKEN": "demo-token-of-the-bot",
    "GREENROOM_WEBHOOK_SECRET": "demo-webhook-secret",
    "GREENROOM_SIGNING_KEY": "demo-signing-key",
}
CACHE = shutil.which("redis-server") or shutil.which("valkey-server")
NEEDS = ("postgresql", "redis") if CACHE else ("postgresql",)
START_SECONDS = 60.0  # long, for a busy machine; a failed start is reported at once
PORTS = ("webhook", "dashboard", "admin", "metrics", "previews")  # ports that Greenroom listens on
NO_PROXY = {"NO_PROXY": "*", "no_proxy": "*"}  # Greenroom connects only to this machine
ON_STAGING = "Sold on staging only"


@dataclass(slots=True)
class Stage:
    """Parts of the demo that a step may use as a person would, and observe from outside."""

    folder: Path
    world: World
    images: Images
    shop: Shop
    client: httpx2.AsyncClient
    serve: tuple[str, ...]
    ports: dict[str, int]
    registry_host: str = ""
    api_url: str = ""
    hooks: Webhooks | None = None
    simulator: Simulator | None = None
    process: subprocess.Popen[bytes] | None = None
    noted: dict[str, Any] = field(default_factory=dict)

    @property
    def installation(self) -> str:
        """Return the name that marks processes. It differs for each folder, because demos can run beside each other."""
        return f"demo-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:6]}"

    @property
    def platform(self) -> Path:
        """Return the configuration's folder."""
        return self.folder / "platform"

    @property
    def state(self) -> Path:
        """Return Greenroom's own folder, which the demo inspects from outside without asking Greenroom."""
        return self.platform / ".greenroom"

    # --- greenroom itself ---

    def configure(self, label: str = "preview") -> None:
        """Write the configuration: the example's services, the local engine, this machine's addresses."""
        services = self.platform / "services"
        services.mkdir(parents=True, exist_ok=True)
        for path in sorted((_examples() / "platform" / "services").glob("*.yaml")):
            service = yaml.safe_load(path.read_text().replace("registry.example.com", self.registry_host))
            service["needs"] = [n for n in service.get("needs", ()) if n["kind"] in NEEDS]  # the others need a cluster
            if path.stem == "catalog":
                service["env"] = {"PYTHONPATH": str(self.folder / "drivers")}
            (services / path.name).write_text(yaml.safe_dump(service, sort_keys=False))
        (self.platform / "greenroom.yaml").write_text(self._yaml(label))

    def _yaml(self, label: str) -> str:
        ports = self.ports
        return json.dumps(
            {
                "installation": self.installation,
                "label": label,
                "domain": "preview.localhost",
                "scheme": "http",
                "engine": "local",
                "resync": "2s",
                "staging": {name: f"http://127.0.0.1:{ports[name]}" for name in ("catalog", "payments")},
                "github": {"apiUrl": self.api_url},
                "lifetime": {"inactiveAfter": "3d", "warnBefore": "1d", "maxAge": "90d"},
                "limits": {"perAuthor": 10},
                "listen": {n: f"127.0.0.1:{ports[n]}" for n in ("webhook", "dashboard", "admin", "metrics")},
                "local": {
                    "proxyPort": ports["previews"],
                    "checkouts": {f"shop/{n}": str(self.shop.folder / n) for n in SERVICES},
                },
            },
            indent=2,
        )

    async def open(self) -> None:
        """Choose ports and start Greenroom on them. Choose other ports if another program has taken one since."""
        for tries_left in (2, 1, 0):
            self.ports |= free_ports(PORTS)
            if self.hooks:
                self.hooks.send_to(f"http://127.0.0.1:{self.ports['webhook']}/webhook")
            self.configure()
            try:
                await self.start()
            except Failed as error:
                self.kill()
                taken = "Address already in use" in str(error) or not all(_is_free(self.ports[n]) for n in PORTS)
                if not tries_left or not taken:
                    raise
            else:
                return

    async def start(self) -> None:
        """Start `greenroom serve` and wait until its health port answers."""
        with (self.folder / "greenroom.log").open("ab") as output:
            self.process = subprocess.Popen(
                [*self.serve, str(self.platform)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **NO_PROXY, **SECRETS},
            )
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(httpx2.HTTPError):
                if (await self.client.get(f"http://127.0.0.1:{self.ports['metrics']}/healthz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
        last = (self.folder / "greenroom.log").read_text(errors="replace").strip().splitlines()[-1:]
        raise Failed(f"greenroom did not start: {' '.join(last)}")

    def kill(self) -> None:
        """Kill Greenroom with SIGKILL (kill -9)."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(timeout=5)

    def stop(self) -> None:
        """Stop Greenroom with SIGTERM, as a cluster would. Kill it if it has not ended after 15 s."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run `greenroom ARGUMENTS` as a person would. Return exit code and output."""
        admin = f"http://127.0.0.1:{self.ports['admin']}"
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "greenroom",
            *arguments,
            env={**os.environ, "GREENROOM_ADMIN": admin},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await child.communicate()
        return child.returncode or 0, output.decode(errors="replace")

    def push_image(self, name: str, sha: str) -> None:
        """Push the image of a commit and end its workflow run, as CI does."""
        self.images.push(f"shop/{name}", sha)
        self.world.workflow_completed(f"shop/{name}")


def _examples() -> Path:
    from greenroom.demo.shop import source

    return source()


@asynccontextmanager
async def stage(
    folder: Path | None, serve: tuple[str, ...], *, keep: bool, start: datetime | None = None
) -> AsyncIterator[Stage]:
    """Set the stage, then take it down at the end. No process is left, and no file unless `keep` or `folder` is given.

    GitHub's clock begins at `start`, by default now, because it is shown beside times of this machine's clock.
    """
    made = Path(tempfile.mkdtemp(prefix="greenroom-demo-")) if folder is None else folder.absolute()
    async with AsyncExitStack() as stack:
        if not keep and folder is None:
            stack.callback(shutil.rmtree, made, ignore_errors=True)
        made.mkdir(parents=True, exist_ok=True)
        made.chmod(0o755)
        world = World(start or datetime.now(UTC), running=True)
        client = await stack.enter_async_context(httpx2.AsyncClient(timeout=5, trust_env=False))
        images, hooks = Images(), Webhooks(world, SECRETS["GREENROOM_WEBHOOK_SECRET"])
        simulator = Simulator(world)
        github = await stack.enter_async_context(running(simulator))
        host = (await stack.enter_async_context(running(registry(images)))).removeprefix("http://")
        catalog = await stack.enter_async_context(running(_staging_catalog()))
        ports = {"catalog": int(catalog.rpartition(":")[2])}
        shop = Shop(made / "git")
        found = Stage(made, world, images, shop, client, serve, ports, host, f"{github}/api/v3", hooks, simulator)
        tasks = Tasks()
        stack.push_async_callback(tasks.aclose)
        tasks.start("webhooks", hooks.run())
        await _to_its_end(found.shop.make)
        await _to_its_end(_drivers, made / "drivers")
        _people(world)
        await _staging(found, stack)
        stack.push_async_callback(_stopped, found)
        await found.open()
        yield found


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """Return a free loopback port for each name. Hold each one until the last is found, so that they differ."""
    with ExitStack() as stack:
        probes = {name: stack.enter_context(socket.socket()) for name in names}
        for probe in probes.values():
            probe.bind(("127.0.0.1", 0))
        return {name: int(probe.getsockname()[1]) for name, probe in probes.items()}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that old connections do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


async def _to_its_end(work: Callable[..., None], *arguments: object) -> None:
    """Run work in a thread and wait for it, even if canceled: files that it writes after the cleanup would stay."""
    doing = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    try:
        await asyncio.shield(doing)
    finally:
        await asyncio.gather(doing, return_exceptions=True)  # git receives a Ctrl-C, too


async def _stopped(found: Stage) -> None:
    """Stop Greenroom and everything that it started."""
    from greenroom.local.engine import stop_all
    from greenroom.local.settings import LocalSettings

    await asyncio.to_thread(found.stop)
    if found.state.exists():
        checkouts = {f"shop/{n}": found.shop.folder / n for n in SERVICES}
        await stop_all(LocalSettings(found.state, checkouts, found.installation))


async def _staging(found: Stage, stack: AsyncExitStack) -> None:
    """Start the shared payments service that previews use: the main branch, as a local process."""
    for _ in range(3):
        found.ports.update(free_ports(["payments"]))
        environment = {"PATH": os.environ["PATH"], "PORT": str(found.ports["payments"])}
        with (found.folder / "staging.log").open("ab") as log:
            where = found.shop.folder / "payments"
            process = subprocess.Popen(
                [sys.executable, "server.py"], cwd=where, env=environment, stdout=log, stderr=log
            )
        stack.callback(_end, process)
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while process.poll() is None and asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(httpx2.HTTPError):
                await found.client.get(f"http://127.0.0.1:{found.ports['payments']}/methods")
                return
            await asyncio.sleep(0.05)
    raise Failed(f"The shared payments service did not start. See {found.folder / 'staging.log'}.")


def _staging_catalog() -> Starlette:
    """Return a stand-in for staging's catalog without a database. It has the seeded products and one of its own."""

    async def products(request: Request) -> Response:
        found = [{"id": number, "name": name, "cents": cents} for number, name, cents in Shop.seeded_products()]
        return JSONResponse({"release": "main", "products": [*found, {"id": 0, "name": ON_STAGING, "cents": 1}]})

    return Starlette(routes=[Route("/products", products)])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=5)


def _people(world: World) -> None:
    world.token(SECRETS["GREENROOM_GITHUB_TOKEN"], BOT)
    for name in SERVICES:
        world.repository(f"shop/{name}")
        for person in PEOPLE:
            world.collaborator(f"shop/{name}", person, "write")


def _drivers(target: Path) -> None:
    """Install the catalog's requirements.txt. Copy its packages and their dependencies from this program's own."""
    for name in ("pg8000", "scramp", "asn1crypto", "python-dateutil", "six", "redis", "async-timeout"):
        for file in metadata.files(name) or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                copy = target / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(str(file.locate())), copy)
