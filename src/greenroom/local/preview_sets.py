"""The preview sets that the engine serves, one for each repository."""

from __future__ import annotations

from greenroom.core.model.engine import PreviewSet
from greenroom.core.model.spec import Identity, PreviewSpec
from greenroom.errors import Doubt
from greenroom.local.state import State


class PreviewSets:
    """The preview sets in the state folder. A set takes effect only after it was written."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._sets = state.preview_sets()

    def all(self) -> dict[int, PreviewSet]:
        """Return every set, by repository id."""
        return dict(self._sets)

    def of(self, identity: Identity) -> PreviewSet:
        """Return the set of a preview's repository; an empty one if it is unknown."""
        return self._sets.get(identity.repository_id) or PreviewSet(identity.repository_id, "")

    def spec(self, identity: Identity) -> PreviewSpec | None:
        """Return the spec of a preview; None if it is not served."""
        return self.of(identity).specs.get(identity.number)

    def store(self, preview_set: PreviewSet) -> None:
        """Store a set durably. Raise `Doubt` if it is not newer, `Trouble` when it cannot be stored."""
        known = self._sets.get(preview_set.repository_id)
        if known and preview_set.generation <= known.generation:
            raise Doubt(
                f"The specs of {preview_set.repository} were not stored: their generation, {preview_set.generation}, is"
                f" not newer than the stored one, {known.generation}. Greenroom will retry."
            )
        self._state.write_specs(preview_set)
        self._sets[preview_set.repository_id] = preview_set
