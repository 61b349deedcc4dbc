"""The courier of a build in a cluster: it sends the dump to the agent, and pushes the layer that the agent has packed.

It has the credentials for GitHub and for the registry, and runs nothing from the dump.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from greenroom import dumpfile
from greenroom.core.comment.sanitize import counted
from greenroom.core.model.catalog import SeedMode
from greenroom.core.model.github import Present, Unknown
from greenroom.core.model.migrations import MigrationSet
from greenroom.core.model.seeds import COLUMNS, SeedBuild
from greenroom.errors import Failed, RetryLater
from greenroom.registry import lookup
from greenroom.registry.access import Access
from greenroom.registry.references import reference
from greenroom.seeds import bake, ledgers, lfs, oci, pull
from greenroom.seeds.build import Built, deferred_layer, label, require_all_restored, settings
from greenroom.seeds.check import LARGEST, Checked, Wants, check
from greenroom.seeds.layer import Layer
from greenroom.seeds.publish import Publication, publish
from greenroom.seeds.push import Pusher

LARGEST_BLOB = 100 * 1024 * 1024
"""https://docs.github.com/en/rest/git/blobs#get-a-blob"""
LARGEST_FILE = 10 * 1024 * 1024
"""Limit of a migration and of the columns file. They are read into memory."""
SHOWN = 3
"""Maximum number of reasons that the error for a refused dump lists."""
POLL_SECONDS = 0.2
AGENT_SECONDS = 120.0
"""Seconds within which the agent's pod must start to respond."""
_CHUNK = 1024 * 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GitHubSource:
    """GitHub's API and a token that may read the contents of the repository with the dump."""

    api_url: str
    token: str


@dataclass(frozen=True, slots=True)
class AgentAddress:
    """The agent's URL and the token that it expects."""

    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Courier:
    """One build. `folder` is for the dump and the layer."""

    build: SeedBuild
    agent: AgentAddress
    github: GitHubSource
    access: Access
    client: httpx2.AsyncClient
    folder: Path
    say: bake.Say

    async def run(self) -> str:
        """Build the image unless it exists. Return its reference by digest. Raise `Failed` with the reason."""
        try:
            state = await lookup.look(self.access, self.build.reference)
            name = self.build.reference.rpartition(":")[0]
            if isinstance(state, Present):
                return f"{name}@{state.digest}"
            if isinstance(state, Unknown):
                raise Failed(state.why)
            return f"{name}@{await self._pushed(await self._built())}"
        finally:
            await self._ask("DELETE", "/")

    async def _built(self) -> Built:
        dump = self.folder / "dump"
        await self._timed("fetch", self._fetch(dump, self.build.inputs.dump, self.build.path, most=LARGEST))
        checked = await self._timed("check", self._check(dump))
        if self.build.inputs.mode == SeedMode.RESTORE:
            return await asyncio.to_thread(deferred_layer, dump, checked, self.build.inputs.version, "zstd")
        await self._timed("send", self._send(dump))
        dump.unlink()
        await self._timed("restore", self._restored())
        answer = await self._ask("POST", "/pack", json={"version": self.build.inputs.version})
        found = self.folder / "layer"
        packed, report = Layer(path=found, **answer["layer"]), bake.Report(**answer["report"])
        require_all_restored(self.build.inputs.kind, checked, report)
        applied = await self._applied(report)
        await self._download(packed, found)
        return Built(packed, report, applied)

    async def _applied(self, report: bake.Report) -> MigrationSet:
        """Return the migrations that ran, with their content in the commit of the build."""
        commit, contents = self.build.commit, dict[str, bytes]()
        try:
            found = ledgers.ledger(report.ledger)
            for blob in ledgers.checked(found, commit):
                file = self.folder / "migration"
                await self._fetch(file, blob, f"a migration ({blob[:7]})", commit.slug)
                contents[blob] = file.read_bytes()
            return ledgers.applied(found, commit, contents)
        except Failed as error:
            raise Failed(f"{self.build.path}: {error}") from None

    async def _pushed(self, built: Built) -> str:
        source = await pull.pinned(self.access, reference(self.build.inputs.base))
        base = await pull.read_base(self.access, source, built.report.architecture)
        origin = {"base_digest": source.tag, "source": f"{self.build.source.slug}:{self.build.path}"}
        said = {**label(self.build.inputs, base.architecture, built), **origin}
        image = oci.with_layer(
            base, built.layer, label=said, **settings(self.build.inputs.kind, self.build.inputs.mode)
        )
        target = reference(self.build.reference)
        publication = Publication(image, built.layer, source, target.tag, None, self.folder)
        await self._timed("push", publish(publication, Pusher(self.access, target)))
        return image.digest

    async def _check(self, dump: Path) -> Checked:
        """Check the dump, as `greenroom seed check` does."""
        build, columns = self.build, None
        if build.columns:
            columns = self.folder / COLUMNS
            await self._fetch(columns, build.columns, COLUMNS)
        inputs, rows = build.inputs, dict(build.rows)
        wants = Wants(inputs.kind, inputs.version, inputs.extensions, rows, columns, max_bytes=LARGEST)
        checked = await asyncio.to_thread(check, dump, wants)
        if refused := checked.refused:
            more = f" The check found {counted(len(refused) - SHOWN, 'more problem')}." if len(refused) > SHOWN else ""
            see = f" Run `greenroom seed check {build.path}`."
            raise Failed(f"{build.path}: {' '.join(refused[:SHOWN])}{more}{see}")
        return checked

    async def _fetch(self, target: Path, blob: str, path: str, slug: str = "", most: int = LARGEST_FILE) -> None:
        """Download a file by its git blob id, and verify it. Without `slug`, it is in the dump's repository."""
        slug = slug or self.build.source.slug
        headers = {"accept": "application/vnd.github.raw+json", "authorization": f"Bearer {self.github.token}"}
        url = f"{self.github.api_url}/repos/{slug}/git/blobs/{blob}"
        try:
            async with self.client.stream("GET", url, headers=headers) as answer:
                if answer.status_code != 200:
                    raise Failed(_refused(answer.status_code, path))
                with target.open("wb") as file:
                    async for part in answer.aiter_bytes():
                        file.write(part)
        except httpx2.HTTPError as error:
            raise RetryLater(f"The download of {path} from GitHub failed ({type(error).__name__}).") from None
        if await asyncio.to_thread(dumpfile.git_blob_id, target) != blob:
            raise RetryLater(f"The download of {path} from GitHub is incomplete or corrupt.")
        if found := lfs.of_file(target):
            store = lfs.Store(self.client, self.github.api_url, self.github.token, slug)
            await store.download(found, target, path, most)

    async def _send(self, dump: Path) -> None:
        """Send the dump to the agent, once its pod answers."""
        deadline = time.monotonic() + AGENT_SECONDS
        while True:
            try:
                await self._ask("GET", "/status")
                break
            except RetryLater:
                if time.monotonic() > deadline:
                    raise Failed(
                        "The pod that restores the dump did not respond within two minutes."
                        " Check its events and its log."
                    ) from None
                await asyncio.sleep(POLL_SECONDS)
        await self._ask("PUT", "/dump", content=_parts(dump))

    async def _restored(self) -> None:
        while (answer := await self._ask("GET", "/status"))["state"] == "running":
            await asyncio.sleep(POLL_SECONDS)
        if answer["state"] == "failed":
            raise Failed(f"{self.build.path}: {answer['error']}")

    async def _download(self, packed: Layer, target: Path) -> None:
        computed = hashlib.sha256()
        headers = {"authorization": f"Bearer {self.agent.token}"}
        try:
            async with self.client.stream("GET", f"{self.agent.url}/layer", headers=headers) as answer:
                with target.open("wb") as file:
                    async for part in answer.aiter_bytes():
                        computed.update(part)
                        file.write(part)
        except httpx2.HTTPError as error:
            raise RetryLater(f"The download of the layer from the build pod failed ({type(error).__name__}).") from None
        if f"sha256:{computed.hexdigest()}" != packed.digest:
            raise RetryLater("The download of the layer from the build pod is incomplete or corrupt.")

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        """Return the agent's answer. Raise `RetryLater` while it cannot be reached, and `Failed` with its error."""
        headers = {"authorization": f"Bearer {self.agent.token}"}
        try:
            answer = await self.client.request(method, f"{self.agent.url}{path}", headers=headers, **options)
        except httpx2.HTTPError as error:
            if method == "DELETE":
                return None  # it has ended already
            raise RetryLater(f"The pod that restores the dump does not respond ({type(error).__name__}).") from None
        if answer.status_code == 204:
            return None
        try:
            found = answer.json()
        except ValueError:
            raise Failed(
                f"The pod that restores the dump returned invalid JSON ({answer.status_code}). Check its log."
            ) from None
        if answer.status_code != 200:
            raise Failed(f"{self.build.path}: {found.get('error', answer.status_code)}")
        return found

    async def _timed(self, phase: str, work: Awaitable[T]) -> T:
        began = time.monotonic()
        result = await work
        self.say(phase, time.monotonic() - began)
        return result


def _refused(status: int, path: str) -> str:
    """Return why a file cannot be read. The comment shows it, so it does not name the repository: it may be private."""
    if status == 403:
        return (
            f"GitHub refused access to {path} (403). If the file is larger than {LARGEST_BLOB // 2**20} MB, store it in"
            " Git LFS. Otherwise, check that `github-token` in the Secret for seed builds may read the"
            " repository that contains this file."
        )
    return (
        f"GitHub returned {status} for {path}. Check `github-token` in the Secret for seed builds: it must be"
        " allowed to read the contents of the repository that contains this file."
    )


async def _parts(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as content:
        while part := content.read(_CHUNK):
            yield part
