"""Values that Greenroom reads from GitHub and from the registry.

All values are frozen. Times are aware UTC datetimes read from GitHub's clock. Nothing here knows HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from greenroom.core.model.spec import Identity, LinkOverride


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
    """A comment that contains commands, by its id. It was written at `at`. An `edited` comment has changed since then,
    so its commands do not count.
    """

    comment: int
    by: Actor
    text: str
    at: datetime
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


class DataAction(StrEnum):
    """The data that a person asks for: that of the same seed again, or that of the newest seed that fits."""

    RESET = "reset"
    RESEED = "reseed"


@dataclass(frozen=True, slots=True)
class DataCommand:
    """A person's command that deletes the data of a preview, given at `at`. `comment` is the id of the comment.

    `followed` is set once a spec has followed it. It is then void for good, even for a spec from an older backup.
    """

    action: DataAction
    by: str
    comment: int
    at: datetime
    followed: bool = False

    @property
    def order(self) -> tuple[datetime, int]:
        """Return the place in the order of commands. A command from the terminal has the id of the last comment."""
        return self.at, self.comment


def later_command(one: DataCommand | None, other: DataCommand | None) -> DataCommand | None:
    """Return the later of two commands."""
    return max((c for c in (one, other) if c), key=lambda c: c.order, default=None)


@dataclass(frozen=True, slots=True)
class Requested:
    """Requests that people made outside of comments, for one preview."""

    choices: tuple[LinkOverride, ...] = ()
    data: DataCommand | None = None


@dataclass(frozen=True, slots=True)
class CommentState:
    """State in the signed block of our comment: times of the expiry warning and decision, the reason, and the choices.

    `heard` is the id of the last comment whose commands were decided. A command that its author was not allowed to give
    then is not allowed later either. `data` is the last command about the data.
    """

    warned_at: datetime | None = None
    expired_at: datetime | None = None
    why: str = ""
    choices: tuple[LinkOverride, ...] = ()
    heard: int = 0
    data: DataCommand | None = None


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


@dataclass(frozen=True, slots=True)
class Present:
    """The image exists. `digest` is `sha256:...`."""

    digest: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The registry answered, completely and in a known format, that the tag does not exist.

    `no_repository` means that it answered that the image's whole repository does not exist.
    """

    no_repository: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The registry could not be queried. `why` is one sentence."""

    why: str


ImageState = Present | Missing | Unknown


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
