"""One file and one error in it, for those who make sentences of errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from greenroom.config import secrecy
from greenroom.config.documents import Written
from greenroom.config.needs import SHAPES
from greenroom.errors import Mistake

Location = tuple[str | int, ...]
Sentence = tuple[str, str]


@dataclass(frozen=True, slots=True)
class File:
    """One file: its name in the folder, its shape, what YAML made of it, and what people wrote."""

    name: str
    model: type[BaseModel]
    data: dict[str, Any]
    written: Written

    def mistake(self, location: Sequence[str | int], message: str, fix: str) -> Mistake:
        """A mistake at a location, which ends where the file has no more than a text."""
        return Mistake(self.name, self.path(location), message, fix)

    def trimmed(self, mistake: Mistake) -> Mistake:
        """A mistake that was found in the model, at the path that the file has."""
        parts = (int(p) if p.isdecimal() else p for p in mistake.path.split("."))
        return replace(mistake, path=self.path([*parts]))

    def path(self, location: Sequence[str | int]) -> str:
        """A location as people find it: `image`, not `image.repository`, where the image is one string."""
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
    """One error of pydantic's. `way` has the shapes of needs in it, `location` only what stands in the file."""

    kind: str
    way: Location
    location: Location
    key: bool
    input: Any
    context: Mapping[str, Any]
    text: str

    @classmethod
    def of(cls, error: Mapping[str, Any]) -> Wrong:
        """One entry of pydantic's `errors()`."""
        loc = error["loc"]
        way = tuple(p for p in loc if not str(p).startswith("function-") and p != "[key]")
        location = tuple(p for p in way if p not in SHAPES)
        if location[:2] == ("scheduling", "tolerations") and location[-1] in ("str", "int"):
            location = location[:-1]  # pydantic's names of the two things that a value may be
        return cls(error["type"], way, location, "[key]" in loc, error["input"], error.get("ctx", {}), error["msg"])

    @property
    def last(self) -> str:
        """The key that it is about."""
        return str(self.location[-1]) if self.location else ""

    @property
    def secret(self) -> bool:
        """Whether the value must not be shown."""
        if secrecy.closed(self.location) or secrecy.names_secret(self.last):
            return True
        return isinstance(self.input, str) and secrecy.looks_secret(self.input)


def inside(at: Any, part: str | int) -> Any:
    """What stands there in a mapping or list; None where nothing does."""
    if isinstance(at, dict):
        return at.get(part)
    return at[part] if isinstance(at, list) and isinstance(part, int) and part < len(at) else None
