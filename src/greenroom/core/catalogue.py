"""What the platform team decided: services, repositories and policy, as frozen values.

`greenroom.config` reads them from YAML; nothing here knows about files. The catalogue comes from the platform's own
protected configuration, never from a pull request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class ImageFrom(StrEnum):
    """Which commit CI tags images with: the head of the branch, or GitHub's merge ref `refs/pull/N/merge`."""

    HEAD = "head"
    MERGE = "merge"


class ProcessKind(StrEnum):
    """Web processes answer HTTP, workers run for ever, crons run on a schedule."""

    WEB = "web"
    WORKER = "worker"
    CRON = "cron"


class Storage(StrEnum):
    """Whether a need's data outlives its container."""

    EPHEMERAL = "ephemeral"
    PERSISTENT = "persistent"


@dataclass(frozen=True, slots=True)
class Image:
    """Where a service's image is, and how CI tags it.

    `repository` is without a tag, registry host first (`registry.example.com/shop/catalog`). `tag` may hold `{sha}`,
    `{short_sha}` (7 digits) and `{number}`.
    """

    repository: str
    tag: str = "{sha}"
    built_from: ImageFrom = ImageFrom.HEAD

    def reference(self, sha: str, number: int) -> str:
        """The full reference that CI is expected to push for a commit, `host/name:tag`."""
        return f"{self.repository}:{self.tag.format(sha=sha, short_sha=sha[:7], number=number)}"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a service. `command` empty means the image's own; `port` None means it listens on nothing."""

    name: str
    kind: ProcessKind = ProcessKind.WEB
    command: tuple[str, ...] = ()
    port: int | None = None
    schedule: str = ""
    replicas: int = 1
    migrates: bool = False
    probe: str = "/"


CACHES = frozenset({"redis", "valkey"})
"""Kinds of needs that may be empty at any time; the chart's table says `restart: nothing` of them."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that belongs to the preview itself: its database, queue or cache, of a kind that Greenroom knows.

    `variables` pairs parts of its address (url, host, port, user, password, database) with the variables that receive
    them. `seed` is the path of a dump inside the service's repository, or empty. `image` replaces the stock image and
    carries its own data. `memory` and `size` are Kubernetes quantities; empty means the chart's default.
    """

    name: str
    kind: str
    version: str
    variables: tuple[tuple[str, str], ...] = ()
    storage: Storage = Storage.EPHEMERAL
    seed: str = ""
    image: str = ""
    memory: str = ""
    size: str = ""

    @property
    def keeps(self) -> bool:
        """Whether anybody counts on its data."""
        return self.storage is Storage.PERSISTENT or self.kind not in CACHES


@dataclass(frozen=True, slots=True)
class SharedNeed:
    """A need of another service of the same repository, by the name that it has there. `variables` as in `Need`."""

    service: str
    name: str
    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The platform team's own Kubernetes objects, each as canonical JSON, for what Greenroom has no kind for."""

    name: str
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """Another service that this one talks to.

    `variables` pairs a part of its address with the variable that receives it: `url` (for calls between servers),
    `public` (for browsers), `host`, `port`. `same_branch`: prefer the preview of a pull request that belongs together
    with this one; `required`: without a preview of it there is none of this either.
    """

    service: str
    variables: tuple[tuple[str, str], ...]
    same_branch: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class Staging:
    """Where the shared service answers: servers at `url`, browsers at `public`."""

    url: str
    public: str


@dataclass(frozen=True, slots=True)
class Resources:
    """Kubernetes quantities; empty means the chart's default."""

    cpu: str = ""
    memory: str = ""
    memory_limit: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """One entry of the catalogue. `repository` is the catalogue's short name of its GitHub repository.

    `address` pairs `public` (its own URL) and `origins` (those of all who call it from a browser) with variables.
    `run_as_user` is the number of a user; None means the image's own.
    """

    name: str
    repository: str
    image: Image
    processes: tuple[Process, ...]
    public: bool = True
    paths: tuple[str, ...] = ()
    migrate: tuple[str, ...] = ()
    migrate_timeout: timedelta | None = timedelta(minutes=5)
    needs: tuple[Need, ...] = ()
    shared_needs: tuple[SharedNeed, ...] = ()
    manifests: tuple[Manifest, ...] = ()
    uses: tuple[Use, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    env_from: tuple[str, ...] = ()
    address: tuple[tuple[str, str], ...] = ()
    resources: Resources = Resources()
    run_as_user: int | None = None

    @property
    def web(self) -> Process | None:
        """The process that its URL leads to: the first web process with a port."""
        return next((p for p in self.processes if p.kind is ProcessKind.WEB and p.port is not None), None)


@dataclass(frozen=True, slots=True)
class Repository:
    """A GitHub repository of the catalogue. `slug` is `owner/name`; `name` is unique and short: `shop#42`."""

    name: str
    slug: str
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a preview goes by itself; None switches a rule off. `sleep_label` puts it to sleep while it is on."""

    inactive_after: timedelta | None = timedelta(days=3)
    warn_before: timedelta = timedelta(days=1)
    max_age: timedelta | None = timedelta(days=30)
    keep_label: str = "preview-keep"
    sleep_label: str = "preview-sleep"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many previews may exist at once."""

    total: int = 50
    per_repository: int = 20
    per_author: int = 5


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may have a preview. `bots` are logins such as `renovate[bot]` that may, and may put the label on."""

    drafts: bool = False
    bots: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a new row is made with: the preview chart's version, and its `settings` as canonical JSON."""

    chart_version: str = ""
    settings: str = "{}"


@dataclass(frozen=True, slots=True)
class Platform:
    """The whole of the platform team's decisions.

    `inside` is how services call each other: with `{service}`, `{namespace}` and `{port}`, or with the public `{host}`.
    """

    installation: str
    domain: str
    repositories: tuple[Repository, ...]
    label: str = "preview"
    prefix: str = "preview"
    scheme: str = "https"
    port: int | None = None
    staging: tuple[tuple[str, Staging], ...] = ()
    lifetime: Lifetime = Lifetime()
    limits: Limits = Limits()
    policy: Policy = Policy()
    cluster: Cluster = field(default_factory=Cluster)
    inside: str = "https://{host}"

    def service(self, name: str) -> Service | None:
        """The service with that name, or None."""
        return next((s for r in self.repositories for s in r.services if s.name == name), None)

    def repository(self, name: str) -> Repository | None:
        """The repository with that short name, or None."""
        return next((r for r in self.repositories if r.name == name), None)
