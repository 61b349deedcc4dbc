"""CI as GitHub reports it for one commit: workflow runs of GitHub Actions, and check runs of other apps.

These facts explain why an image is missing. Nothing else depends on them: no verdict and no plan reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from greenroom.core.model.spec import Identity


class CiState(StrEnum):
    """State of one run. `APPROVAL` waits for a maintainer, `PROTECTED` for the protection rules of an environment.

    `ACTION` is a check of another app that ended and asks a person to do something.
    """

    QUEUED = "queued"
    RUNNING = "running"
    APPROVAL = "approval"
    PROTECTED = "protected"
    FAILED = "failed"
    ACTION = "action"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class MissingImages:
    """All images that a preview waits for, in the order of its services.

    `head` are those of the pull request's commit. `base` are those of the base branch, whose name is `branch`, for
    services that the pull request does not change. `merged` means that CI builds the merge commit of each push. `note`
    is a sentence about all services, or empty. `absent` are the repositories that the registry does not have.
    """

    references: tuple[str, ...]
    head: tuple[str, ...]
    base: tuple[str, ...] = ()
    branch: str = ""
    merged: bool = False
    note: str = ""
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CiRun:
    """The newest run of one workflow, or of one check, for a commit.

    `name` is text by strangers. `page` is the path of the run's page below the repository's page. `event` is what
    started it, empty for a check run. `changed_at` is the end of a completed run. A check run may have neither time.
    `usual` is the median duration of the workflow's last successful runs; it is None unless the run is in progress and
    that duration is known.
    """

    name: str
    state: CiState
    page: str
    event: str
    begun_at: datetime | None
    changed_at: datetime | None
    usual: timedelta | None = None

    @property
    def of_actions(self) -> bool:
        """Return whether this is a run of GitHub Actions, and not a check of another app."""
        return bool(self.event)


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """The newest run of a branch for another commit."""

    name: str
    sha: str


@dataclass(frozen=True, slots=True)
class CommitCi:
    """The state of CI for one commit. `runs` is complete for GitHub Actions.

    `message`, that of the commit, and `earlier` are read only if no runs exist although they should by now. Both are
    None if they were not read.
    """

    runs: tuple[CiRun, ...] = ()
    message: str | None = None
    earlier: EarlierRun | None = None


@dataclass(frozen=True, slots=True)
class AwaitedCommit:
    """The head of a pull request whose image is missing. `settled` means that its runs should exist by now."""

    identity: Identity
    sha: str
    branch: str
    settled: bool
