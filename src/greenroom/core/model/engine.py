"""The state of an engine: the previews that run, and the preview sets that it stores.

All values are frozen. Times are aware UTC datetimes read from GitHub's clock. Nothing here knows Argo CD or processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from greenroom.core.model.holds import HoldKey
from greenroom.core.model.migration_report import ServiceMigration
from greenroom.core.model.spec import Identity, PreviewSpec


class Health(StrEnum):
    """Health of a preview. READY means that an HTTP probe through the public host succeeded. PREPARED means that its
    needs are ready and that its services wait for their images.
    """

    STARTING = "starting"
    PREPARED = "prepared"
    READY = "ready"
    UPDATING = "updating"
    FAILED = "failed"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True)
class BuildFailed:
    """A build of a seed image that failed. `why` is one sentence."""

    why: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """One service of a preview as it runs now. `outdated` means that not all of its processes run the version and
    settings that its engine has, and `ending` that containers of an earlier version have not ended yet. Those get no
    new connections, but may still answer the ones that they have. `leaves` is their commit, if it is another one.
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
    leaves: str = ""


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
    preview from running, if there is one. `migrations` are the reports of the migrations that ran in the pods of its
    spec, as far as they are made.
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
    migrations: tuple[ServiceMigration, ...] = ()


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
class Recovery:
    """A loss of stored data that the engine replaced from what is running. The lost part of the ledger is unknown.

    `at` is None until a pass has dated it.
    """

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PreviewSet:
    """The whole set of specs of one repository, with its ledger; `generation` grows with each change.

    `watermarks` and the ids of our `comments` are by number. `recovery` is set for an hour after stored data was lost.
    """

    repository_id: int
    repository: str
    generation: int = 0
    specs: Mapping[int, PreviewSpec] = field(default_factory=dict)
    ledger: Ledger = Ledger()
    watermarks: Mapping[int, Watermark] = field(default_factory=dict)
    comments: Mapping[int, int] = field(default_factory=dict)
    recovery: Recovery | None = None


@dataclass(frozen=True, slots=True)
class EngineState:
    """The complete state that the engine holds: the previews that exist, and the preview sets that it works from.

    `namespaces` are the existing namespaces whose names previews could need, with the preview of each (None: not ours).
    `other_installations` maps previews to the installation that has objects under their names. `doubts` maps
    repositories that cannot be read completely to a sentence that says why. Greenroom changes nothing in them, and only
    other repositories use the data that was read of them. `refusals` maps repositories to the engine's errors for specs
    that it could not apply. `unable` is a sentence that says why the engine cannot start, change or remove anything
    now; it is empty when it can. `failed_builds` holds the seed images that
    could not be built, by the key of the build, and `building` the keys of builds in progress.
    """

    previews: Mapping[Identity, ObservedPreview] = field(default_factory=dict)
    sets: Mapping[int, PreviewSet] = field(default_factory=dict)
    namespaces: Mapping[str, Identity | None] = field(default_factory=dict)
    other_installations: Mapping[Identity, str] = field(default_factory=dict)
    doubts: Mapping[int, str] = field(default_factory=dict)
    refusals: Mapping[int, str] = field(default_factory=dict)
    unable: str = ""
    failed_builds: Mapping[str, BuildFailed] = field(default_factory=dict)
    building: frozenset[str] = frozenset()

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
