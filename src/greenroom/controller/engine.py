"""Interface between the loop and the two engines that run previews: four operations, and the lead as the only writer.

Nothing in `core/` or `controller/` asks which engine runs. Engines report every change of health by calling the `wake`
that they were built with, with a repository id. A lost call costs time, never correctness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, Self

from greenroom.core.model.catalog import Platform
from greenroom.core.model.engine import EngineState, PreviewSet, Receipt
from greenroom.core.model.seeds import SeedBuild
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Status


class Engine(Protocol):
    """Operations that the loop may request. All raise `errors.Doubt` or `errors.RetryLater` when unsure."""

    def writing(self) -> AbstractAsyncContextManager[None]:
        """Enter this context around each effect, on GitHub too. This instance is the only writer as long as it lasts.

        Raise `Doubt` when it is not. Cancel an effect that takes longer than the lead lasts.
        """

    async def observe(self) -> EngineState:
        """Return the complete state of everything that exists, or raise; never return a partial answer."""

    async def serve(self, preview_set: PreviewSet) -> None:
        """Replace the whole set of one repository, specs and ledger together, durably. A missing spec removes nothing:
        its preview keeps running until `remove`.
        """

    async def remove(self, identity: Identity, uid: str) -> None:
        """Remove this preview if it still has this uid, and only when its spec is out. Idempotent."""

    async def build_seed(self, build: SeedBuild) -> None:
        """Start to build the image of a seed, unless that is in progress. `observe` reports how it ends."""

    async def receipt(self, identity: Identity) -> Receipt:
        """Check whether anything is left of a removed preview."""


class RunnableEngine(Engine, Protocol):
    """An engine with its lifecycle: open, lead, close. Closing it closes all that it opened."""

    @property
    def lost(self) -> asyncio.Future[str]:
        """Return the future that is set to a sentence when the instance must end: another one may write now, or a part
        of the engine ended.
        """

    @property
    def answers(self) -> bool | None:
        """Return whether it can answer clients that request specs; None if it has no such clients."""

    async def check(self) -> None:
        """Raise `FixConfiguration` if the settings cannot work. Start nothing and write nothing."""

    def adapted(self, platform: Platform) -> Platform:
        """Return the platform with values that only the running engine knows, such as the port of its proxy."""

    async def lead(self) -> None:
        """Take the lead as the only writer, however long that takes, and read what exists."""

    def show(self, statuses: Mapping[Identity, Status], read: Iterable[int], troubles: Mapping[str, str]) -> None:
        """Show the statuses of all pull requests where the engine's own tools look. Return at once.

        `read` are the ids of the repositories that were read: their previews without a status do not exist. `troubles`
        maps the short names of repositories that cannot be read now to a sentence.
        """

    async def __aenter__(self) -> Self:
        """Open the connections, or adopt what an earlier run started."""

    async def __aexit__(self, *error: object) -> None:
        """Close everything; previews keep running."""
