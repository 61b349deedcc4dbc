"""Sentences about what CI does for a missing image. Each one follows "Waiting for image …".

Names of workflows and checks are text by strangers, so they are shown as code, without backticks of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from greenroom.core.comment.sanitize import code, counted, plain
from greenroom.core.messages.words import day, span
from greenroom.core.model.ci import CiRun, CiState, EarlierRun
from greenroom.core.model.status import Reason

CONFLICTS = "https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows"
_NAME, _RECENT, _SHOWN = 60, timedelta(hours=12), 3
_BROKEN = {CiState.FAILED: "failed", CiState.CANCELED: "was canceled", CiState.ACTION: "needs action"}


def ci_running(
    run: CiRun, others: int, broken: Sequence[CiRun], page: str, now: datetime, *, queued: bool = False
) -> Reason:
    """Return the reason while CI runs. It names the time of the start, so it does not change until CI ends."""
    verb = "has been queued" if queued else "started"
    since = f"{' since' if queued else ' at'} {_clock(run.begun_at, now)}" if run.begun_at else ""
    usual = f" and usually takes {_minutes(run.usual)}" if run.usual else ""
    also = f" {counted(others, 'other run')} {'is' if others == 1 else 'are'} not finished either." if others else ""
    return Reason(
        "ci-running", f"CI has not finished: {_name(run.name)} {verb}{since}{usual}.{also}{_also(broken, page)}"
    )


def ci_failed(broken: Sequence[CiRun], page: str) -> Reason:
    said = _verdicts(broken, page)
    return Reason(
        "ci-failed",
        f"The CI run {said}." if len(broken) == 1 else f"These CI runs did not succeed: {said}.",
        "Fix the cause and push, or re-run CI.",
    )


def ci_approval(run: CiRun, broken: Sequence[CiRun], page: str) -> Reason:
    if run.state is CiState.APPROVAL:
        why, step = "GitHub starts it only after a maintainer approves it", "Someone with write access can approve it"
    else:
        why = "it waits for the protection rules of an environment, such as an approval"
        step = "A reviewer of the environment can approve it"
    return Reason(
        "ci-approval",
        f"CI has not run {_name(run.name)}: {why}.{_also(broken, page)}",
        f"{step}: {page}/{run.page}.",
    )


def ci_conflict(base: str, broken: Sequence[CiRun], page: str) -> Reason:
    return Reason(
        "ci-conflict",
        f"The branch has conflicts with `{code(base)}`, and GitHub does not run `pull_request` workflows until they are"
        f" resolved.{_also(broken, page)}",
        f"Resolve the conflicts. See {CONFLICTS}.",
    )


def ci_skipped(sha: str, words: str) -> Reason:
    return Reason(
        "ci-skipped",
        f"No workflow run exists for commit {sha[:7]}. The commit message contains `{code(words)}`.",
        f"Push a commit whose message does not contain `{code(words)}`.",
    )


def ci_no_run(sha: str, earlier: EarlierRun) -> Reason:
    return Reason(
        "ci-no-run",
        f"No workflow run exists for commit {sha[:7]}, but {_name(earlier.name)} ran for commit"
        f" {plain(earlier.sha)[:7]}.",
        f"Check whether the workflow's path filters or branch filters exclude commit {sha[:7]}, or run the workflow by"
        " hand.",
    )


def ci_without_image(
    runs: Sequence[CiRun], missing: Sequence[str], sha: str, broken: Sequence[CiRun], page: str
) -> Reason:
    """Return the reason when CI has ended, but the registry has no image under the expected tag."""
    skipped = [r for r in runs if r.state is CiState.SKIPPED]
    done = sum(r.state is CiState.SUCCEEDED for r in runs)
    names = ", ".join(_name(r.name) for r in skipped[:_SHOWN])
    rest = f" and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
    was = f"{names}{rest} {'was' if len(skipped) == 1 else 'were'} skipped" if skipped else ""
    succeeded = f"{counted(done, 'CI run')} of commit {sha[:7]} succeeded" if done else ""
    said = " and ".join(s for s in (succeeded, was) if s)
    wanted, images = ", ".join(f"`{code(m, 300)}`" for m in missing), "images" if len(missing) > 1 else "image"
    exactly = "these names" if len(missing) > 1 else "this name"
    return Reason(
        "ci-without-image",
        f"{said}, but the registry does not have the {images}.{_also(broken, page)}",
        f"Check that CI pushes the {images} under exactly {exactly}: {wanted}.",
    )


def _clock(at: datetime, now: datetime) -> str:
    """Format a time as a time of day, or with its date if it is more than 12 hours ago."""
    return f"{at:%H:%M} UTC" if now - at < _RECENT else day(at)


def _minutes(duration: timedelta | None) -> str:
    """Format a duration in whole minutes: an estimate is not more precise."""
    minutes = round((duration or timedelta()).total_seconds() / 60)
    return span(timedelta(minutes=minutes)) if minutes else "less than 1 min"


def _name(name: str) -> str:
    return f"`{code(name, _NAME) or '(unnamed)'}`"


def _verdicts(broken: Sequence[CiRun], page: str) -> str:
    shown = [f"{_name(r.name)} {_BROKEN[r.state]} ({page}/{r.page})" for r in broken[:_SHOWN]]
    more = len(broken) - len(shown)
    return f"{', '.join(shown)}{f' and {more} more' if more else ''}"


def _also(broken: Sequence[CiRun], page: str) -> str:
    """Return a sentence about runs that have already failed, which follows the one about the most important run."""
    return f" {_verdicts(broken, page)}." if broken else ""
