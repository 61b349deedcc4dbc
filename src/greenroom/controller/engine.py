"""The seam between the loop and what runs previews: four verbs and the place of the one writer; two engines behind it.

Nothing in `core/` or `controller/` asks which engine runs. Engines report every change of health by calling the `wake`
that they were built with, with a repository id; a lost call costs time, never truth.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from greenroom.core.model import Identity, Observed, Receipt, RowSet


class Engine(Protocol):
    """What the loop may ask of an engine. All raise `errors.Doubt` or `errors.RetryLater` when unsure."""

    def writing(self) -> AbstractAsyncContextManager[None]:
        """Entered around each effect, on GitHub too: this instance is the one writer for as long as it lasts.

        Raises `Doubt` when it is not, and ends what lasts longer than its place does.
        """

    async def observe(self) -> Observed:
        """Everything that exists, complete, or an exception; never a shorter answer."""

    async def serve(self, rows: RowSet) -> None:
        """Replace the whole set of one repository, rows and ledger together, durably. A row that is missing removes
        nothing: its preview keeps running until `remove`."""

    async def remove(self, identity: Identity, uid: str) -> None:
        """Remove that one preview if it still has that uid, and only when its row is out. Idempotent."""

    async def receipt(self, identity: Identity) -> Receipt:
        """Look for anything that is left of a removed preview."""
