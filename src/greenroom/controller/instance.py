"""A running instance: the lead as the only writer, loops over repositories, hints, readiness, configuration changes.

It builds nothing: `greenroom.bootstrap` passes its parts in. It does not know which engine runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from greenroom import config, logs
from greenroom.background import Tasks
from greenroom.config import Configuration
from greenroom.controller.admin_service import Control
from greenroom.controller.engine import RunnableEngine
from greenroom.controller.loop import DISTANCE, Loop, spaced
from greenroom.controller.reconcile import Parts, Reconciler
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.spec import Identity
from greenroom.errors import FixConfiguration, GreenroomError, Mistake

log = structlog.get_logger(__name__)

RELOAD_SECONDS = 1.0
UNREAD_SECONDS = 0.5
CI_EVENTS = frozenset({"check_run", "check_suite", "workflow_run"})
"""Webhook events that may change the explanation for a missing image."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A repository to read again. `updated_at` is a lower bound for the age of the next read, not a fact."""

    repository_id: int
    slug: str
    event: str
    action: str = ""
    number: int | None = None
    updated_at: datetime | None = None


class Passes(Protocol):
    """Counter of passes."""

    def timed(self) -> AbstractContextManager[Callable[[str], None]]:
        """Time a pass. Call the returned function with its outcome; otherwise it counts as an error."""


class Instance:
    """One running Greenroom. `lost` is set to a sentence when the instance must end."""

    def __init__(
        self, folder: Path, loaded: Configuration, parts: Parts, engine: RunnableEngine, passes: Passes
    ) -> None:
        self._folder = folder
        self._digest = loaded.digest
        self._settings = loaded.settings
        self._engine = engine
        self._board = parts.board
        self._passes = passes
        self._slugs: dict[int, str] = {}
        self._left: dict[str, Repository] = {}
        self._leads = False
        self._left_read = False
        self._read: dict[str, int] = {}
        self._advised: tuple[Mistake, ...] = ()
        self.lost = engine.lost
        resync = loaded.settings.resync.total_seconds()
        self._loop = Loop(self._pass, self._trouble, resync=resync, distance=self._distance)
        self._reconciler = Reconciler(parts, engine.adapted(loaded.platform), self._loop.wake)
        self.control = Control(self._reconciler, self._loop)
        self._advise(loaded)

    @property
    def platform(self) -> Platform:
        """Return the current platform, which a changed configuration replaces."""
        return self._reconciler.platform

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take the lead as the only writer, run passes and take over changed configurations until the block ends.

        Then wait for the running pass to end.
        """
        tasks = Tasks()
        tasks.start("lead", self._lead())
        tasks.keep("configuration reload", self._reload)
        try:
            yield
        finally:
            await tasks.aclose()
            await self._loop.stop()
            await self._reconciler.parts.sources.ci.aclose()

    async def _lead(self) -> None:
        """Take the lead as the only writer, then start the loops. This may wait until another instance ends."""
        try:
            await self._engine.lead()
            self._leads = True
            await self._keep()  # a failure here must be reported, because no repository would be read
        except Exception as error:
            log.exception("this instance cannot lead")
            if not self.lost.done():
                why = str(error).rstrip(".") or type(error).__name__
                self.lost.set_result(f"This instance cannot run as the active instance: {why}.")

    async def _keep(self) -> None:
        """Loop over every repository of the catalog, and over those that left it while previews of them exist."""
        try:
            self._left = {r.name: r for r in await self._reconciler.left()}
            self._left_read = True
        except GreenroomError as error:
            self._left_read = False
            log.warning("repositories that left the catalog could not be listed; Greenroom retries", why=str(error))
        self._loop.keep(self._names)
        self._board.keep(self._names)

    @property
    def _names(self) -> set[str]:
        return {r.name for r in self._reconciler.platform.repositories} | self._left.keys()

    # --- the loop's ends ---

    async def _pass(self, name: str) -> float | None:
        repository = self._reconciler.platform.repository(name)
        if repository is None and self._unread():
            return UNREAD_SECONDS  # an unread repository may be this one, renamed
        if repository is None:
            await self._keep()
            repository = self._left.get(name)
        if repository is None:
            return None
        try:
            with self._passes.timed() as timed:
                again = await self._reconciler.reconcile(repository)
                timed("ok")
        finally:  # a pass may have decided before it failed
            self._show()
        self._read[name] = self._reconciler.id_of(repository)
        identities = [i for i, s in self._board.statuses.items() if s.repository == name]
        self._slugs |= {i.repository_id: name for i in identities}
        await self._keep()  # previews of repositories that left may be gone, or a rename was detected
        self._show()
        return again

    def _show(self) -> None:
        """Show the engine what people see. A repository that has another name now is unread until its next pass."""
        names = self._names
        every = self._left_read and names <= self._read.keys()
        read = {i for name, i in self._read.items() if i and (every or name in names)}
        troubles = {name: health.trouble for name, health in self._board.repositories.items() if health.trouble}
        self._engine.show(self._board.statuses, read, troubles)

    def _distance(self) -> float:
        """Return the seconds between two passes of a repository, from GitHub's remaining budget if it is known."""
        budget = self._reconciler.parts.sources.github.budget
        return spaced(budget.remaining, budget.limit) if budget else DISTANCE

    def _unread(self) -> bool:
        """Return whether some repository of the catalog was not read yet, with or without success."""
        read = {(name, health.slug) for name, health in self._board.repositories.items()}
        return any((r.name, r.slug) not in read for r in self._reconciler.platform.repositories)

    def _trouble(self, name: str, sentence: str) -> None:
        log.warning("a pass could not read everything; nothing was removed", repository=name, why=sentence)
        self._show_trouble(name, sentence)

    def _show_trouble(self, name: str, sentence: str) -> None:
        if name not in self._names:
            return  # it left the catalog during the pass
        repository = self._reconciler.platform.repository(name)
        self._board.report(name, repository.slug if repository else "", logs.scrub(sentence))
        self._show()

    def wake_id(self, repository_id: int) -> None:
        """Schedule a pass over the repository with that id, or over all while the id is unknown."""
        name = self._slugs.get(repository_id)
        if name is None:
            self._loop.wake_all()
        else:
            self._loop.wake(name)

    def hint(self, hint: Hint) -> None:
        """Schedule a pass over a repository, and trust no read of the pull request that is older than this."""
        if hint.number is not None and hint.updated_at is not None:
            identity = Identity(hint.repository_id, hint.number)
            self._reconciler.parts.sources.freshness.hinted(identity, hint.updated_at)
        found = [r for r in self._reconciler.platform.repositories if r.slug.lower() == hint.slug.lower()]
        if found and hint.event in CI_EVENTS:
            self._reconciler.parts.sources.ci.hinted(found[0].slug)
        named = [r.name for r in found]
        if named:
            self._slugs[hint.repository_id] = named[0]
            self._loop.hint(named[0])
        elif hint.repository_id in self._slugs:
            self._loop.hint(self._slugs[hint.repository_id])

    def ready(self) -> bool:
        """Return whether this instance can answer its clients: Argo CD, or people who open its pages.

        Argo CD asks through the Service while GitHub may be down; see docs/decisions/009-ready-before-github.md.
        """
        if (answers := self._engine.answers) is not None:
            return answers
        names = {r.name for r in self.platform.repositories}
        return self._leads and all(
            (h := self._board.repositories.get(n)) is not None and h.read_at is not None for n in names
        )

    # --- configuration ---

    async def _reload(self) -> None:
        """Take over a changed configuration if it is valid; otherwise log its mistakes and keep the old one."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            found = await asyncio.to_thread(config.digest, self._folder)
            if found == self._digest:
                continue
            try:
                loaded = await asyncio.to_thread(config.load, self._folder)
            except FixConfiguration as error:
                log.error(
                    "the changed configuration is not valid; the old one stays in use", mistakes=config.report(error)
                )
                self._digest = found
                continue
            await self._take(loaded)
            self._digest = found  # last, so that an unexpected failure is retried

    def _advise(self, loaded: Configuration) -> None:
        """Log configuration that is allowed but probably a mistake. Repeat a warning only after a change."""
        for warning in loaded.warnings:
            if warning not in self._advised:
                log.warning("the configuration is valid but may contain a mistake", what=str(warning))
        self._advised = loaded.warnings

    async def _take(self, loaded: Configuration) -> None:
        self._advise(loaded)
        if replace(loaded.settings, resync=self._settings.resync) != self._settings:
            log.warning("changes of addresses, credentials, engine and folders require a restart")
        before = self._reconciler.platform
        for sentence in _refused(before, loaded.platform):
            log.warning(sentence)
        kept = replace(loaded.platform, installation=before.installation, prefix=before.prefix)
        self._reconciler.reconfigure(self._engine.adapted(kept))
        self._loop.resync_every(loaded.settings.resync.total_seconds())
        if self._leads:
            await self._keep()
            self._loop.wake_all()
        log.info("the configuration was reloaded", repositories=len(loaded.platform.repositories))


def _refused(before: Platform, changed: Platform) -> Iterator[str]:
    """Return warnings for changes that need a restart, because every object carries these values."""
    for field, was, wanted in (
        ("installation", before.installation, changed.installation),
        ("namePrefix", before.prefix, changed.prefix),
    ):
        if was != wanted:
            yield f"`{field}: {wanted}` requires a restart; {was} stays in use until then"
