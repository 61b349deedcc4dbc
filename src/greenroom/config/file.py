"""One file and one error in it, for the modules that turn errors into sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from greenroom.config import redaction
from greenroom.config.needs import SHAPES
from greenroom.config.yaml_loader import Written
from greenroom.errors import Mistake

Location = tuple[str | int, ...]
Sentence = tuple[str, str]


@dataclass(frozen=True, slots=True)
class File:
    """One file: its name in the folder, its model, its parsed data, and its original text."""

    name: str
    model: type[BaseModel]
    data: dict[str, Any]
    written: Written

    def mistake(self, location: Sequence[str | int], message: str, fix: str) -> Mistake:
        """Return a mistake at a location. The path ends where the file has a scalar."""
        return Mistake(self.name, self.path(location), message, fix)

    def trimmed(self, mistake: Mistake) -> Mistake:
        """Return a mistake that was found in the model, with its path as it is in the file."""
        parts = (int(p) if p.isdecimal() else p for p in mistake.path.split("."))
        return replace(mistake, path=self.path([*parts]))

    def path(self, location: Sequence[str | int]) -> str:
        """Return the path of a location in the file: `image`, not `image.repository`, if the image is one string."""
        parts: list[str] = []
        at: Any = self.data
        for part in location:
            if not isinstance(at, dict | list | None):
                break
            parts.append(str(part))
            at = inside(at, part)
        return ".".join(parts)


@dataclass(frozen=True, slots=True)
class Wrong:
    """One pydantic error. `way` includes the shapes of needs; `location` has only keys that are in the file."""

    kind: str
    way: Location
    location: Location
    key: bool
    input: Any
    context: Mapping[str, Any]
    text: str

    @classmethod
    def of(cls, error: Mapping[str, Any]) -> Wrong:
        """Build the error from one entry of pydantic's `errors()`."""
        loc = error["loc"]
        way = tuple(p for p in loc if not str(p).startswith("function-") and p != "[key]")
        location = tuple(p for p in way if p not in SHAPES)
        if location[:2] == ("scheduling", "tolerations") and location[-1] in ("str", "int"):
            location = location[:-1]  # pydantic's names for the two types that a value may have
        return cls(error["type"], way, location, "[key]" in loc, error["input"], error.get("ctx", {}), error["msg"])

    @property
    def last(self) -> str:
        """Return the key that the error is about; empty for the whole file."""
        return str(self.location[-1]) if self.location else ""

    @property
    def secret(self) -> bool:
        """Return whether the value must not be shown."""
        if redaction.closed(self.location) or redaction.names_secret(self.last):
            return True
        return isinstance(self.input, str) and redaction.looks_secret(self.input)


def inside(at: Any, part: str | int) -> Any:
    """Return the value at a key or index of a mapping or list; None if there is none."""
    if isinstance(at, dict):
        return at.get(part)
    return at[part] if isinstance(at, list) and isinstance(part, int) and part < len(at) else None
