"""What a chaos run is played on: GitHub, for the second engine a cluster, and a real `greenroom serve`, each a process.

Everything is on loopback, on ports and in a folder of its own, and is gone at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from chaos.judge import BOT, KEEP, LABEL, SLEEP

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
SECRETS = {
    "GREENROOM_GITHUB_TOKEN": "ghp-chaos-token-of-the-bot",
    "GREENROOM_WEBHOOK_SECRET": "chaos-webhook-secret",
    "GREENROOM_SIGNING_KEY": "chaos-signing-key",
    "GREENROOM_PLUGIN_TOKEN": "chaos-plugin-token",
}
PEOPLE = tuple(f"person-{n}" for n in range(8))
DISK = 16 * 1024 * 1024
SERVER = """import json, os, socket
number = open("n.txt").read().strip()
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=64)
links = {k[:-4].lower(): v for k, v in os.environ.items() if k.endswith("_URL")}
while True:
    connection, _ = listener.accept()
    connection.settimeout(2)
    try:
        connection.recv(65536)
        body = json.dumps({"number": number, "links": links}).encode()
        head = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n"
        connection.sendall(head % len(body) + body)
    except OSError:
        pass
    connection.close()
"""


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the catalog: its repository on GitHub, the short name of that, and whether it is private."""

    name: str
    slug: str
    short: str
    private: bool = False
    uses: tuple[str, ...] = ()
    database: bool = False

    @property
    def image(self) -> str:
        """The image's repository, which does not follow when the one on GitHub is renamed."""
        return f"acme/{self.name}"


SERVICES = (
    Service("front", "acme/storefront", "front", uses=("back", "vault")),
    Service("back", "acme/backend", "back", database=True),
    Service("vault", "acme/hushhush", "vault", private=True, uses=("back",)),
)


@dataclass(slots=True)
class Scene:
    """Everything that the driver may touch. `slugs` and `shorts` are the names of today, by service."""

    folder: Path
    engine: str
    seed: str
    client: httpx2.AsyncClient
    ports: dict[str, int]
    github: Json = field(default_factory=dict)
    cluster: Json = field(default_factory=dict)
    slugs: dict[str, str] = field(default_factory=lambda: {s.name: s.slug for s in SERVICES})
    shorts: dict[str, str] = field(default_factory=lambda: {s.name: s.short for s in SERVICES})
    ids: dict[str, int] = field(default_factory=dict)
    good: dict[str, list[str]] = field(default_factory=dict)
    bad: dict[str, list[str]] = field(default_factory=dict)
    label: str = LABEL
    domain: str = "preview.localhost"
    room: int = 500
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    events: list[str] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    @property
    def installation(self) -> str:
        return f"chaos-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:6]}"

    @property
    def platform(self) -> Path:
        return self.folder / "platform"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> Path:
        return self.folder / "greenroom.log"

    def say(self, text: str) -> None:
        """Note what the driver did, for the report."""
        self.events.append(f"{time.monotonic() - self.begun:7.2f} {text}")

    # --- GitHub ---

    async def do(self, *orders: Json) -> list[Any]:
        """Things that happen on GitHub, at once."""
        answer = await self.client.post(f"{self.github['control']}/do", json=list(orders), timeout=30)
        answer.raise_for_status()
        done: list[Any] = answer.json()
        return done

    async def weather(self, **weather: object) -> None:
        await self.client.post(f"{self.github['control']}/weather", json=weather, timeout=30)

    async def truth(self, journal: int = 0, answers: int = 0, requests: int = 0) -> Json:
        where = {"journal": journal, "answers": answers, "requests": requests}
        answer = await self.client.get(f"{self.github['control']}/truth", params=where, timeout=60)
        found: Json = answer.json()
        return found

    # --- the configuration ---

    def configure(self, **changes: object) -> None:
        """Write the configuration as it should be now, with these changes."""
        services = self.platform / "services"
        services.mkdir(parents=True, exist_ok=True)
        for service in SERVICES:
            spec: Json = {
                "repository": self.slugs[service.name],
                "image": f"{self.github['registry']}/{service.image}",
                "processes": {"web": {"command": ["python", "server.py"], "port": 8080, "probe": "/"}},
                "uses": [{"service": name, "as": f"{name.upper()}_URL"} for name in service.uses],
            }
            if service.database and self.engine == "local":
                spec["needs"] = [{"kind": "postgresql", "version": "16", "as": "DATABASE_URL"}]
            _write(services / f"{service.name}.yaml", json.dumps(spec, indent=1))
        _write(self.platform / "greenroom.yaml", json.dumps({**self._yaml(), **changes}, indent=1))

    def extend(self) -> None:
        """Add a service to the catalog, whose repository is on GitHub."""
        spec = {"repository": "acme/extra", "image": f"{self.github['registry']}/acme/extra", "port": 8080}
        _write(self.platform / "services" / "extra.yaml", json.dumps(spec))

    def _yaml(self) -> Json:
        ports = self.ports
        listens = ("webhook", "plugin", "dashboard", "admin", "metrics")
        made: Json = {
            "installation": self.installation,
            "label": self.label,
            "domain": self.domain,
            "scheme": "http",
            "engine": self.engine,
            "resync": "2s",
            "state": str(self.state),
            "repositories": {self.shorts[s.name]: self.slugs[s.name] for s in SERVICES},
            "staging": {s.name: f"http://127.0.0.1:9/{s.name}" for s in SERVICES},
            "github": {"apiUrl": self.github["api"]},
            "lifetime": {
                "inactiveAfter": "3d",
                "warnBefore": "1d",
                "maxAge": "never",
                "keepLabel": KEEP,
                "sleepLabel": SLEEP,
            },
            "limits": {"total": self.room, "perRepository": 200, "perAuthor": 100},
            "listen": {name: f"127.0.0.1:{ports[name]}" for name in listens},
        }
        if self.engine == "local":
            names = {s.slug: s for s in SERVICES} | {f"{s.slug}-renamed": s for s in SERVICES}
            checkouts = {slug: str(self.folder / "git" / s.name) for slug, s in names.items()}
            made["local"] = {"proxyPort": ports["previews"], "checkouts": checkouts, "probeTimeout": "60s"}
        else:
            made["argocd"] = {
                "chart": "oci://registry.example.com/charts/preview",
                "chartVersion": "0.1.0",
                "kubeconfig": str(self.folder / "kubeconfig"),
            }
            made["ingress"] = {"probe": self.cluster["ingress"]}
        return made

    # --- greenroom ---

    def start(self) -> None:
        """Start `greenroom serve`, which may end at once when the machine is in trouble."""
        self.starts += 1
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "greenroom", "serve", str(self.platform)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **SECRETS, "NO_PROXY": "*", "no_proxy": "*", "POD_NAME": "greenroom-0"},
            )

    async def runs(self, seconds: float = 120.0) -> bool:
        """Wait until it answers; False when it ended instead."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process and self.process.poll() is None:
            with contextlib.suppress(httpx2.HTTPError):
                answer = await self.client.get(f"http://127.0.0.1:{self.ports['metrics']}/healthz")
                if answer.status_code == 200:
                    return True
            await asyncio.sleep(0.1)
        return False

    def send(self, number: signal.Signals) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> int | None:
        """End it by this signal; its exit code."""
        self.ended.append(time.monotonic())
        self.send(number)
        if self.process is None:
            return None
        try:
            return await asyncio.to_thread(self.process.wait, 20)
        except subprocess.TimeoutExpired:
            self.say(f"it did not end within 20 s of {number.name}")
            self.process.kill()
            return await asyncio.to_thread(self.process.wait, 5)

    async def admin(self, path: str, body: Json | None = None) -> Json:
        """Ask the admin port, as the command line does."""
        url, headers = f"http://127.0.0.1:{self.ports['admin']}{path}", {"x-greenroom": "cli"}
        if body is None:
            answer = await self.client.get(url, headers=headers, timeout=10)
        else:
            answer = await self.client.post(url, headers=headers, json=body, timeout=10)
        found: Json = answer.json()
        return found


def _write(path: Path, text: str) -> None:
    """Replace a file at once, as a mounted ConfigMap is."""
    beside = path.with_suffix(".tmp")
    beside.write_text(text)
    beside.rename(path)


def git(folder: Path, *arguments: str, given: bytes | None = None) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], input=given, capture_output=True, check=True)
    return done.stdout.decode().strip()


def commits(folder: Path, count: int) -> tuple[list[str], list[str]]:
    """Make a repository of this many commits that start and as many that cannot; each knows its number by `n.txt`."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    lines = []
    for mark, program in ((1, SERVER), (2, "raise SystemExit('it cannot start')\n")):
        lines.append(b"blob\nmark :%d\ndata %d\n%s\n" % (mark, len(program), program.encode()))
    for n in range(2 * count):
        lines.append(
            b"commit refs/heads/c%d\nmark :%d\ncommitter Ada <ada@example.com> %d +0000\ndata 1\nc\n"
            b"M 100644 :%d server.py\nM 100644 inline n.txt\ndata %d\n%d\n\n"
            % (n, n + 3, 1700000000 + n, 1 + n // count, len(str(n)), n)
        )
    marks = folder / "marks"
    git(folder, "fast-import", "--quiet", f"--export-marks={marks}", given=b"".join(lines))
    git(folder, "symbolic-ref", "HEAD", "refs/heads/c0")
    known = dict(line.split() for line in marks.read_text().splitlines())
    made = [known[f":{n + 3}"] for n in range(2 * count)]
    return made[:count], made[count:]


def _child(folder: Path, module: str, order: Json) -> subprocess.Popen[bytes]:
    """Start a process of the scene. It ends when its standard input does: with us, whatever becomes of us."""
    with (folder / f"{module}.log").open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", f"chaos.{module}", str(folder)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        )
    assert child.stdin
    child.stdin.write(json.dumps(order).encode() + b"\n")
    child.stdin.flush()
    return child


async def _noted(folder: Path, module: str, child: subprocess.Popen[bytes]) -> Json:
    """What a process of the scene notes once it can be reached."""
    for _ in range(1200):
        if (folder / f"{module}.json").exists():
            found: Json = json.loads((folder / f"{module}.json").read_text())
            return found
        if child.poll() is not None:
            break
        await asyncio.sleep(0.05)
    raise RuntimeError(f"{module} did not start: {(folder / f'{module}.log').read_text()[-2000:]}")


def _ports(count: int) -> list[int]:
    """Return free ports below the range that Linux uses for outgoing connections.

    Greenroom is killed and started again on the same ports, and no connection may take one meanwhile.
    https://docs.kernel.org/networking/ip-sysctl.html#ip-variables (ip_local_port_range)
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(range(10_000, 30_000), 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports between 10000 and 30000")


@asynccontextmanager
async def scene(engine: str, seed: str, count: int) -> AsyncIterator[Scene]:
    """Start everything but Greenroom; leave no process, mount or file behind."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-chaos-"))
    folder.chmod(0o755)
    children: list[subprocess.Popen[bytes]] = []
    names = ("webhook", "plugin", "dashboard", "admin", "metrics", "previews")
    limits = httpx2.Limits(keepalive_expiry=2)  # uvicorn closes idle connections after 5 s, maybe as one is used again
    async with httpx2.AsyncClient(timeout=5, trust_env=False, limits=limits) as client:
        found = Scene(folder, engine, seed, client, dict(zip(names, _ports(len(names)), strict=True)))
        try:
            order = {"seed": seed, "secret": SECRETS["GREENROOM_WEBHOOK_SECRET"]}
            children.append(_child(folder, "github", order))
            found.github = await _noted(folder, "github", children[-1])
            if engine == "argocd":
                plugin = f"http://127.0.0.1:{found.ports['plugin']}"
                order = {"seed": seed, "plugin": plugin, "token": SECRETS["GREENROOM_PLUGIN_TOKEN"]}
                children.append(_child(folder, "cluster", order))
                found.cluster = await _noted(folder, "cluster", children[-1])
            await _people(found)
            for service in SERVICES:
                found.good[service.name], found.bad[service.name] = _commits(found, service, count)
            found.configure()
            found.state.mkdir(mode=0o700)
            if os.geteuid() == 0 and engine == "local":
                subprocess.run(
                    ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "tmpfs", str(found.state)], check=False
                )
            yield found
        finally:
            await _cleared(found)
            for child in children:
                child.kill()
                child.wait()
                if child.stdin:
                    child.stdin.close()
            if found.state.is_mount():
                subprocess.run(["umount", "-l", str(found.state)], check=False)
            shutil.rmtree(folder, ignore_errors=True)


def _commits(found: Scene, service: Service, count: int) -> tuple[list[str], list[str]]:
    """The commits that lives of this service may use: real ones where they are run, names where they are not."""
    if found.engine == "local":
        return commits(found.folder / "git" / service.name, count)
    made = [hashlib.sha1(f"{found.seed} {service.name} {n}".encode()).hexdigest() for n in range(2 * count)]
    return made[:count], [f"bad{sha[3:]}" for sha in made[count:]]


async def _people(found: Scene) -> None:
    token = SECRETS["GREENROOM_GITHUB_TOKEN"]
    await found.do({"op": "token", "value": token, "login": BOT})
    for service in SERVICES:
        [number] = await found.do({"op": "repository", "slug": service.slug, "private": service.private})
        found.ids[service.name] = int(number)
        for person in PEOPLE:
            await found.do({"op": "collaborator", "slug": service.slug, "login": person, "permission": "write"})
        await found.do({"op": "collaborator", "slug": service.slug, "login": "reader", "permission": "read"})
    await found.do({"op": "hooks", "url": f"http://127.0.0.1:{found.ports['webhook']}/webhook"})


async def _cleared(found: Scene) -> None:
    """Greenroom, its previews and their database server have ended."""
    found.send(signal.SIGCONT)
    await found.end()
    if found.engine == "local":
        from chaos.eyes import end_everything

        await asyncio.to_thread(end_everything, found)
