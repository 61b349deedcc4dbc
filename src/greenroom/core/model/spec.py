"""The description of one preview for an engine, in parts by the reason for which they change.

Whether a new description is a push, a restart, another link or nothing is a comparison of parts, so a new field belongs
to exactly one part. A description holds no secrets. It holds free text written by strangers only as values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from greenroom.core.model.catalog import Need, Service, Storage
from greenroom.core.model.kinds import is_cache


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """The identity of a preview: GitHub's id of the repository, which survives renames, and the number there."""

    repository_id: int
    number: int

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number}"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a preview. A change of any of them would make it another preview.

    `name` is that of its Application, `repository` is the catalog's short name of its repository, `hosts` maps each
    public service to its host, and `label` is the label that requested the preview.
    """

    name: str
    namespace: str
    label: str
    hosts: Mapping[str, str] = field(hash=False)
    repository: str

    def host(self, service: str) -> str | None:
        """Return the public host of a service, or None when it has none."""
        return self.hosts.get(service)

    def answers(self, host: str) -> bool:
        """Return whether a host belongs to this preview: one of its public hosts, or a host in its namespace."""
        return host in self.hosts.values() or self.namespace in host.split(".")[1:]


@dataclass(frozen=True, slots=True)
class Version:
    """The commit and image that one service runs. `digest` is `sha256:...`; `reference` is `host/name:tag`."""

    service: str
    sha: str
    reference: str
    digest: str


@dataclass(frozen=True, slots=True)
class Build:
    """The part that a push changes: head and versions of the services. `retry` grows with each new try of Argo CD.

    Without versions, the preview is prepared: its needs run, and its services wait for the images of the head.
    """

    head_sha: str
    versions: tuple[Version, ...]
    retry: int = 0


@dataclass(frozen=True, slots=True)
class Chart:
    """The chart and its settings (canonical JSON). They stay as they are until the next push or a redeploy."""

    version: str = ""
    settings: str = "{}"


@dataclass(frozen=True, slots=True)
class Injected:
    """A variable of a service whose value follows from addresses: its own, and those of its callers."""

    service: str
    variable: str
    value: str


@dataclass(frozen=True, slots=True)
class Config:
    """The part that the configuration decides. A change restarts services, which the breaker counts."""

    services: tuple[Service, ...]
    injected: tuple[Injected, ...] = ()

    def variables(self, service: str) -> dict[str, str]:
        """Return the injected variables of one service."""
        return {each.variable: each.value for each in self.injected if each.service == service}


@dataclass(frozen=True, slots=True)
class SeedImage:
    """The image with the data that one need starts from. `dump` is the git blob id of its dump.

    `size` is the size of the data in bytes, 0 if the image does not say it.
    """

    service: str
    need: str
    reference: str
    digest: str
    dump: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Data:
    """The life of the preview's data. `generation` grows when it starts from the seed again (`reset_at`), and `holders`
    maps each need to the container that holds its data.

    `seeds` stay as they are until a person asks for newer ones, even when the dump changes. `resets` counts the times
    that this happened or a person asked for fresh data. The last time replaced the containers in `replaced`. `command`
    and `commanded_at` are those of the last command that was followed. `by` is the cause of the last reset: a person,
    or `a newer seed`. It is empty if the container restarted.
    """

    generation: int = 1
    holders: Mapping[str, str] = field(default_factory=dict, hash=False)
    reset_at: datetime | None = None
    seeds: tuple[SeedImage, ...] = ()
    resets: int = 0
    replaced: tuple[str, ...] = ()
    command: int = 0
    commanded_at: datetime | None = None
    by: str = ""

    def seed(self, service: str, need: str) -> SeedImage | None:
        """Return the image that a need starts from, or None when it starts empty."""
        return next((s for s in self.seeds if (s.service, s.need) == (service, need)), None)


class LinkCause(StrEnum):
    """Cause of a link's target. `messages.link_reason` has the words."""

    STAGING = "staging"
    OWN = "own"
    CHOSEN = "chosen"
    SAME_BRANCH = "same-branch"
    NAMED = "named"
    UNTIL_CHOSEN = "until-chosen"
    UNTIL_NAMED = "until-named"
    UNTIL_CONFIRMED = "until-confirmed"
    UNTIL_BUILT = "until-built"
    AMBIGUOUS = "ambiguous"
    PAIR_GONE = "pair-gone"


@dataclass(frozen=True, slots=True)
class LinkReason:
    """The reason for a link's target. `by` is the person who chose it.

    `previews` holds the previews that it is about: the one that is missing, or those between which a person has to
    choose. `no_staging` means that the link should lead to staging, which the service does not have.
    """

    cause: LinkCause = LinkCause.STAGING
    by: str = ""
    previews: tuple[str, ...] = ()
    no_staging: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """The target of one `uses` entry of `service`, and the reason for it.

    `variables` pairs parts of the address with variables, as in `Use`. `number` is the pull request whose preview
    answers, 0 for none. `namespace` and `port` are the location of that preview. They are unused for a service of this
    preview itself (`own`). `wanted` is the number of the preview that should answer and does not exist. `paired` means
    that no person chose the preview: the two pull requests belong together.
    """

    service: str
    target: str
    variables: tuple[tuple[str, str], ...]
    url: str
    public: str
    why: LinkReason = LinkReason()
    number: int = 0
    namespace: str = ""
    port: int = 0
    wanted: int = 0
    own: bool = False
    paired: bool = False

    @property
    def destination(self) -> Link:
        """Return the link without the reason for it: what the pods of the service receive."""
        return replace(self, why=LinkReason(), number=0, wanted=0, own=False, paired=False)


@dataclass(frozen=True, slots=True, order=True)
class Caller:
    """Another preview that may call a service of this one, by its namespace, and the port that it calls."""

    service: str
    namespace: str
    port: int


@dataclass(frozen=True, slots=True)
class Links:
    """The links to other services, and the previews that may call this one."""

    targets: tuple[Link, ...] = ()
    callers: tuple[Caller, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkOverride:
    """A person's choice for a service that the preview uses: `staging`, `default`, or a pull request's number.

    `comment` is the id of the comment that made the choice; of two choices the later one counts. `refused` means that
    the person may not read the target's repository.
    """

    service: str
    to: str
    by: str
    comment: int
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """People's choices. They apply at once, whatever else waits.

    `comment_version` is the sequence of the signed block that first held the overrides. `asleep` scales services to
    zero. `sleep_requested` means that the sleep label is on; a preview that others use stays awake.
    """

    overrides: tuple[LinkOverride, ...] = ()
    comment_version: int = 0
    asleep: bool = False
    sleep_requested: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """The facts about the pull request that others see. They are never held back.

    `slug` is `owner/name`. `mentions` holds the pull requests that its description names (`owner/repo#N`, lower case).
    """

    slug: str
    author: str
    url: str = ""
    branch: str = ""
    private: bool = True
    mentions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitingPush:
    """A pushed commit that is not deployed yet, and when it was first seen."""

    head_sha: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Times:
    """The creation of the preview, the first time that its head was served, and what waits. No pod depends on them."""

    created: datetime
    head_since: datetime
    waiting: WaitingPush | None = None


@dataclass(frozen=True, slots=True)
class PreviewSpec:
    """One preview, as described to an engine. The parts are ordered by what a change of them means."""

    id: Identity
    names: Names
    build: Build
    config: Config
    pull_request: Origin
    times: Times
    chart: Chart = Chart()
    data: Data = Data()
    links: Links = Links()
    choices: Choices = Choices()

    @property
    def services(self) -> tuple[Service, ...]:
        """Return the services of the preview."""
        return self.config.services

    @property
    def title(self) -> str:
        """Return the preview as people write it: `shop#42`."""
        return f"{self.names.repository}#{self.id.number}"

    @property
    def prepared(self) -> bool:
        """Return whether its services wait for their first images, so that none of them runs."""
        return not self.build.versions

    @property
    def asleep(self) -> bool:
        """Return whether its services are scaled to zero."""
        return self.choices.asleep

    @property
    def resettable(self) -> tuple[tuple[str, Need], ...]:
        """Return the needs whose data a person can replace, each with its service.

        A volume without a seed keeps its data, because there is nothing to start from. A cache has no data to lose.
        """
        return tuple(
            (service.name, need)
            for service in self.services
            for need in service.needs
            if not is_cache(need.kind)
            and (need.storage is Storage.EPHEMERAL or self.data.seed(service.name, need.name) is not None)
        )

    def version(self, service: str) -> Version | None:
        """Return what a service runs, or None when it has no image yet."""
        return next((v for v in self.build.versions if v.service == service), None)


def with_privacy(spec: PreviewSpec, private: bool) -> PreviewSpec:
    """Return the spec as one of a private or public repository."""
    return replace(spec, pull_request=replace(spec.pull_request, private=private))


def is_push(old: PreviewSpec, new: PreviewSpec) -> bool:
    """Return whether another version, another try or fresh data must run. A changed configuration comes with it."""
    return old.build != new.build or old.data.generation != new.data.generation


def same_pods(old: PreviewSpec, new: PreviewSpec) -> bool:
    """Return whether both make the same pods."""
    return _pods(old) == _pods(new)


def _pods(spec: PreviewSpec) -> tuple[object, ...]:
    links = tuple(link.destination for link in spec.links.targets)
    if spec.prepared:  # no pod runs the head
        spec = replace(spec, build=Build("", (), spec.build.retry))
    data = (spec.data.generation, spec.data.seeds, spec.data.resets)
    return spec.id, spec.names, spec.build, spec.config, spec.chart, data, links, spec.asleep


def seen_by_others(spec: PreviewSpec) -> object:
    """Return what the links and comments of other previews depend on."""
    links = [(link.target, link.number, link.wanted) for link in spec.links.targets]
    sleep = spec.choices.asleep, spec.choices.sleep_requested
    return spec.names, spec.services, spec.pull_request, sleep, links, spec.prepared
