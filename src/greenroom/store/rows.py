"""Records of the history, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a preview. The same `key` is stored once; `at` is GitHub's time."""

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
    """A version that started to answer at an address. `source` is the observer: greenroom or github."""

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
