"""Contents of the folder, for checks that span several files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from greenroom.config.platform import PlatformModel
from greenroom.config.service import ServiceModel


@dataclass(frozen=True, slots=True)
class Found:
    """A service file that could be read. `file` is relative to the folder; `dropped` holds the keys that were wrong."""

    file: str
    stem: str
    model: ServiceModel
    dropped: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Return the service's name: the key `name`, or the file's name."""
        return self.model.name or self.stem


@dataclass(frozen=True, slots=True)
class Folder:
    """All files of the folder. `dropped` holds the keys of greenroom.yaml that were wrong; checks do not rely on them.

    `services` holds the services without mistakes of their own, by name. `unread` holds the names of the others: a use
    of such a service is not a second mistake.
    """

    platform: PlatformModel
    dropped: frozenset[str]
    services: Mapping[str, Found]
    unread: frozenset[str]

    def says(self, *keys: str) -> bool:
        """Return whether checks can rely on these keys of greenroom.yaml, because none of them was wrong."""
        return self.dropped.isdisjoint(keys)


def near(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return the fix for an unknown name: the nearest known name, or `otherwise`."""
    found = difflib.get_close_matches(name, [*known], 1)
    return f"Did you mean `{found[0]}`?" if found else otherwise
