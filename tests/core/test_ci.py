"""What CI says about a missing image: one sentence for each case, and nothing that GitHub does not say."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from builders import NOW, PLATFORM, REPOSITORY, facts, identity, observed, pull_request, sha
from greenroom.core.comment.sanitize import markup
from greenroom.core.messages import prepared, waiting_for_image
from greenroom.core.model.actions import Action, UpdateComment
from greenroom.core.model.ci import CiRun, CiState, CommitCi, EarlierRun, MissingImages
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import Missing
from greenroom.core.model.verdicts import Run
from greenroom.core.planning.context import PassContext, pass_context
from greenroom.core.planning.decision import Decision, awaited_commits, decide, explained
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
        ([run(CiState.RUNNING)], "ci-running", f"CI has not finished: `build` started at {STARTED}."),
        ([run(CiState.RUNNING, usual=FOUR)], "ci-running", f"`build` started at {STARTED} and usually takes 4 min."),
        ([run(CiState.RUNNING, usual=timedelta(seconds=20))], "ci-running", "and usually takes less than 1 min."),
        ([run(CiState.QUEUED, minutes=0.5)], "ci-running", "CI has not finished: `build` started at "),
        ([run(CiState.QUEUED)], "ci-running", f"CI has not finished: `build` has been queued since {STARTED}."),
        ([run(CiState.QUEUED, begun_at=None)], "ci-running", "CI has not finished: `build` has been queued."),
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
            f"1 CI run of commit {HEAD[:7]} succeeded, but the registry does not have the image."
            f" Check that CI pushes the image under exactly this name: `{REFERENCE}`.",
        ),
        (
            [run(CiState.SUCCEEDED), run(CiState.SKIPPED, "image")],
            "ci-without-image",
            f"1 CI run of commit {HEAD[:7]} succeeded and `image` was skipped, but the registry does not have the image.",
        ),
        ([run(CiState.SKIPPED), run(CiState.SKIPPED, "b")], "ci-without-image", "`build`, `b` were skipped, but the"),
        (
            [run(CiState.SUCCEEDED), run(CiState.FAILED, "codecov", event="")],
            "ci-without-image",
            f"1 CI run of commit {HEAD[:7]} succeeded, but the registry does not have the image. `codecov` failed ({PAGE}).",
        ),
        ([run(CiState.ACTION, "image", event="")], "ci-failed", f"The CI run `image` needs action ({PAGE})."),
        ([run(CiState.SKIPPED), run(CiState.FAILED, "image", event="")], "ci-failed", "The CI run `image` failed"),
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
    assert f"No workflow run exists for commit {HEAD[:7]}, but `build` ran for commit {sha(1)[:7]}." in text


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
    assert shown(run(CiState.FAILED, "\u202e"))[1].startswith("The CI run `(unnamed)` failed")
    assert len(shown(run(CiState.FAILED, "x" * 500))[1]) < 300


def test_a_median_needs_three_runs() -> None:
    minutes = [timedelta(minutes=m) for m in (9, 3, 4)]
    assert usual_duration(iter(minutes)) == timedelta(minutes=4)
    assert usual_duration(iter(minutes[:2])) is None
    assert usual_duration(iter([timedelta(), timedelta(), timedelta(minutes=1)])) is None


def test_runs_have_two_minutes_to_begin() -> None:
    for seconds, expected in ((119, False), (120, True)):
        assert settled(replace(PULL_REQUEST, updated_at=NOW - timedelta(seconds=seconds)), NOW) is expected


def waiting(version: int) -> tuple[Decision, PassContext[Facts]]:
    """A decision about one pull request that waits, and one that can start."""
    known = facts(
        pull_request(1, head_sha=sha(1, version)),
        pull_request(2, head_sha=sha(2, version)),
        holds=observed(1),
    )
    missing = {r: Missing() for r in known.images if sha(1, version) in r}
    context = pass_context(replace(known, images={**known.images, **missing}), PLATFORM, REPOSITORY, NOW)
    return decide(context), context


@pytest.mark.parametrize("version", [1, 2], ids=["not pushed since", "pushed"])
@pytest.mark.parametrize("state", CiState)
def test_what_ci_says_changes_statuses_and_comments_and_nothing_else(state: CiState, version: int) -> None:
    decision, context = waiting(version)
    awaited = awaited_commits(decision, context)
    ci = {identity(n): CommitCi((run(state),)) for n in (1, 2, 3)}
    found = explained(decision, context, ci)
    assert (found.desired, found.plan) == (decision.desired, decision.plan)
    assert _acts(found) == _acts(decision)
    assert [a.sha for a in awaited] == ([sha(1, 2)] if version == 2 else [])
    changed = {i for i, s in found.statuses.items() if s != decision.statuses[i]}
    assert changed == ({identity(1)} if version == 2 else set())
    assert all(found.statuses[i].stage is s.stage for i, s in decision.statuses.items())


def _acts(decision: Decision) -> list[Action]:
    return [a for a in decision.actions if not isinstance(a, UpdateComment)]


def test_a_prepared_preview_explains_its_missing_image_too() -> None:
    known = facts(pull_request(1, head_sha=sha(1)))
    known = replace(known, images={r: Missing() for r in known.images})
    context = pass_context(known, PLATFORM, replace(REPOSITORY, prepare=True), NOW)
    decision = decide(context)
    assert isinstance(decision.desired.verdicts[identity(1)], Run)
    assert [a.sha for a in awaited_commits(decision, context)] == [sha(1)]
    found = explained(decision, context, {identity(1): CommitCi((run(CiState.FAILED),))})
    assert found.plan == decision.plan
    assert found.statuses[identity(1)].reason.code == "ci-failed"
    waits = found.statuses[identity(1)].reason
    assert prepared(waits, ("PostgreSQL",)).code == "ci-failed"
    assert prepared(waits, ("PostgreSQL",)).text.startswith("PostgreSQL is ready; waiting for image")


def test_without_an_answer_the_decision_stays_the_same() -> None:
    decision, context = waiting(2)
    assert explained(decision, context, {}) is decision
    assert explained(decision, context, {identity(1): CommitCi()}) == decision


def test_a_missing_image_of_the_base_branch_keeps_its_place_beside_what_ci_says() -> None:
    both = MissingImages((REFERENCE, "registry.test/api:1"), (REFERENCE,), ("registry.test/api:1",), "main")
    reason = waiting_for_image(both, why_missing(PULL_REQUEST, both, CommitCi((run(CiState.FAILED),)), NOW))
    assert str(reason).startswith(f"Waiting for images registry.test/shop:{HEAD[:7]}…, registry.test/api:1. The CI run")
    assert "and on `main` for registry.test/api:1: this pull request does not change that service." in str(reason)


def test_the_note_about_all_services_stays() -> None:
    noted = replace(MISSING, note="Every service counts as changed.")
    assert "Every service counts as changed. The CI run" in str(
        waiting_for_image(noted, why_missing(PULL_REQUEST, noted, CommitCi((run(CiState.FAILED),)), NOW))
    )


@pytest.mark.parametrize(
    ("sentence", "links"),
    [
        (
            "`build` failed (https://github.test/acme/shop/actions/runs/7).",
            ["https://github.test/acme/shop/actions/runs/7"],
        ),
        ("See https://github.test/acme/shop/runs/7.", ["https://github.test/acme/shop/runs/7"]),
        ("See https://github.test/acme/shop-evil/runs/7.", []),
        ("See https://evil.test/?https://github.test.acme/shop/1", []),
        ('https://github.test/acme/shop/"onclick="x', []),
        ("javascript:alert(1)", []),
    ],
)
def test_only_pages_of_the_repository_become_links(sentence: str, links: list[str]) -> None:
    shown = markup(sentence, "https://github.test/acme/shop")
    assert re.findall(r'<a href="([^"]*)" rel="noreferrer">', shown) == links
    assert "<a" not in markup(sentence)
    assert "<a" not in markup("see javascript:x/y", "javascript:x")
