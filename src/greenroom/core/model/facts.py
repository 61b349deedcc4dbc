"""Values that Greenroom works with: the facts that it reads, and the previews that the engine observes.

All are frozen. Times are aware UTC datetimes read from GitHub's clock. Nothing here knows HTTP, Argo CD or processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum

from greenroom.core.model.holds import HoldKey
from greenroom.core.model.spec import Identity, LinkOverride, PreviewSpec

# --- pull requests and people ------------------------------------------------------------------------------------


class Kind(StrEnum):
    """Type of an actor, as GitHub reports it. `NOBODY` is a deleted account."""

    PERSON = "person"
    BOT = "bot"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Actor:
    """An account on GitHub."""

    login: str
    kind: Kind = Kind.PERSON


UNKNOWN_LABEL = ""


@dataclass(frozen=True, slots=True)
class LabelEvent:
    """The addition (`added`) or removal of a label, with its actor and time.

    `label` is `UNKNOWN_LABEL` when GitHub no longer names the label, because it was deleted in the repository.
    """

    label: str
    added: bool
    actor: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class Activity:
    """An event on the pull request. `kind` is pushed, commented, reviewed, reopened, ready or requested. It is
    `committed` for a commit, with the time of its author's clock. It is `earlier` for activity before the events that
    GitHub returned.
    """

    kind: str
    actor: Actor
    at: datetime


class State(StrEnum):
    """State of a pull request."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class Comment:
    """Our one comment. `trusted` is False when someone else wrote or last edited it; its block then counts as doubt."""

    id: int
    body: str
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class CommandComment:
    """A comment that contains commands, by its id. An `edited` comment has changed since it was written, so its
    commands do not count.
    """

    comment: int
    by: Actor
    text: str
    edited: bool = False


@dataclass(frozen=True, slots=True)
class PullRequest:
    """One pull request, read completely. `label_events` holds all events that concern labels, oldest first.

    `said` holds the comments that contain commands. `mentions` holds the pull requests that the description lists as
    belonging to this one (`Preview-with: owner/repo#N`, in lower case). `changed` holds the paths that differ from the
    base, including the old paths of renamed files; it is None when they are not all known. `changed_files` is GitHub's
    count of them. `merge_sha` is GitHub's merge commit of this head, or None; `conflicts` means that there cannot be
    one. `base_sha` is the commit of the base branch that GitHub stores with the pull request, and `base_tip` is the
    branch's newest commit. `mine` holds all comments that we wrote, oldest first; `comment` is the one that we keep up
    to date.
    """

    identity: Identity
    title: str
    url: str
    author: Actor
    state: State
    draft: bool
    head_sha: str
    head_ref: str
    head_repository_id: int | None
    base_ref: str
    labels: frozenset[str]
    label_events: tuple[LabelEvent, ...]
    activities: tuple[Activity, ...]
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    merge_sha: str | None = None
    comment: Comment | None = None
    base_sha: str = ""
    base_tip: str = ""
    changed: frozenset[str] | None = None
    changed_files: int = 0
    conflicts: bool = False
    said: tuple[CommandComment, ...] = ()
    mentions: tuple[str, ...] = ()
    mine: tuple[Comment, ...] = ()

    @property
    def fork(self) -> bool:
        """Return whether the head is in another repository, or in one that no longer exists."""
        return self.head_repository_id != self.identity.repository_id


@dataclass(frozen=True, slots=True)
class Listing:
    """All open pull requests of one repository, read completely. `read_at` is the Date header of GitHub's first page.

    `doubts` maps open pull requests that could not be read completely to the reason. They are not in `pull_requests`,
    and Greenroom changes nothing about them.
    """

    repository_id: int
    slug: str
    private: bool
    me: str
    read_at: datetime
    pull_requests: tuple[PullRequest, ...]
    doubts: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One pull request, read completely by its number after the list. `closed_by` is the actor who closed it, if GitHub
    shows one.

    `label_since` is the time at which the preview's label was created in the repository, read after the events of the
    pull request. It is None when the repository has no such label.
    """

    pull_request: PullRequest
    read_at: datetime
    closed_by: Actor | None = None
    label_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class CommentState:
    """State in the signed block of our comment: times of the expiry warning and decision, the reason, and the choices.

    `heard` is the id of the last comment whose commands were decided. A command that its author was not allowed to give
    then is not allowed later either.
    """

    warned_at: datetime | None = None
    expired_at: datetime | None = None
    why: str = ""
    choices: tuple[LinkOverride, ...] = ()
    heard: int = 0


@dataclass(frozen=True, slots=True)
class SignedState:
    """A verified signed block. `stale_key` means that an older key signed it, so it must be signed again."""

    sequence: int
    memory: CommentState
    stale_key: bool = False


class Permission(StrEnum):
    """A person's permission on a repository; UNKNOWN means that it could not be read."""

    ADMIN = "admin"
    WRITE = "write"
    READ = "read"
    NONE = "none"
    UNKNOWN = "unknown"


# --- the registry ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Present:
    """The image exists. `digest` is `sha256:...`."""

    digest: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The registry answered, completely and in a known format, that the tag does not exist."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The registry could not be queried. `why` is one sentence."""

    why: str


ImageState = Present | Missing | Unknown


# --- the engine --------------------------------------------------------------------------------------------------


class Health(StrEnum):
    """Health of a preview. READY means that an HTTP probe through the public host succeeded."""

    STARTING = "starting"
    READY = "ready"
    UPDATING = "updating"
    FAILED = "failed"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True)
class Running:
    """One service of a preview as it runs now. `outdated` means that not all of its processes run the version and
    settings that its engine has, and `ending` that containers of an earlier version have not ended yet. Those get no
    new connections, but may still answer the ones that they have.
    """

    service: str
    url: str
    sha: str
    digest: str
    ready: bool
    since: datetime | None = None
    note: str = ""
    outdated: bool = False
    ending: bool = False


@dataclass(frozen=True, slots=True)
class Life:
    """The container or pod that holds one need's data, which is lost when it ends. `overtaken` means that services
    started before it did.
    """

    need: str
    container: str
    overtaken: bool = False


@dataclass(frozen=True, slots=True)
class ObservedPreview:
    """One preview that the engine holds. `uid` identifies the object itself, so that a removal never hits
    a later object with its name.

    `why` is one plain sentence when something does not run or cannot be removed. `fix` is the remedy, if it is not a
    push. `log` holds the relevant lines, scrubbed. `manual_overrides` holds parameters that people set in Argo CD.
    `refused_for` is the time since Argo CD last failed to apply its current spec. `calls` holds the hosts that the
    links of its running processes point to, regardless of its spec. `failing` is the service that keeps a failed
    preview from running, if there is one.
    """

    identity: Identity
    uid: str
    spec: PreviewSpec
    health: Health
    services: tuple[Running, ...] = ()
    since: datetime | None = None
    why: str = ""
    fix: str = ""
    log: tuple[str, ...] = ()
    lives: tuple[Life, ...] = ()
    manual_overrides: tuple[tuple[str, str], ...] = ()
    refused_for: timedelta | None = None
    calls: frozenset[str] = frozenset()
    failing: str = ""


class Cause(StrEnum):
    """Cause of a preview's removal."""

    CLOSED = "closed"
    MERGED = "merged"
    UNLABELED = "unlabeled"
    EXPIRED = "expired"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A spec that we took out. The entry stays in the ledger until the removal is reported, and for the hour that the
    breaker counts.

    `why` is an expiry's cause.
    """

    identity: Identity
    cause: Cause
    at: datetime
    by: str = ""
    label: str = ""
    told: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Restart:
    """A spec that changed without a new commit, digest, choice or data generation."""

    identity: Identity
    at: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """A person's release of exactly one hold of one preview, by its key."""

    identity: Identity
    hold: HoldKey
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Ledger:
    """The removals and restarts of the last hour, and the holds that people released. The engine stores it."""

    withdrawals: tuple[Withdrawal, ...] = ()
    restarts: tuple[Restart, ...] = ()
    releases: tuple[Release, ...] = ()


@dataclass(frozen=True, slots=True)
class Watermark:
    """The newest `updated_at` ever read of a pull request, and the last event that requested its preview."""

    updated_at: datetime
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PreviewSet:
    """The whole set of specs of one repository, with its ledger; `generation` grows with each change.

    `watermarks` and the ids of our `comments` are by number. Both are empty in sets written by older versions.
    """

    repository_id: int
    repository: str
    generation: int = 0
    specs: Mapping[int, PreviewSpec] = field(default_factory=dict)
    ledger: Ledger = Ledger()
    watermarks: Mapping[int, Watermark] = field(default_factory=dict)
    comments: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineState:
    """The complete state that the engine holds: the previews that exist, and the preview sets that it works from.

    `namespaces` are the existing namespaces whose names previews could need, with the preview of each (None: not ours).
    `other_installations` maps previews to the installation that has objects under their names. `doubts` maps
    repositories that cannot be read completely to a sentence that says why. Greenroom changes nothing in them, and only
    other repositories use the data that was read of them. `refusals` maps repositories to the engine's errors for specs
    that it could not apply. `unable` is a sentence that says why the engine cannot start, change or remove anything
    now; it is empty when it can.
    """

    previews: Mapping[Identity, ObservedPreview] = field(default_factory=dict)
    sets: Mapping[int, PreviewSet] = field(default_factory=dict)
    namespaces: Mapping[str, Identity | None] = field(default_factory=dict)
    other_installations: Mapping[Identity, str] = field(default_factory=dict)
    doubts: Mapping[int, str] = field(default_factory=dict)
    refusals: Mapping[int, str] = field(default_factory=dict)
    unable: str = ""

    def spec(self, identity: Identity) -> PreviewSpec | None:
        """Return the spec that the engine works from now, or None when it was taken out."""
        preview_set = self.sets.get(identity.repository_id)
        return preview_set.specs.get(identity.number) if preview_set else None

    def held(self, repository_id: int) -> set[Identity]:
        """Return the previews of one repository that the engine still holds: previews, specs, and withdrawals not yet
        reported.
        """
        preview_set = self.sets.get(repository_id) or PreviewSet(repository_id, "")
        entries = {w.identity.number for w in preview_set.ledger.withdrawals if not w.told}
        running = {i.number for i in self.previews if i.repository_id == repository_id}
        return {Identity(repository_id, number) for number in running | preview_set.specs.keys() | entries}

    def last_spec(self, identity: Identity) -> PreviewSpec | None:
        """Return the spec that is served, or the one that a withdrawn preview was made from."""
        preview = self.previews.get(identity)
        return self.spec(identity) or (preview.spec if preview else None)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The verified list of leftovers of a removed preview. `unverified` holds the objects that cannot be checked from
    here.

    `comment_error` says why the comment on the pull request could not be updated.
    """

    identity: Identity
    checked: tuple[str, ...]
    left: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    comment_error: str = ""

    @property
    def clean(self) -> bool:
        """Return whether nothing is left of the objects that were checked."""
        return not self.left


@dataclass(frozen=True, slots=True)
class Permissions:
    """The permissions that a pass over one repository has read. What was not read is unknown.

    `slug` is the repository's `owner/name`. `people` holds permissions by (`owner/name`, login), also on other
    repositories. `owners` maps each service that a person wants to use to its repository's `owner/name`.
    """

    slug: str = ""
    people: Mapping[tuple[str, str], Permission] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)

    def here(self, login: str) -> Permission:
        """Return a person's permission on the repository of the pass."""
        return self.on(self.slug, login)

    def on(self, slug: str, login: str) -> Permission:
        """Return a person's permission on any repository."""
        return self.people.get((slug, login), Permission.UNKNOWN)

    def to_use(self, service: str, login: str) -> Permission:
        """Return a person's permission on the repository of a service."""
        return self.on(self.owners.get(service, ""), login)


@dataclass(frozen=True, slots=True)
class PullRequestFacts:
    """The pull requests of one repository as a pass has read them, and what the engine holds of them.

    `confirmed` holds by-number reads, or the sentence why one failed. `blocks` holds the verified blocks by number; a
    missing entry is doubt. `stale` holds the numbers whose read is older than a hint, an earlier read, our own last
    write or the served choices. `watermarks` holds the newest reads of each pull request, from this pass or earlier
    ones. `promised` holds the numbers whose comment promised a preview when it was last read. `duplicates` holds, by
    number, the ids of our comments other than the one that we keep. `hidden` holds the numbers that GitHub hides
    although it shows the repository.
    """

    listing: Listing
    observed: EngineState
    confirmed: Mapping[int, Confirmation | str] = field(default_factory=dict)
    blocks: Mapping[int, SignedState] = field(default_factory=dict)
    stale: frozenset[int] = frozenset()
    promised: frozenset[int] = frozenset()
    duplicates: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    watermarks: Mapping[int, Watermark] = field(default_factory=dict)
    hidden: frozenset[int] = frozenset()

    def completed(
        self,
        asked: Mapping[int, tuple[LinkOverride, ...]],
        permissions: Permissions,
        images: Mapping[str, ImageState],
    ) -> Facts:
        """Return all facts of the pass, once everything that these pull requests need was looked up."""
        read = {f.name: getattr(self, f.name) for f in fields(PullRequestFacts)}
        return Facts(**read, asked=asked, permissions=permissions, images=images)


@dataclass(frozen=True, slots=True)
class Facts(PullRequestFacts):
    """All facts of one pass over one repository. Only these can be decided on.

    `asked` holds choices made without a comment, by number. `images` holds the answers of the registry by reference.
    """

    asked: Mapping[int, tuple[LinkOverride, ...]] = field(default_factory=dict)
    permissions: Permissions = Permissions()
    images: Mapping[str, ImageState] = field(default_factory=dict)
