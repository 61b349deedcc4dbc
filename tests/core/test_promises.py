"""What our comment promises happens: what runs goes on running, what waits can still start, and what cannot says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import (
    NOW,
    PLATFORM,
    REPOSITORY,
    confirmation,
    facts,
    identity,
    observed,
    preview,
    pull_request,
    sha,
)
from greenroom.core.decision import decide
from greenroom.core.model import Actor, Health, Kind, Permission
from greenroom.core.told import comment_text


@pytest.mark.parametrize(
    ("changes", "more", "cause"),
    [
        ({"draft": True}, {}, "The pull request is a draft."),
        ({}, {"permissions": {"ada": Permission.READ}}, "has no write access to this repository."),
        ({"author": Actor("renovate[bot]", Kind.BOT)}, {}, "is a bot that the configuration does not list."),
        ({"label_events": ()}, {}, "GitHub does not show who put the label"),
        ({"head_sha": sha(1, 2)}, {"images": {}}, "The registry was not asked"),
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
    assert f"The present version, {sha(1)[:7]}, keeps running. New commits wait." in said
    assert "to get a preview" not in said


def test_what_does_not_run_is_not_said_to_run() -> None:
    failed = preview(1, health=Health.FAILED)
    failed = replace(failed, services=tuple(replace(s, ready=False) for s in failed.services))
    holds = replace(observed(1), previews={identity(1): failed})
    status = decide(facts(pull_request(1, draft=True), holds=holds), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    said = comment_text(status, PLATFORM, private=True)
    assert "keeps running" not in said
    assert "What is deployed stays as it is. New commits wait." in said


def test_a_held_preview_says_that_new_commits_wait() -> None:
    gone = pull_request(1, labels=frozenset())
    found = facts(gone, holds=observed(1), confirmed={1: confirmation(gone)})
    said = comment_text(decide(found, PLATFORM, REPOSITORY, NOW).statuses[identity(1)], PLATFORM, private=True)
    assert "### Preview held" in said
    assert f"The present version, {sha(1)[:7]}, keeps running. New commits wait." in said


def test_a_draft_without_a_preview_is_told_how_to_get_one() -> None:
    status = decide(facts(pull_request(1, draft=True)), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    assert str(status.reason) == "The pull request is a draft. Mark it ready for review to get a preview."
