"""What CI says about a missing image: one sentence for each case, and nothing that GitHub does not say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import NOW, pull_request, sha
from greenroom.core.model.ci import CiRun, CiState, CommitCi, EarlierRun, MissingImages
from greenroom.core.policy.ci import settled, skip_instruction, usual_duration, why_missing

HEAD = sha(2)
REFERENCE = f"registry.test/shop:{HEAD}"
MISSING = MissingImages((REFERENCE,), (REFERENCE,))
PULL_REQUEST = replace(pull_request(), head_sha=HEAD, url="https://github.test/acme/shop/pull/1", base_ref="main")
PAGE = "https://github.test/acme/shop/actions/runs/7"


def run(state: CiState, name: str = "build", *, minutes: float = 4, **more: object) -> CiRun:
    at = NOW - timedelta(minutes=minutes)
    made = CiRun(name, state, "actions/runs/7", "pull_request", at, at)
    return replace(made, **more)  # type: ignore[arg-type]


def shown(*runs: CiRun, conflicts: bool = False, **more: object) -> tuple[str, str]:
    """The code and the words for these runs; empty if nothing is said."""
    known = replace(CommitCi(runs), **more)  # type: ignore[arg-type]
    reason = why_missing(replace(PULL_REQUEST, conflicts=conflicts), MISSING, known, NOW)
    return (reason.code, str(reason)) if reason else ("", "")


STARTED = f"{NOW - timedelta(minutes=4):%H:%M} UTC"
FOUR = timedelta(minutes=4, seconds=10)


@pytest.mark.parametrize(
    ("runs", "code", "words"),
    [
        ([run(CiState.RUNNING)], "ci-running", f"CI is still running: `build` started at {STARTED}."),
        ([run(CiState.RUNNING, usual=FOUR)], "ci-running", f"`build` started at {STARTED} and usually takes 4 min."),
        ([run(CiState.RUNNING, usual=timedelta(seconds=20))], "ci-running", "and usually takes less than 1 min."),
        ([run(CiState.QUEUED, minutes=0.5)], "ci-running", "CI is still running: `build` started at "),
        ([run(CiState.QUEUED)], "ci-running", f"CI is still running: `build` has been queued since {STARTED}."),
        ([run(CiState.QUEUED, begun_at=None)], "ci-running", "CI is still running: `build` has been queued."),
        ([run(CiState.RUNNING, minutes=1000)], "ci-running", "started at 20"),
        (
            [run(CiState.RUNNING, "a", usual=FOUR), run(CiState.RUNNING, "b", usual=2 * FOUR)],
            "ci-running",
            f"`b` started at {STARTED} and usually takes 8 min. 1 other run is not finished either.",
        ),
        (
            [run(CiState.RUNNING), run(CiState.FAILED, "lint"), run(CiState.APPROVAL, "x")],
            "ci-running",
            f"started at {STARTED}. `lint` failed ({PAGE}).",
        ),
        (
            [run(CiState.APPROVAL)],
            "ci-approval",
            f"only after a maintainer approves it. Someone with write access can approve it: {PAGE}",
        ),
        ([run(CiState.PROTECTED), run(CiState.FAILED, "lint")], "ci-approval", f"an approval. `lint` failed ({PAGE})."),
        ([run(CiState.FAILED)], "ci-failed", f"The CI run `build` failed ({PAGE}). Fix the cause and push"),
        ([run(CiState.CANCELED)], "ci-failed", f"The CI run `build` was canceled ({PAGE})."),
        ([run(CiState.FAILED, str(i)) for i in range(5)], "ci-failed", "CI runs did not succeed: `0` failed ("),
        ([run(CiState.FAILED, str(i)) for i in range(5)], "ci-failed", f"`2` failed ({PAGE}) and 2 more."),
        ([run(CiState.FAILED), run(CiState.SUCCEEDED)], "ci-failed", "The CI run `build` failed"),
        (
            [run(CiState.SUCCEEDED)],
            "ci-without-image",
            f"1 CI run of commit {HEAD[:7]} succeeded, but the image is not in"
            f" the registry. Check that CI pushes exactly `{REFERENCE}`.",
        ),
        (
            [run(CiState.SUCCEEDED), run(CiState.SKIPPED, "image")],
            "ci-without-image",
            f"1 CI run of commit {HEAD[:7]} succeeded and `image` was skipped, but the image is not in the registry.",
        ),
        ([run(CiState.SKIPPED), run(CiState.SKIPPED, "b")], "ci-without-image", "`build`, `b` were skipped, but the"),
        ([run(CiState.SUCCEEDED, minutes=1)], "", ""),
        ([run(CiState.SUCCEEDED, changed_at=None)], "", ""),
        ([], "", ""),
    ],
)
def test_each_state_of_ci_has_its_sentence(runs: list[CiRun], code: str, words: str) -> None:
    found, text = shown(*runs)
    assert found == code
    assert words in text


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([], "ci-conflict"),
        ([run(CiState.SUCCEEDED, event="push")], "ci-conflict"),
        ([run(CiState.FAILED, event="push")], "ci-conflict"),
        ([run(CiState.RUNNING, event="push")], "ci-running"),
        ([run(CiState.SUCCEEDED)], "ci-without-image"),
        ([run(CiState.FAILED)], "ci-failed"),
    ],
)
def test_a_conflict_explains_only_runs_that_did_not_begin(runs: list[CiRun], code: str) -> None:
    assert shown(*runs, conflicts=True)[0] == code
    assert "`build` failed" in shown(*runs, conflicts=True)[1] or not any(r.state is CiState.FAILED for r in runs)


def test_without_a_run_only_the_message_and_earlier_runs_are_named() -> None:
    earlier = EarlierRun("build", sha(1))
    assert shown(message="A change") == ("", "")
    assert shown(message="A change [skip ci]")[0] == "ci-skipped"
    assert shown(message="A change [skip ci]", earlier=earlier)[0] == "ci-skipped"
    assert shown(message=None, earlier=earlier)[0] == "ci-no-run"
    text = shown(message="A change", earlier=earlier)[1]
    assert f"No workflow run exists for commit {HEAD[:7]}, but `build` ran for {sha(1)[:7]}." in text


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Fix [skip ci]", "[skip ci]"),
        ("Fix\n\n[ci skip] later", "[ci skip]"),
        ("[no ci]", "[no ci]"),
        ("[skip actions]", "[skip actions]"),
        ("[actions skip]", "[actions skip]"),
        ("Fix\n\n\nskip-checks: true", "skip-checks: true"),
        ("Fix\n\n\nskip-checks:true\n", "skip-checks:true"),
        ("skip ci", ""),
        ("Do not [skip] ci", ""),
        ("Fix\n\nskip-checks: true\n\nand more", ""),
        ("", ""),
    ],
)
def test_words_that_tell_github_to_start_no_run(message: str, words: str) -> None:
    """https://docs.github.com/en/actions/how-tos/manage-workflow-runs/skip-workflow-runs"""
    assert skip_instruction(message) == words


def test_names_of_runs_cannot_end_the_code_that_they_are_in() -> None:
    _, text = shown(run(CiState.FAILED, "a`\n@acme/all [x](y)"))
    assert "`a' @acme/all [x](y)` failed" in text
    assert shown(run(CiState.FAILED, "\u202e"))[1].startswith("The CI run `a run without a name` failed")
    assert len(shown(run(CiState.FAILED, "x" * 500))[1]) < 300


def test_a_median_needs_three_runs() -> None:
    minutes = [timedelta(minutes=m) for m in (9, 3, 4)]
    assert usual_duration(iter(minutes)) == timedelta(minutes=4)
    assert usual_duration(iter(minutes[:2])) is None
    assert usual_duration(iter([timedelta(), timedelta(), timedelta(minutes=1)])) is None


def test_runs_have_two_minutes_to_begin() -> None:
    for seconds, expected in ((119, False), (120, True)):
        assert settled(replace(PULL_REQUEST, updated_at=NOW - timedelta(seconds=seconds)), NOW) is expected
