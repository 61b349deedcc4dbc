"""Migrations of a branch and of a seed, and the answer to the question whether the seed fits the branch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from greenroom.core.model.status import Reason

PACKAGES = "packages:"
"""Prefix of the hash of a migration that is in no repository, because an installed package contains it, such as
Django's own ones. The rest is the hash of the files that pin the packages; nothing if there are none.
"""


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


@dataclass(frozen=True, slots=True)
class SeedImage:
    """A seed image that a pull request may use. `dump` is the blob id of its dump. `as_is` means that no migrations
    were run on top of the dump. The hashes of `applied` are those of the commit that it was built from.
    """

    reference: str
    dump: str
    applied: MigrationSet
    built: datetime
    as_is: bool = False


@dataclass(frozen=True, slots=True)
class Fit:
    """Start from this image, and run these migrations."""

    image: SeedImage
    to_run: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildSeed:
    """Build an image from this dump with the branch's own migrations, of which these are not in the dump.

    `compare` means that migrations of installed packages cannot be compared by hash. The build must then compare its
    schema with the one that the branch's migrations create in an empty database, and fail if they differ.
    """

    image: SeedImage
    to_run: tuple[str, ...] = ()
    compare: bool = False


@dataclass(frozen=True, slots=True)
class NoFit:
    """No seed fits the branch."""

    reason: Reason
