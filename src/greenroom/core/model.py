"""The words of Greenroom as values: what is read (facts), what should be (verdicts), what exists (observed).

All are frozen; times are aware UTC datetimes read from GitHub's clock. Nothing here knows HTTP, Argo CD or processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from greenroom.core.rows import Choice, Row


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """Which preview: GitHub's numeric repository id (it survives renames) and the pull request's number."""

    repository_id: int
    number: int

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number}"


# --- what a person did -------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What GitHub says an actor is. `NOBODY` is a deleted account."""

    PERSON = "person"
    BOT = "bot"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody on GitHub."""

    login: str
    kind: Kind = Kind.PERSON


UNKNOWN_LABEL = ""


@dataclass(frozen=True, slots=True)
class LabelEvent:
    """A label put on (`added`) or taken off, by whom and when.

    `label` is `UNKNOWN_LABEL` when GitHub no longer names it, because that label was deleted in the repository.
    """

    label: str
    added: bool
    actor: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that happened on the pull request. `kind`: pushed, commented, reviewed, reopened, ready, requested;
    `committed` for a commit, with the time of its author's clock; `earlier` for activity before the events that GitHub
    returned.
    """

    kind: str
    actor: Actor
    at: datetime


class State(StrEnum):
    """Whether a pull request is open."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class Comment:
    """Our one comment. `trusted` is False when someone else wrote or last edited it: then its block is doubt."""

    id: int
    body: str
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class Said:
    """A comment with commands in it, by its id. `edited`: it is not as it was written, so it commands nothing."""

    comment: int
    by: Actor
    text: str
    edited: bool = False


@dataclass(frozen=True, slots=True)
class PullRequest:
    """One pull request, read whole. `label_events` are all that concern labels, oldest first.

    `said` are the comments with commands, `mentions` the pull requests that the description says belong to it
    (`Preview-with: owner/repo#N`, in lower case). `changed` are the paths that differ from the base, including the old
    paths of renamed files; None when they are not all known. `changed_files` is GitHub's count of them. `merge_sha` is
    GitHub's merge commit of this head, or None; `conflicts` means that there cannot be one. `mine` are all comments
    that we wrote, oldest first; `comment` is the one that we keep up to date.
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
    changed: frozenset[str] | None = None
    changed_files: int = 0
    conflicts: bool = False
    said: tuple[Said, ...] = ()
    mentions: tuple[str, ...] = ()
    mine: tuple[Comment, ...] = ()

    @property
    def fork(self) -> bool:
        """Whether the head is in another repository, or in one that is gone."""
        return self.head_repository_id != self.identity.repository_id


@dataclass(frozen=True, slots=True)
class Listing:
    """All open pull requests of one repository, read whole. `read_at` is GitHub's Date of its first page.

    `doubts` maps open pull requests that could not be read completely to the reason. They are not in `pull_requests`,
    and nothing about them is changed.
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
    """One pull request read by its number, whole and after the list. `closed_by` is who closed it, if GitHub says.

    `label_since` is when the preview's label was created in the repository, read after the events of the pull request;
    None when the repository has no such label.
    """

    pull_request: PullRequest
    read_at: datetime
    closed_by: Actor | None = None
    label_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What our comment's signed block remembers: when we warned of an expiry, when we decided it and why; choices.

    `heard` is the id of the last comment whose commands are decided: what nobody might command then, nobody may later.
    """

    warned_at: datetime | None = None
    expired_at: datetime | None = None
    why: str = ""
    choices: tuple[Choice, ...] = ()
    heard: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """A signed block that was verified. `stale_key` says that an older key signed it: sign it again."""

    sequence: int
    memory: Memory
    stale_key: bool = False


class Permission(StrEnum):
    """A person's permission on a repository; UNKNOWN means that it could not be read."""

    ADMIN = "admin"
    WRITE = "write"
    READ = "read"
    NONE = "none"
    UNKNOWN = "unknown"


# --- what the registry says --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Present:
    """The image exists; `digest` is `sha256:...`."""

    digest: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The registry says, whole and understood, that there is no such tag."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The registry could not be asked; `why` is one sentence."""

    why: str


ImageState = Present | Missing | Unknown


# --- what the engine says ----------------------------------------------------------------------------------------


class Health(StrEnum):
    """What runs. READY means that an HTTP probe through the public host answered."""

    STARTING = "starting"
    READY = "ready"
    UPDATING = "updating"
    FAILED = "failed"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True)
class Running:
    """One service of a preview as it runs now."""

    service: str
    url: str
    sha: str
    digest: str
    ready: bool
    since: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Life:
    """The container, or pod, that one need's data ends with. `overtaken`: services started before it did."""

    need: str
    container: str
    overtaken: bool = False


@dataclass(frozen=True, slots=True)
class ObservedPreview:
    """One preview that the engine holds. `uid` names this very incarnation of the object, for a safe removal.

    `why` is one plain sentence when something does not run, or does not go, `fix` what helps if it is not a push; `log`
    the lines that matter, scrubbed.
    `by_hand` are parameters that people set in Argo CD; `refused_for` is how long ago Argo CD last failed to apply
    the row that it has.
    """

    identity: Identity
    uid: str
    row: Row
    health: Health
    services: tuple[Running, ...] = ()
    since: datetime | None = None
    why: str = ""
    fix: str = ""
    log: tuple[str, ...] = ()
    lives: tuple[Life, ...] = ()
    by_hand: tuple[tuple[str, str], ...] = ()
    refused_for: timedelta | None = None


class Cause(StrEnum):
    """Why a preview goes."""

    CLOSED = "closed"
    MERGED = "merged"
    UNLABELLED = "unlabelled"
    EXPIRED = "expired"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A row that we took out: an entry of the ledger until the removal is told, and for the hour that is counted.

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
    """A row that changed without a new commit, digest, choice or incarnation."""

    identity: Identity
    at: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """What a person released: exactly one hold of one preview, by its key."""

    identity: Identity
    hold: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Ledger:
    """What removals and restarts the last hour saw, and what a person released. It lives with the engine."""

    withdrawals: tuple[Withdrawal, ...] = ()
    restarts: tuple[Restart, ...] = ()
    releases: tuple[Release, ...] = ()


@dataclass(frozen=True, slots=True)
class Watermark:
    """The newest `updated_at` ever read of a pull request, and the last event that asked for its preview."""

    updated_at: datetime
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RowSet:
    """The whole set of rows of one repository, with its ledger; `generation` grows with each change.

    `watermarks` and the ids of our `comments` are by number. Both are empty in sets written by older versions.
    """

    repository_id: int
    repository: str
    generation: int = 0
    rows: Mapping[int, Row] = field(default_factory=dict)
    ledger: Ledger = Ledger()
    watermarks: Mapping[int, Watermark] = field(default_factory=dict)
    comments: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that the engine holds, complete: previews that exist, and the row sets that it works from.

    `namespaces` are those whose names previews could want, with the preview of each (None: not ours). `foreign` are
    previews of which another installation has something under our names, with that installation. `doubts` are the
    repositories of which something cannot be read, with the sentence why: of them nothing is changed, and what is here
    of them is for others to look at.
    """

    previews: Mapping[Identity, ObservedPreview] = field(default_factory=dict)
    sets: Mapping[int, RowSet] = field(default_factory=dict)
    namespaces: Mapping[str, Identity | None] = field(default_factory=dict)
    foreign: Mapping[Identity, str] = field(default_factory=dict)
    doubts: Mapping[int, str] = field(default_factory=dict)

    def row(self, identity: Identity) -> Row | None:
        """The row that the engine works from now, or None when it is out."""
        rows = self.sets.get(identity.repository_id)
        return rows.rows.get(identity.number) if rows else None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The verified statement of what a removed preview left. `unverified` is what cannot be seen from here.

    `comment_error` is why the comment on the pull request could not be updated.
    """

    identity: Identity
    checked: tuple[str, ...]
    left: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    comment_error: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing is left of all that was checked."""
        return not self.left


@dataclass(frozen=True, slots=True)
class Facts:
    """All that one pass over one repository has read.

    `confirmed` holds by-number reads, or the sentence why one failed; `blocks` the verified blocks by number (a missing
    entry is doubt). `rights` are permissions by (`owner/name`, login), for pairs across repositories, and `readers` by
    (service, login) on the repository of a service that somebody wants to use. `stale` are the numbers whose read is
    older than a hint, an earlier read or our own last write. `asked` are choices made without a comment, by number.
    `watermarks` are the newest reads of each pull request, of this pass or earlier ones. `promised` are the
    numbers whose comment, when last seen, promised a preview. `hidden` are the numbers that GitHub does not show
    although it shows the repository.
    """

    listing: Listing
    observed: Observed
    confirmed: Mapping[int, Confirmation | str] = field(default_factory=dict)
    permissions: Mapping[str, Permission] = field(default_factory=dict)
    rights: Mapping[tuple[str, str], Permission] = field(default_factory=dict)
    readers: Mapping[tuple[str, str], Permission] = field(default_factory=dict)
    images: Mapping[str, ImageState] = field(default_factory=dict)
    blocks: Mapping[int, Block] = field(default_factory=dict)
    stale: frozenset[int] = frozenset()
    asked: Mapping[int, tuple[Choice, ...]] = field(default_factory=dict)
    promised: frozenset[int] = frozenset()
    watermarks: Mapping[int, Watermark] = field(default_factory=dict)
    hidden: frozenset[int] = frozenset()
