"""Seeds: dumps from which databases start, and the names of the images that hold them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

FORMAT = 1
"""Version of what a seed image contains. A new version builds all of them again."""


@dataclass(frozen=True, slots=True)
class SeedInputs:
    """Everything that determines a seed image.

    `base` is the reference of the stock image. `dump` is the git blob id of the dump (40 or 64 hex digits).
    `migrations` pairs the path of each migration that is applied on top of the dump with its blob id, in order.
    """

    kind: str
    version: str
    base: str
    dump: str
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
