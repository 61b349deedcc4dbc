"""Migrations of a branch, and those that ran in a seed."""

from __future__ import annotations

from dataclasses import dataclass

PACKAGES = "packages:"
"""Prefix of the hash of a migration that comes from an installed package and not from the repository, such as Django's
own migrations. A hash of the files that pin the package versions follows, or nothing if there are no such files.
"""

BASELINE = "baseline "
"""Prefix of a Flyway baseline entry. Flyway treats all migrations up to the baseline version as already run."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration: its name as the tool's ledger has it, and the git blob id of its file, empty if unknown.

    `parents` must run before it, `before` after it, if the tool orders migrations by a graph. `replaces` names the
    migrations that a squashed one stands for.
    """

    name: str
    hash: str = ""
    path: str = ""
    parents: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MigrationSet:
    """Migrations of one tool, in the order in which it runs them. `tool` is empty if there are none.

    `packages` is the hash of the files that pin the installed packages; empty if there are none, or if the tool's
    migrations never come from packages.
    """

    tool: str = ""
    migrations: tuple[Migration, ...] = ()
    packages: str = ""

    @property
    def hashes(self) -> dict[str, str]:
        """Return the hash of each migration by its name."""
        return {m.name: m.hash for m in self.migrations}


@dataclass(frozen=True, slots=True)
class Ledger:
    """The table in which a tool records the migrations that it ran: pairs of a name and a checksum, which is empty if
    the tool records none. `failed` names migrations that did not finish.
    """

    tool: str = ""
    entries: tuple[tuple[str, str], ...] = ()
    failed: tuple[str, ...] = ()
