"""Seeds: dumps from which databases start, and the names of the images that hold them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from greenroom.core.model.github import ImageState

FORMAT = 1
"""Version of what a seed image contains. A new version builds all of them again."""


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
class Tree:
    """The files of a commit: git blob ids by path. It holds only the paths that seeds need."""

    files: Mapping[str, str] = field(default_factory=dict, hash=False)


COLUMNS = "seed.columns.yaml"
"""The name of the file beside a dump that says where the values of its columns come from."""
LABEL = "dev.greenroom.seed"
"""The label of an image with the JSON of a `SeedLabel`."""


@dataclass(frozen=True, slots=True)
class SeedLabel:
    """What a seed image says about itself. `size` is the size of its data in bytes."""

    size: int = 0

    @classmethod
    def parsed(cls, text: str) -> SeedLabel:
        """Return the label of an image. An image without a valid label says nothing about itself."""
        try:
            size = json.loads(text)["bytes"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return cls()
        return cls(size if isinstance(size, int) and size > 0 else 0)


@dataclass(frozen=True, slots=True)
class SeedFacts:
    """What a pass has read for seeds: the files of commits, or why they are unknown; images by reference; the labels of
    images by digest, or why they are unknown.
    """

    trees: Mapping[Source, Tree | str] = field(default_factory=dict)
    images: Mapping[str, ImageState] = field(default_factory=dict)
    labels: Mapping[str, SeedLabel | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeedBuild:
    """An image to build from the dump `path` of a commit. `rows` pairs tables with the minimum number of rows.

    `columns` is the git blob id of the columns file beside the dump; empty if there is none.
    """

    inputs: SeedInputs
    source: Source
    path: str
    reference: str
    rows: tuple[tuple[str, int], ...] = ()
    columns: str = ""

    @property
    def key(self) -> str:
        """Return what identifies the build. A corrected columns file makes another build of the same image."""
        return f"{self.inputs.tag}-{self.columns[:8]}" if self.columns else self.inputs.tag


@dataclass(frozen=True, slots=True)
class BuildFailed:
    """A build that failed. `why` is one sentence."""

    why: str
    at: datetime | None = None
