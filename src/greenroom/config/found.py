"""What was found in the folder, for those who look at several files together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from greenroom.config.platform import PlatformModel
from greenroom.config.service import ServiceModel


@dataclass(frozen=True, slots=True)
class Found:
    """A service file that could be read. `file` is relative to the folder; `dropped` are the keys that were wrong."""

    file: str
    stem: str
    model: ServiceModel
    dropped: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The service's name: the key, or the file's name."""
        return self.model.name or self.stem


@dataclass(frozen=True, slots=True)
class Folder:
    """All files together. `dropped` are the keys of greenroom.yaml that were wrong: nothing is concluded from them.

    `services` are those without a mistake of their own, by name. `unread` are the names of the others: whoever uses
    such a service makes no second mistake.
    """

    platform: PlatformModel
    dropped: frozenset[str]
    services: Mapping[str, Found]
    unread: frozenset[str]

    def says(self, *keys: str) -> bool:
        """Whether what greenroom.yaml says under these keys, or leaves out, is meant so."""
        return self.dropped.isdisjoint(keys)


def near(name: str, known: Iterable[str], otherwise: str) -> str:
    """The fix for a name that is unknown: the nearest known one, or something else."""
    found = difflib.get_close_matches(name, [*known], 1)
    return f"Did you mean `{found[0]}`?" if found else otherwise
