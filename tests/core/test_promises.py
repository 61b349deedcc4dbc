"""What our comment promises happens: what runs goes on running, what waits can still start, and what cannot says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import (
    NOW,
    PLATFORM,
    REPOSITORY,
    confirmation,
    decide,
    facts,
    identity,
    listing,
    observed,
    permissions,
    preview,
    pull_request,
    sha,
    without_label,
)
from greenroom.core.comment.body import comment_text
from greenroom.core.model.actions import UpdateComment
from greenroom.core.model.engine import EngineState, Health
from greenroom.core.model.github import Actor, Comment, CommentState, Kind, Permission, PullRequest, SignedState, State
from greenroom.core.model.spec import LinkOverride
from greenroom.core.planning import required_reads
from greenroom.core.planning.decision import Decision


@pytest.mark.parametrize(
    ("changes", "more", "cause"),
    [
        ({"draft": True}, {}, "The pull request is a draft."),
        ({}, {"permissions": permissions(ada=Permission.READ)}, "does not have write access to this repository."),
        ({"author": Actor("renovate[bot]", Kind.BOT)}, {}, "is a bot that is not listed in the configuration."),
        ({"label_events": ()}, {}, "GitHub does not show who added the label"),
        ({"head_sha": sha(1, 2)}, {"images": {}}, "The registry has not been queried"),
    ],
    ids=["draft again", "labeler lost write access", "bot", "no event", "registry does not answer"],
)
def test_the_comment_says_that_the_present_version_keeps_running_and_that_pushes_wait(
    changes: dict[str, Any], more: dict[str, Any], cause: str
) -> None:
    found = replace(facts(pull_request(1, **changes), holds=observed(1)), **more)
    status = decide(found, PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    said = comment_text(status, PLATFORM, private=True)
    assert cause in said.replace("\u200b", "").replace("\\", "")
    assert f"The current version, {sha(1)[:7]}, keeps running. New commits are not deployed." in said
    assert "to get a preview" not in said


def test_a_preview_that_does_not_run_is_not_reported_as_running() -> None:
    failed = preview(1, health=Health.FAILED)
    failed = replace(failed, services=tuple(replace(s, ready=False) for s in failed.services))
    holds = replace(observed(1), previews={identity(1): failed})
    status = decide(facts(pull_request(1, draft=True), holds=holds), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    said = comment_text(status, PLATFORM, private=True)
    assert "keeps running" not in said
    assert "The preview does not change. New commits are not deployed." in said


def test_a_held_preview_says_that_new_commits_wait() -> None:
    gone = pull_request(1, labels=frozenset())
    found = facts(gone, holds=observed(1), confirmed={1: confirmation(gone)})
    said = comment_text(decide(found, PLATFORM, REPOSITORY, NOW).statuses[identity(1)], PLATFORM, private=True)
    assert "### Preview held" in said
    assert f"The current version, {sha(1)[:7]}, keeps running. New commits are not deployed." in said


def test_the_comment_on_a_draft_says_how_to_get_a_preview() -> None:
    status = decide(facts(pull_request(1, draft=True)), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    assert str(status.reason) == "The pull request is a draft. Mark the pull request ready for review to get a preview."


# --- what never started ---


def without_start(found: PullRequest, **more: Any) -> Decision:
    """A pass over a pull request that the list leaves out, whose comment says that its preview will come."""
    waits = facts(confirmed={1: confirmation(found)}, promised=frozenset({1}))
    return decide(replace(waits, **more), PLATFORM, REPOSITORY, NOW)


def comment_of(decision: Decision) -> str:
    [told] = [a.text for a in decision.actions]  # type: ignore[union-attr]
    return told.replace("\u200b", "")


QUEUED = Comment(
    5, "<!-- greenroom:1 -->\n### Preview queued\n\nThis preview starts automatically once a slot is free."
)
CLOSED = pull_request(1, state=State.CLOSED, closed_at=NOW, comment=QUEUED)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (
            State.CLOSED,
            "The pull request was closed by ada. No preview was started. Reopen the pull request to get a preview.",
        ),
        (State.MERGED, "The pull request was merged by ada. No preview was started."),
    ],
)
def test_the_comment_on_a_pull_request_closed_before_its_preview_started_says_so(state: State, sentence: str) -> None:
    text = comment_of(without_start(replace(CLOSED, state=state)))
    assert text.startswith(f"### No preview\n\n{sentence}")
    assert "starts automatically" not in text


def test_a_comment_that_says_so_already_is_not_written_again() -> None:
    told = without_start(CLOSED)
    after = replace(CLOSED, comment=Comment(5, f"<!-- greenroom:1 -->\n{comment_of(told)}"))
    assert without_start(after).actions == ()


@pytest.mark.parametrize(
    "more",
    [
        {"stale": frozenset({1})},
        {"confirmed": {1: "GitHub returned 502."}},
        {"confirmed": {}},
        {"confirmed": {1: confirmation(replace(CLOSED, state=State.OPEN))}},
        {"confirmed": {1: confirmation(replace(without_label(1), comment=CLOSED.comment))}},
        {"confirmed": {1: confirmation(CLOSED, NOW - timedelta(minutes=1))}},
    ],
    ids=["stale", "not answered", "not read", "open after all", "open and unlabeled", "older than the list"],
)
def test_doubt_reports_no_pull_request_as_closed(more: dict[str, Any]) -> None:
    assert without_start(CLOSED, **more).actions == ()


def test_a_promised_pull_request_that_the_list_leaves_out_is_read_by_number() -> None:
    assert required_reads.numbers(listing(pull_request(2)), EngineState(), PLATFORM, frozenset({1, 2})) == (1,)


def test_choices_survive_when_a_pull_request_closes_before_its_preview_starts() -> None:
    memory = CommentState(choices=(LinkOverride("payments", "17", "ada", 5),), heard=5)
    decision = without_start(CLOSED, blocks={1: SignedState(3, memory)})
    assert [a.memory for a in decision.actions if isinstance(a, UpdateComment)] == [memory]


@pytest.mark.parametrize("body", ["hello", "### Preview waiting\n\nSoon!", QUEUED.body])
def test_a_comment_that_was_edited_promises_nothing_once_the_label_is_off(body: str) -> None:
    off = without_label(1)
    spoiled = replace(off, comment=Comment(5, body, trusted=False))
    decision = decide(facts(spoiled), PLATFORM, REPOSITORY, NOW)
    assert comment_of(decision).startswith("### No preview")


def test_a_comment_that_says_removed_stays_as_it_is_though_it_was_edited() -> None:
    body = "<!-- greenroom:1 -->\n### Preview removed\n\nAll of the preview's resources have been deleted. Thanks!"
    spoiled = replace(without_label(1), comment=Comment(5, body, trusted=False))
    assert decide(facts(spoiled), PLATFORM, REPOSITORY, NOW).actions == ()
