"""Decisions of the platform team: services, repositories and policy, as frozen values.

`greenroom.config` reads them from YAML; nothing here knows about files. The catalog comes from the platform's own
protected configuration, never from a pull request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from greenroom.core.model.kinds import is_cache


class ImageFrom(StrEnum):
    """The commit that CI tags images with: the head of the branch, or GitHub's merge ref `refs/pull/N/merge`."""

    HEAD = "head"
    MERGE = "merge"


class ProcessKind(StrEnum):
    """Kind of process. Web processes answer HTTP, workers run forever, crons run on a schedule."""

    WEB = "web"
    WORKER = "worker"
    CRON = "cron"


class Storage(StrEnum):
    """Storage of a need. The data of `PERSISTENT` outlives its container."""

    EPHEMERAL = "ephemeral"
    PERSISTENT = "persistent"


class SeedMode(StrEnum):
    """Location of a seed's data. `LAYER`: in a layer of the image, so it is there at once and lost with the container.
    `COPY`: copied from that layer to the volume at the first start. `RESTORE`: the image contains only the dump, which
    the stock image restores at the first start.
    """

    LAYER = "layer"
    COPY = "copy"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Login:
    """An account in the data of a seed. `note` says whose it is, and `password` where its password is."""

    user: str
    note: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class SeedOptions:
    """The rest of a seed beside the path of its dump.

    `repository` is the `owner/name` that has the dump; empty means the service's own, at the commit of the preview. In
    another repository, the newest commit of `branch` counts (empty: its default branch). `rows` pairs tables with the
    minimum number of rows. `migrations` is the folder of the service's migrations; empty means that it is detected.
    `follow` means that a preview changes to a newer seed without being asked. `logins` are accounts for testers.
    """

    repository: str = ""
    branch: str = ""
    mode: SeedMode = SeedMode.LAYER
    extensions: tuple[str, ...] = ()
    rows: tuple[tuple[str, int], ...] = ()
    migrations: str = ""
    follow: bool = False
    logins: tuple[Login, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """Location of a service's image, and the tags that CI gives it.

    `repository` has no tag and starts with the registry host (`registry.example.com/shop/catalog`). `tag` may contain
    `{sha}`, `{short_sha}` (7 digits) and `{number}`.
    """

    repository: str
    tag: str = "{sha}"
    built_from: ImageFrom = ImageFrom.HEAD

    def reference(self, sha: str, number: int) -> str:
        """Return the full reference that CI is expected to push for a commit, `host/name:tag`."""
        return f"{self.repository}:{self.tag.format(sha=sha, short_sha=sha[:7], number=number)}"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a service. An empty `command` means the image's own; `port` is None if the process does not
    listen.
    """

    name: str
    kind: ProcessKind = ProcessKind.WEB
    command: tuple[str, ...] = ()
    port: int | None = None
    schedule: str = ""
    replicas: int = 1
    migrates: bool = False
    probe: str = "/"


@dataclass(frozen=True, slots=True)
class Need:
    """A backing service that belongs to the preview: its database, queue or cache, of a kind that Greenroom knows.

    `variables` pairs parts of its address (url, host, port, user, password, database) with the variables that receive
    them. `seed` is the path of a dump in a git repository, or empty. `image` replaces the stock image and carries its
    own data. `memory` and `size` are Kubernetes quantities; empty means the chart's default.
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
    seed_options: SeedOptions = SeedOptions()

    @property
    def keeps(self) -> bool:
        """Return whether its data must be kept."""
        return self.storage is Storage.PERSISTENT or not is_cache(self.kind)


@dataclass(frozen=True, slots=True)
class SharedNeed:
    """A need of another service of the same repository, by its name there. `variables` is as in `Need`."""

    service: str
    name: str
    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Kubernetes objects of the platform team, each as canonical JSON, for needs that Greenroom has no kind for."""

    name: str
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """Another service that this one calls.

    `variables` pairs a part of its address with the variable that receives it: `url` (for calls between servers),
    `public` (for browsers), `host`, `port`. `same_branch` prefers the preview of a pull request that belongs together
    with this one. `required` means that this preview does not start without a preview of the other service.
    """

    service: str
    variables: tuple[tuple[str, str], ...]
    same_branch: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class Staging:
    """Addresses of the shared service: servers use `url`, browsers use `public`."""

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
    """One entry of the catalog. `repository` is the catalog's short name of its GitHub repository.

    `address` pairs `public` (its own URL) and `origins` (those of all callers from a browser) with variables.
    `run_as_user` is a user's number; None means the image's own.
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
        """Return the process that its URL leads to: the first web process with a port."""
        return next((p for p in self.processes if p.kind is ProcessKind.WEB and p.port is not None), None)


@dataclass(frozen=True, slots=True)
class Repository:
    """A GitHub repository of the catalog. `slug` is `owner/name`; `name` is unique and short, as in `shop#42`.

    `prepare` means that its previews start without their services while CI builds the images.
    """

    name: str
    slug: str
    services: tuple[Service, ...]
    prepare: bool = True


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Rules for the expiry of previews; None disables a rule. `sleep_label` puts a preview to sleep while it is on."""

    inactive_after: timedelta | None = timedelta(days=3)
    warn_before: timedelta = timedelta(days=1)
    max_age: timedelta | None = timedelta(days=30)
    keep_label: str = "preview-keep"
    sleep_label: str = "preview-sleep"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the number of previews that exist at once."""

    total: int = 50
    per_repository: int = 20
    per_author: int = 5


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules on who may have a preview. `bots` are logins such as `renovate[bot]` that may have one and may add the
    label.
    """

    drafts: bool = False
    bots: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cluster:
    """Inputs of a new spec: the preview chart's version, and its `settings` as canonical JSON."""

    chart_version: str = ""
    settings: str = "{}"


@dataclass(frozen=True, slots=True)
class Seeds:
    """Images of seeds on a cluster. `image` is their image name without a tag; empty means that there are none.

    `builds` means that Greenroom builds missing images in the cluster. Otherwise, CI does. `public_logins` means that
    comments in public repositories name the accounts of seeds too.
    """

    image: str = ""
    builds: bool = False
    public_logins: bool = False


@dataclass(frozen=True, slots=True)
class Platform:
    """All decisions of the platform team.

    `inside` is the address that services use to call each other, with `{service}`, `{namespace}` and `{port}`, or with
    the public `{host}`.
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
    seeds: Seeds = Seeds()
    inside: str = "https://{host}"

    def service(self, name: str) -> Service | None:
        """Return the service with that name, or None."""
        return next((s for r in self.repositories for s in r.services if s.name == name), None)

    def owner(self, service: str) -> Repository | None:
        """Return the repository of the service with that name, or None."""
        return next((r for r in self.repositories if any(s.name == service for s in r.services)), None)

    def repository(self, name: str) -> Repository | None:
        """Return the repository with that short name, or None."""
        return next((r for r in self.repositories if r.name == name), None)
