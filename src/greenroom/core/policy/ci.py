"""The reason why a commit has no image, if its CI explains it. It affects only wording.

Greenroom claims only what GitHub says. If that explains nothing, the answer is None, and the comment only says to see
the checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from greenroom.core import messages
from greenroom.core.model.ci import CiRun, CiState, CommitCi, MissingImages
from greenroom.core.model.github import PullRequest
from greenroom.core.model.status import Reason

SETTLED = timedelta(minutes=2)
"""Time after which a commit's workflow runs should exist, and a finished run's image should be in the registry."""
QUEUED = timedelta(minutes=1)
"""Time after which a run that is still waiting for a runner is reported as queued. Most runs start within seconds."""
_ACTIVE = (CiState.RUNNING, CiState.QUEUED)
_APPROVAL = (CiState.APPROVAL, CiState.PROTECTED)
_BROKEN = (CiState.FAILED, CiState.CANCELED, CiState.ACTION)
# https://docs.github.com/en/actions/how-tos/manage-workflow-runs/skip-workflow-runs
_SKIP = re.compile(r"\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]|^skip-checks: ?true\s*\Z", re.MULTILINE)


def settled(pull_request: PullRequest, now: datetime) -> bool:
    """Return whether the head was certainly pushed long enough ago for its runs to exist.

    A push updates the pull request, but so does a comment. GitHub does not say when a commit was pushed.
    """
    return now - pull_request.updated_at >= SETTLED


def skip_instruction(message: str) -> str:
    """Return the words in a commit message that tell GitHub Actions to start no run; empty if there are none."""
    found = _SKIP.search(message)
    return found[0].strip() if found else ""


def why_missing(pull_request: PullRequest, missing: MissingImages, known: CommitCi, now: datetime) -> Reason | None:
    """Return why the images of a pull request's head are missing; None if CI does not explain it.

    A run in progress comes first, because it may still push the image. Failed runs are always mentioned: which workflow
    pushes the image is unknown.
    """
    page = pull_request.url.rpartition("/pull/")[0]
    broken = tuple(r for r in known.runs if r.state in _BROKEN)
    if active := [r for r in known.runs if r.state in _ACTIVE]:
        run = max(active, key=_expected_end)
        queued = run.state is CiState.QUEUED and (run.begun_at is None or now - run.begun_at >= QUEUED)
        return messages.ci_running(run, len(active) - 1, broken, page, now, queued=queued)
    if waiting := next((r for r in known.runs if r.state in _APPROVAL), None):
        return messages.ci_approval(waiting, broken, page)
    if pull_request.conflicts and all(r.event != "pull_request" for r in known.runs):
        return messages.ci_conflict(pull_request.base_ref, broken, page)
    if _explains(broken, known):
        return messages.ci_failed(broken, page)
    if known.runs:
        late = all(r.changed_at and now - r.changed_at >= SETTLED for r in known.runs)
        return (
            messages.ci_without_image(known.runs, missing.head, pull_request.head_sha, broken, page) if late else None
        )
    # The message and earlier runs were read only if this commit's runs should exist by now.
    if words := skip_instruction(known.message or ""):
        return messages.ci_skipped(pull_request.head_sha, words)
    return messages.ci_no_run(pull_request.head_sha, known.earlier) if known.earlier else None


def _explains(broken: Sequence[CiRun], known: CommitCi) -> bool:
    """Return whether failed runs explain a missing image.

    If GitHub Actions succeeded and a check of another app failed, that check may be about coverage or a signature.
    """
    succeeded = any(r.of_actions and r.state is CiState.SUCCEEDED for r in known.runs)
    return any(r.of_actions for r in broken) or (bool(broken) and not succeeded)


def _expected_end(run: CiRun) -> tuple[bool, float]:
    """Order runs by their expected end, those of unknown duration first."""
    begun = run.begun_at.timestamp() if run.begun_at else 0.0
    return run.usual is not None, begun + (run.usual or timedelta()).total_seconds()


def usual_duration(durations: Iterator[timedelta]) -> timedelta | None:
    """Return the median duration of a workflow's last successful runs; None if there are too few to call it usual."""
    known = sorted(d for d in durations if d > timedelta())
    return known[len(known) // 2] if len(known) >= ENOUGH else None


ENOUGH = 3
"""Minimum number of successful runs for a meaningful median."""
