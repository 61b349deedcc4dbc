"""When a wait for a commit is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import identity
from greenroom.core import messages
from greenroom.core.comment.awaited import Outcome, awaited
from greenroom.core.model.engine import Running
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.status import Reason, Stage, Status

KEY = HoldKey(HoldKind.BREAKER, "key")
WEB = Running("web", "https://x", "a" * 40, "sha256:1", ready=True)
HEAD, OTHER, OLDER = "a1b2c3d" + "0" * 33, "f" * 40, "0ddba11" + "0" * 33


def status(stage: Stage = Stage.READY, **changes: Any) -> Status:
    given: dict[str, Any] = {"head_sha": HEAD, "serves_head": stage is Stage.READY, **changes}
    reason = Reason("why", "The reason.", "The fix.")
    return Status(identity(1), "shop#1", "shop", "acme/shop", "", "ada", "", stage, reason, **given)


@pytest.mark.parametrize(
    ("found", "commit", "outcome", "why"),
    [
        (status(), "", Outcome.SERVING, "shop#1 serves a1b2c3d."),
        (status(), HEAD, Outcome.SERVING, "shop#1 serves a1b2c3d."),
        (status(), "A1B2C3D", Outcome.SERVING, "shop#1 serves a1b2c3d."),
        (status(Stage.EXPIRING, serves_head=True), "", Outcome.SERVING, "shop#1 serves a1b2c3d."),
        (
            status(services=(replace(WEB, ending=True),)),
            "",
            Outcome.WAITING,
            "an earlier version of web has not stopped yet.",
        ),
        (status(services=(WEB,)), "", Outcome.SERVING, "shop#1 serves a1b2c3d."),
        (status(Stage.HELD, serves_head=True, hold=KEY), "", Outcome.SERVING, "shop#1 serves a1b2c3d."),
        (status(Stage.HELD, serves_head=True), "", Outcome.WAITING, "shop#1 is held: The reason."),
        (status(), OTHER, Outcome.WAITING, "shop#1 does not have commit fffffff; the newest commit is a1b2c3d."),
        (status(Stage.NONE, head_sha=""), OTHER, Outcome.WAITING, "its newest commit is unknown"),
        (status(serves_head=False), "", Outcome.WAITING, "shop#1 is ready: The reason. The fix."),
        (status(Stage.UPDATING), "", Outcome.WAITING, "shop#1 is updating: The reason. The fix."),
        (status(Stage.WAITING), "", Outcome.WAITING, "shop#1 is waiting: The reason."),
        (status(Stage.NONE), "", Outcome.WAITING, "shop#1 is no preview: The reason."),
        (status(Stage.FAILED), "", Outcome.FAILED, "shop#1 is failed: The reason. The fix."),
        (status(Stage.FAILED), OTHER, Outcome.WAITING, "does not have commit"),
        (status(Stage.BLOCKED), "", Outcome.FAILED, "shop#1 is blocked:"),
        (status(Stage.HELD, hold=KEY), "", Outcome.FAILED, "shop#1 is held:"),
        (status(Stage.ASLEEP), "", Outcome.FAILED, "shop#1 is asleep:"),
        (status(Stage.REMOVED), "", Outcome.FAILED, "shop#1 is removed:"),
        (
            status(),
            OLDER,
            Outcome.SUPERSEDED,
            "shop#1: commit 0ddba11 was superseded by a1b2c3d. Wait for the newer commit instead.",
        ),
        (status(Stage.FAILED), "0DDBA11", Outcome.SUPERSEDED, "superseded by a1b2c3d."),
        (None, OLDER, Outcome.WAITING, "Greenroom has not seen"),
        (None, "", Outcome.WAITING, "Greenroom has not seen an open pull request with this number yet."),
    ],
)
def test_wait_is_over_when_the_commit_serves_or_a_person_is_needed(
    found: Status | None, commit: str, outcome: Outcome, why: str
) -> None:
    now = awaited(found, commit, superseded={OLDER})
    assert now.outcome is outcome
    assert why in now.why


def test_what_was_true_before_the_repository_became_unreadable_is_not_enough() -> None:
    for commit in ("", OLDER):
        now = awaited(status(), commit, "GitHub returned 500.", {OLDER})
        assert (now.outcome, now.why) == (
            Outcome.WAITING,
            "Greenroom cannot read the repository right now: GitHub returned 500.",
        )


def test_commit_is_not_superseded_while_github_shows_older_data_than_before() -> None:
    """What it does not show may be that the commit was pushed again."""
    late = replace(status(Stage.HELD), reason=messages.stale())
    assert awaited(late, OLDER, superseded={OLDER}).outcome is Outcome.WAITING


def test_head_that_is_pushed_again_is_not_superseded() -> None:
    assert awaited(status(), HEAD[:7], superseded={HEAD[:7] + "1" * 33}).outcome is Outcome.SERVING
