"""Server of a simulated GitHub and a simulated registry at one address. It runs until it is stopped."""

from __future__ import annotations

import asyncio
import errno
import getpass
import os
import re
import shlex
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from greenroom import config, logs
from greenroom.asgi_server import running
from greenroom.background import Tasks
from greenroom.config import Configuration, SecretSource
from greenroom.config.settings import GitHubSettings
from greenroom.core.comment.sanitize import counted
from greenroom.core.model.catalog import ImageFrom
from greenroom.errors import Failed, FixConfiguration, Mistake
from greenroom.simulate.checkout import Checkout
from greenroom.simulate.hub import Hub
from greenroom.simulate.keeping import Kept
from greenroom.simulate.pages import pages
from greenroom.simulator.app import Simulator
from greenroom.simulator.registry import Images, registry
from greenroom.simulator.webhooks import Webhooks
from greenroom.simulator.world import World
from greenroom.web.loopback import NAMES, LoopbackOnly

BOT = "greenroom[bot]"
EXAMPLE = "http://127.0.0.1:8090/api/v3"
MAIN = "greenroom.yaml"
SECONDS = 1.0  # between reads of the checkouts


async def simulate(folder: Path, echo: Callable[[str], None]) -> None:
    """Simulate GitHub and a registry for a configuration until SIGTERM, Ctrl-C or the end of the terminal.

    Raise `FixConfiguration` with everything that prevents it.
    """
    logs.configure()
    loaded = config.load(folder)
    checkouts = _checkouts(loaded)
    settings = loaded.settings
    address = urlsplit(settings.github.api_url)
    given, exports = _secrets(loaded)
    world, images, kept = World(datetime.now(UTC), running=True), Images(), Kept(settings.state / "simulated.pickle")
    kept.resume(world)
    world.token(given[0], BOT)
    hooks = Webhooks(world, given[1], f"http://{settings.listen.webhook}/webhook" if settings.engine == "local" else "")
    hub = Hub(loaded.platform, checkouts, world, images if settings.engine == "local" else None, _who())
    await hub.look()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    host = str(address.hostname)
    people = pages(hub, hooks, f"http://{settings.listen.dashboard}")
    everything = one_address(Simulator(world), registry(images), people, host)
    async with AsyncExitStack() as stack:
        try:
            listens = "127.0.0.1" if host in NAMES else host
            await stack.enter_async_context(running(everything, address.port or 80, listens))
        except OSError as error:
            why = os.strerror(error.errno or 0)
            how = "Set another port in `github.apiUrl` and in each `image:` that contains the address."
            if error.errno == errno.EADDRINUSE:
                how = f"Is another `greenroom simulate` running? {how}"
            elif error.errno == errno.EADDRNOTAVAIL:
                how = "Set `github.apiUrl` to an address of this machine."
            raise Failed(f"{address.netloc} cannot be used ({why}). {how}") from None
        tasks = Tasks()
        stack.push_async_callback(tasks.aclose)
        tasks.start("webhooks", hooks.run())
        echo(_begin(checkouts, f"http://{address.netloc}"))
        echo(_local(folder, exports) if settings.engine == "local" else _cluster(settings.github))
        echo(f"Then open a pull request at http://{address.netloc}.")
        echo("Ctrl-C stops the simulation. Pull requests and comments are kept for the next start.")
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SECONDS)
            await hub.look()
            kept.keep(world)


def one_address(github: ASGIApp, images: ASGIApp, people: ASGIApp, host: str = "127.0.0.1") -> ASGIApp:
    """Return all three as one application at `host`. A page elsewhere that rebinds its name cannot reach them."""
    return LoopbackOnly(_OneAddress(github, images, people), [host])


class _OneAddress:
    """ASGI application with the registry under /v2/, GitHub's API under /api/, and its pages elsewhere."""

    def __init__(self, github: ASGIApp, images: ASGIApp, people: ASGIApp) -> None:
        self._github, self._images, self._people = github, images, people

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route a request by its path."""
        path = scope.get("path", "")
        if path.startswith("/v2/"):
            await self._images(scope, receive, send)
        elif path.startswith("/api/"):
            await self._github(scope, receive, send)
        else:
            await self._people(scope, receive, send)


def _checkouts(loaded: Configuration) -> dict[str, Checkout]:
    """Return the checkout of each repository. Raise `FixConfiguration` with everything that cannot be simulated."""
    mistakes, found = list(_elsewhere(loaded)), {}
    for repository in loaded.platform.repositories:
        path = loaded.settings.local.checkouts.get(repository.slug)
        key = f"local.checkouts.{repository.slug}"
        if path is None:
            mistakes.append(Mistake(MAIN, key, "is missing.", "Set the path of a local clone of the repository."))
            continue
        try:
            found[repository.slug] = Checkout.at(path)
        except Failed as error:
            mistakes.append(Mistake(MAIN, key, str(error), ""))
    if mistakes:
        raise FixConfiguration("The configuration cannot be simulated.", tuple(mistakes))
    return found


def _elsewhere(loaded: Configuration) -> Iterator[Mistake]:
    """Yield the settings that point to the real GitHub or a real registry. A cluster pulls from a real registry."""
    local, url = loaded.settings.engine == "local", loaded.settings.github.api_url
    address = urlsplit(url)
    known = address.hostname in NAMES if local else _private(address.hostname or "")
    if address.scheme != "http" or not known or address.path != "/api/v3":
        where = "" if local else ", with 127.0.0.1 replaced by an address of this machine that the cluster can reach"
        fix = f"Write `apiUrl: {EXAMPLE}`{where}. GitHub is simulated at that address."
        yield Mistake(MAIN, "github.apiUrl", f"is {url}, which is not an address of a simulated GitHub.", fix)
        return
    for service in (s for r in loaded.platform.repositories for s in r.services):
        file = f"services/{service.name}.yaml"
        host, _, path = service.image.repository.partition("/")
        if local and host != address.netloc:
            fix = f"Write `image: {address.netloc}/{path or service.name}`."
            yield Mistake(file, "image", f"is in {host}; the simulated registry is {address.netloc}.", fix)
        if service.image.built_from is ImageFrom.MERGE:
            fix = "Write `from: head`."
            yield Mistake(file, "image.from", "is `merge`, but merge commits are not simulated.", fix)


def _private(host: str) -> bool:
    """Return whether a host is a private IP address, because the simulated GitHub requires no password."""
    try:
        found = ip_address(host)
    except ValueError:
        return False
    return found.is_private and not (
        found.is_loopback or found.is_unspecified or found.is_multicast or found.is_reserved
    )


def _secrets(loaded: Configuration) -> tuple[list[str], dict[str, str]]:
    """Return the token and the webhook secret, and what to export so that `greenroom serve` has all three secrets."""
    github = loaded.settings.github
    sources = {"token": github.token, "webhook-secret": github.webhook_secrets[0], "signing-key": github.signing_key}
    found, exports = [], {}
    for name, source in sources.items():
        if source.env and not os.environ.get(source.env):
            exports[source.env] = f"simulated-{name}"
            found.append(exports[source.env])
        else:
            found.append(source.read().reveal())
    return found, exports


def _who() -> str:
    """Return the login of the only person in the simulated GitHub: the local user name, as GitHub would spell it."""
    with suppress(KeyError, OSError):
        return re.sub("[^A-Za-z0-9]+", "-", getpass.getuser()).strip("-") or "you"
    return "you"


def _begin(checkouts: dict[str, Checkout], address: str) -> str:
    lines = [
        f"Simulating GitHub and a registry at {address} for {counted(len(checkouts), 'repository', 'repositories')}:"
    ]
    lines += [f"  {slug}: {found.path}, base branch {found.base}" for slug, found in checkouts.items()]
    return "\n".join([*lines, ""])


def _local(folder: Path, exports: Mapping[str, str]) -> str:
    lines = ["Start Greenroom in another terminal:", ""]
    lines += [f"  export {name}={value}" for name, value in exports.items()]
    return "\n".join([*lines, f"  greenroom serve {folder}", ""])


def _cluster(github: GitHubSettings) -> str:
    """Return the command for the Secret of step 5 in docs/kubernetes.md. Never print a value that a person set."""
    token, webhook = _from("github-token", github.token), _from("webhook-secret", github.webhook_secrets[0])
    return (
        "Create the Secret `greenroom` with these values, and push the images of each commit yourself:\n\n"
        f"  kubectl create secret generic greenroom -n greenroom {token} \\\n"
        f'    {webhook} --from-literal=signing-key="$(openssl rand -hex 32)"\n'
    )


def _from(key: str, source: SecretSource) -> str:
    """Return the argument that puts a secret into a key: its file, its variable, or the simulated value."""
    if source.file:
        return shlex.quote(f"--from-file={key}={source.file}")
    simulated = f"simulated-{key.removeprefix('github-')}"
    value = f'"${source.env}"' if os.environ.get(source.env) else simulated
    return f"--from-literal={key}={value}"
