"""Seeds: dumps from which databases start, and the names of the images that hold them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from greenroom.core.model.github import ImageState
from greenroom.core.model.migrations import Migration, MigrationSet
from greenroom.core.model.status import Reason

FORMAT = 2
"""Version of the format of seed images. If it changes, all seed images are built again."""


@dataclass(frozen=True, slots=True)
class SeedInputs:
    """Everything that determines a seed image.

    `base` is the reference of the stock image. `dump` is the git blob id of the dump (40 or 64 hex digits). `mode` is a
    value of `SeedMode`.
    `migrations` pairs the path of each migration that is applied on top of the dump with its blob id, in order.
    """

    kind: str
    version: str
    base: str
    dump: str
    mode: str = "layer"
    extensions: tuple[str, ...] = ()
    migrations: tuple[tuple[str, str], ...] = ()

    @property
    def tag(self) -> str:
        """Return the tag of the image, 16 hex digits. The same inputs always have the same tag, so an unchanged seed is
        found with one request.
        """
        made_from = json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(made_from.encode()).hexdigest()[:16]


def blob_id(content_length: int) -> hashlib._Hash:
    """Return git's hash of a blob of that many bytes, to be updated with its content.

    https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    """
    return hashlib.sha1(f"blob {content_length}\0".encode(), usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Source:
    """A commit of a repository (`owner/name`). `ref` is its hash, a branch, or `HEAD` for the default branch."""

    slug: str
    ref: str


@dataclass(frozen=True, slots=True)
class Look:
    """The parts of a commit to read: files at `paths`, and the migrations in each of `folders`. An empty folder means
    that the folder is detected.
    """

    paths: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()

    def __or__(self, other: Look) -> Look:
        return Look(self.paths | other.paths, self.folders | other.folders)


@dataclass(frozen=True, slots=True)
class Tree:
    """The answer about a commit: git blob ids by path, and migrations by folder, or why they are not known."""

    files: Mapping[str, str] = field(default_factory=dict, hash=False)
    migrations: Mapping[str, MigrationSet | Reason] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class CommitMigrations:
    """The migrations of the commit that a seed image is built from, without what only a branch needs.

    `slug` is its repository. `entries` has the name, blob id and parents of each. `unclear` says why they are not
    known; it matters only if the dump has a migration table.
    """

    slug: str = ""
    tool: str = ""
    entries: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    packages: str = ""
    unclear: str = ""

    @classmethod
    def of(cls, slug: str, found: MigrationSet | Reason) -> CommitMigrations:
        """Return the migrations of a commit of this repository."""
        if isinstance(found, Reason):
            return cls(slug, unclear=str(found))
        return cls(slug, found.tool, tuple((m.name, m.hash, m.parents) for m in found.migrations), found.packages)

    @property
    def migrations(self) -> MigrationSet:
        """Return them as a set."""
        return MigrationSet(self.tool, tuple(Migration(n, h, parents=p) for n, h, p in self.entries), self.packages)


COLUMNS = "seed.columns.yaml"
"""Name of the file next to a dump that states for each column where its values come from."""
LABEL = "dev.greenroom.seed"
"""Name of the image label that contains the JSON of a `SeedLabel`."""


@dataclass(frozen=True, slots=True)
class SeedLabel:
    """The label of a seed image. `size` is the size of its data in bytes. `applied` has the migrations that
    ran in it; None if it does not say so.
    """

    size: int = 0
    applied: MigrationSet | None = None

    @classmethod
    def parsed(cls, text: str) -> SeedLabel:
        """Return the label of an image. An image without a valid label says nothing about itself."""
        try:
            found = json.loads(text)
            size = found["bytes"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return cls()
        return cls(size if isinstance(size, int) and size > 0 else 0, _applied(found.get("migrations")))


def recorded(applied: MigrationSet) -> dict[str, object]:
    """Return migrations that ran, as the label of an image has them."""
    pairs = [[m.name, m.hash] for m in applied.migrations]
    return {"tool": applied.tool, "applied": pairs, "packages": applied.packages}


def _applied(found: object) -> MigrationSet | None:
    """Return the migrations in a label; None if it has none, or if any of them is not understood."""
    match found:
        case {"tool": str(tool), "applied": [*pairs], "packages": str(packages)}:
            known = [Migration(n, h) for n, h in (_pair(p) for p in pairs) if n]
            return MigrationSet(tool, tuple(known), packages) if len(known) == len(pairs) else None
    return None


def _pair(found: object) -> tuple[str, str]:
    match found:
        case [str(name), str(blob)]:
            return name, blob
    return "", ""


@dataclass(frozen=True, slots=True)
class SeedFacts:
    """The facts about seeds in one pass: the files of commits, or why they are unknown; images by reference; the labels
    of images by digest, or why they are unknown.
    """

    trees: Mapping[Source, Tree | str] = field(default_factory=dict)
    images: Mapping[str, ImageState] = field(default_factory=dict)
    labels: Mapping[str, SeedLabel | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeedBuild:
    """An image to build from the dump `path` of a commit. `rows` pairs tables with the minimum number of rows.

    `columns` is the git blob id of the columns file beside the dump; empty if there is none. `commit` has the
    migrations whose content the dump's migration table is compared with.
    """

    inputs: SeedInputs
    source: Source
    path: str
    reference: str
    rows: tuple[tuple[str, int], ...] = ()
    columns: str = ""
    commit: CommitMigrations = CommitMigrations()

    @property
    def key(self) -> str:
        """Return what identifies the build. A corrected columns file makes another build of the same image."""
        return f"{self.inputs.tag}-{self.columns[:8]}" if self.columns else self.inputs.tag
