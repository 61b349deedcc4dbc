"""What history keeps, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a preview. The same `key` is kept once; `at` is GitHub's time."""

    key: str
    at: datetime
    repository_id: int
    repository: str
    number: int
    kind: str
    text: str
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A version that came to answer somewhere. `source` says who saw it: greenroom or github."""

    key: str
    at: datetime
    repository_id: int
    repository: str
    number: int | None
    environment: str
    sha: str
    digest: str
    state: str
    url: str
    source: str
    data: Mapping[str, object] = field(default_factory=dict)
