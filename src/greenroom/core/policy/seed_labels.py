"""Comparison of the migrations that ran in a seed image, as its label has them, with those of a branch."""

from __future__ import annotations

from greenroom.core import messages
from greenroom.core.model.migrations import MigrationSet
from greenroom.core.model.seeds import SeedLabel
from greenroom.core.model.status import Reason
from greenroom.core.policy.seed_fit import obstacle

REWRITTEN = frozenset({"seed-edited", "seed-ahead", "seed-renamed", "seed-squashed"})
"""Reason codes for branches that edited, deleted, renamed or squashed a migration that has already run."""


def refusal(label: SeedLabel, branch: MigrationSet | Reason) -> Reason | None:
    """Return why a database with the dump as it is cannot serve a branch; None if it can.

    Where nothing ran, everything may run. What the branch adds runs when the preview starts.
    """
    applied = label.applied
    if applied is None:
        return messages.seed_unrecorded() if isinstance(branch, Reason) or branch.tool else None
    if not applied.migrations:
        return None
    return branch if isinstance(branch, Reason) else obstacle(branch, applied)
