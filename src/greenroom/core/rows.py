"""A row: what an engine is told about one preview, and the parameter set that an ApplicationSet generator receives.

A row holds nothing secret and no free text that a stranger wrote, other than as a value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from greenroom.core.catalogue import Service


@dataclass(frozen=True, slots=True)
class Naming:
    """Everything of a preview that is a name. A change of any of them would be another preview.

    `hosts` pairs each public service with its host; `label` is the label that asked for the preview.
    """

    name: str
    namespace: str
    label: str
    hosts: tuple[tuple[str, str], ...]

    def host(self, service: str) -> str | None:
        """The public host of a service, or None when it has none."""
        return dict(self.hosts).get(service)


@dataclass(frozen=True, slots=True)
class Version:
    """The commit and image that one service runs. `digest` is `sha256:...`; `reference` is `host/name:tag`."""

    service: str
    sha: str
    reference: str
    digest: str


@dataclass(frozen=True, slots=True)
class Link:
    """Where one `uses` entry points, and why."""

    service: str
    target: str
    variable: str
    url: str
    why: str = "staging"


@dataclass(frozen=True, slots=True)
class Row:
    """One preview, as told to an engine.

    `services` is the catalogue's part, `versions` what a push changes, `links` where `uses` point. `head_since` is when
    this head was first served; `incarnation` grows when the data begins at the seed again; `nonce` forces a new try.
    """

    repository_id: int
    repository: str
    slug: str
    number: int
    author: str
    naming: Naming
    head_sha: str
    head_since: datetime
    created: datetime
    versions: tuple[Version, ...]
    services: tuple[Service, ...]
    links: tuple[Link, ...] = ()
    incarnation: int = 1
    nonce: int = 0
    env: tuple[tuple[str, str], ...] = field(default=())
